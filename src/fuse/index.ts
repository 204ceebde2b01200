// The FUSE layer's door: mounts a filesystem and serves the kernel's requests with it.

import { deviceTransport } from './device-transport.ts'
import type { FuseFilesystem } from './filesystem.ts'
import { checkMountPoint } from './mount-point.ts'
import type { FuseMount, Transport, TransportName } from './transport.ts'

export { clearDeadMount } from './dead-mount.ts'
export { mountedType, MountError, parseMountInfo, unescapePath } from './mount-point.ts'
export { operationFamilies, type Latencies, type OperationFamily } from './latencies.ts'
export type { LatencyHistogram, LatencySummary } from './latency-histogram.ts'
export type { FuseMount, MountStatistics, TransportName } from './transport.ts'

export interface MountFilesystemOptions {
  /** an existing directory that nothing is mounted on */
  readonly mountPoint: string
  /** let other users than the one who mounts in; permission bits are checked by the kernel either way */
  readonly allowOther?: boolean
  /** who carries the kernel's requests; our own device layer unless told */
  readonly transport?: TransportName
  /** idle processors are not kept awake while clients ask often */
  readonly letProcessorsSleep?: boolean
}

/**
 * Mounts `filesystem` and serves it until it is unmounted. The process stays alive that long.
 * @throws MountError MOUNT_POINT_MISSING, MOUNT_POINT_NOT_DIRECTORY, MOUNT_POINT_BUSY, MOUNT_POINT_DEAD,
 *   MOUNT_REFUSED, ALLOW_OTHER_REFUSED, FUSE_MISSING, FUSE_TOO_OLD, TRANSPORT_MISSING, or an errno's name
 */
export async function mountFilesystem(
  options: MountFilesystemOptions,
  filesystem: FuseFilesystem,
): Promise<FuseMount> {
  const { allowOther = false, transport: name = 'device', letProcessorsSleep = false } = options
  const transport = await transportNamed(name)
  const mountPoint = await checkMountPoint(options.mountPoint)
  return transport.mount({ mountPoint, allowOther, letProcessorsSleep }, filesystem)
}

/** What only the second transport needs is loaded by it alone. */
async function transportNamed(name: TransportName): Promise<Transport> {
  if (name === 'device') return deviceTransport
  const { callbackTransport } = await import('./callbacks/index.ts')
  return callbackTransport
}
