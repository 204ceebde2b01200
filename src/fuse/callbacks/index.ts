// The second transport: the callbacks of fuse-napi or fuse-native, which bring libfuse. Slower than our device layer, and it
// can't do everything (docs/posix.md); for machines where the device layer can't mount.

import type { FuseFilesystem } from '../filesystem.ts'
import type { FuseMount, MountOptions, Transport } from '../transport.ts'
import { CallbackMount } from './mount.ts'
import { loadPackage } from './packages.ts'

export const callbackTransport: Transport = {
  async mount(options: MountOptions, filesystem: FuseFilesystem): Promise<FuseMount> {
    const mount = new CallbackMount(loadPackage(), options, filesystem)
    await mount.start()
    return mount
  },
}
