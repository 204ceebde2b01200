// The kernel's read-ahead on the mount. It starts at 128 KiB whatever INIT allows; with 1 MiB a cold sequential read is
// about half as fast again, since a request carries eight times as much.

import { readFile, writeFile } from 'node:fs/promises'
import createDebug from 'debug'
import { parseMountInfo } from './mount-point.ts'

const log = createDebug('coffer:fuse')

const READ_AHEAD_KIB = 1024

/** Needs root; for others the kernel's default stays. */
export async function raiseReadAhead(mountPoint: string): Promise<void> {
  const mounts = parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8'))
  const device = mounts.findLast(mount => mount.path === mountPoint)?.device
  if (device === undefined) return
  try {
    await writeFile(`/sys/class/bdi/${device}/read_ahead_kb`, `${READ_AHEAD_KIB}\n`)
  } catch (error) {
    log('read-ahead stays as it is: %O', error)
  }
}
