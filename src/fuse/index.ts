// The FUSE layer's door: mounts a filesystem and serves the kernel's requests with it.

import { mountFuse, unmountFuse } from '../native/fuse-device.ts'
import type { FuseFilesystem } from './filesystem.ts'
import { asMountError, checkMountPoint } from './mount-point.ts'
import { ServedMount, type FuseMount } from './mount.ts'
import { raiseReadAhead } from './read-ahead.ts'

export { clearDeadMount } from './dead-mount.ts'
export { mountedType, MountError } from './mount-point.ts'
export { operationFamilies, type Latencies, type OperationFamily } from './latencies.ts'
export type { LatencyHistogram, LatencySummary } from './latency-histogram.ts'
export type { FuseMount, MountStatistics } from './mount.ts'

/** Requests in flight at most: as many as the kernel sends in the background, and then some wait in the kernel. */
const SLOT_COUNT = 64
/** Two, so that one reads while the other wakes JavaScript; more only compete for it. */
const READER_COUNT = 2

export interface MountFilesystemOptions {
  /** an existing directory that nothing is mounted on */
  readonly mountPoint: string
  /** let other users than the one who mounts in; permission bits are checked by the kernel either way */
  readonly allowOther?: boolean
  /** how many requests may be in memory at once, 1 MiB each */
  readonly slotCount?: number
  /** threads that read requests */
  readonly readerCount?: number
}

/**
 * Mounts `filesystem` and serves it until it is unmounted. The process stays alive that long.
 * @throws MountError MOUNT_POINT_MISSING, MOUNT_POINT_NOT_DIRECTORY, MOUNT_POINT_BUSY, MOUNT_POINT_DEAD,
 *   MOUNT_REFUSED, ALLOW_OTHER_REFUSED, FUSE_MISSING, FUSE_TOO_OLD, or an errno's name
 */
export async function mountFilesystem(
  options: MountFilesystemOptions,
  filesystem: FuseFilesystem,
): Promise<FuseMount> {
  const mountPoint = await checkMountPoint(options.mountPoint)
  let descriptor: number
  try {
    descriptor = await mountFuse(mountPoint, options.allowOther ?? false)
  } catch (error) {
    throw asMountError(error)
  }
  const mount = new ServedMount(mountPoint, descriptor, filesystem, {
    slotCount: options.slotCount ?? SLOT_COUNT,
    readerCount: options.readerCount ?? READER_COUNT,
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
}
