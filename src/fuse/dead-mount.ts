// What a killed daemon leaves: a mount that answers ENOTCONN. The next start on the same mount point takes it away, so
// that a supervisor can restart the daemon without an administrator.

import { realpath, statfs } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { unmountFuse } from '../native/fuse-device.ts'
import { errorCode, mountedType } from './mount-point.ts'

const OWN_TYPES = ['fuse.coffer', 'fuse']

/**
 * Detaches a dead mount of ours at `mountPoint`; leaves everything else alone, a live mount above all.
 * @returns whether there was one
 */
export async function clearDeadMount(mountPoint: string): Promise<boolean> {
  // stat may be answered from the kernel's cache long after the daemon's death; statfs always asks.
  const failure = await statfs(mountPoint).then(
    () => undefined,
    (error: unknown) => errorCode(error),
  )
  if (failure !== 'ENOTCONN') return false
  // realpath would look at the dead root itself.
  const path = join(await realpath(dirname(mountPoint)), basename(mountPoint))
  const type = await mountedType(path)
  if (type === undefined || !OWN_TYPES.includes(type)) return false
  await unmountFuse(path, true)
  return true
}
