// The default transport: our own device layer speaks the kernel's protocol.

import { mountFuse, unmountFuse } from '../native/fuse-device.ts'
import type { FuseFilesystem } from './filesystem.ts'
import { asMountError } from './mount-point.ts'
import { ServedMount } from './mount.ts'
import { raiseReadAhead } from './read-ahead.ts'
import type { FuseMount, MountOptions, Transport } from './transport.ts'
import { openIdleProcessors } from './wakefulness.ts'

/** Requests in flight at most, 1 MiB each: as many as the kernel sends in the background; then some wait in the kernel. */
const SLOT_COUNT = 64
/** Two threads, so that one reads while the other wakes JavaScript; more only compete for it. */
const READER_COUNT = 2

export const deviceTransport: Transport = {
  async mount(options: MountOptions, filesystem: FuseFilesystem): Promise<FuseMount> {
    const { mountPoint, allowOther, letProcessorsSleep } = options
    let descriptor: number
    try {
      descriptor = await mountFuse(mountPoint, allowOther)
    } catch (error) {
      throw asMountError(error)
    }
    const mount = new ServedMount(mountPoint, descriptor, filesystem, {
      slotCount: SLOT_COUNT,
      readerCount: READER_COUNT,
      idleProcessors: letProcessorsSleep ? undefined : openIdleProcessors(),
    })
    try {
      await mount.ready
    } catch (error) {
      await unmountFuse(mountPoint, true).catch(() => undefined)
      mount.close()
      await mount.closed
      throw error
    }
    await raiseReadAhead(mountPoint)
    return mount
  },
}
