// Whether a path can be mounted on, said clearly before the kernel says it tersely.

import { readFile, realpath, stat } from 'node:fs/promises'
import { CofferError } from '../errors.ts'

/**
 * How long a forced unmount lets programs that still have files open go on before their requests are cut off.
 * A detached mount lives as long as its last open file, which may be for ever.
 */
export const FORCED_GRACE_MILLISECONDS = 1000

/** Mounting or unmounting failed; `code` is one of MOUNT_* or FUSE_*, or an errno's name. */
export class MountError extends CofferError {}

interface MountedPath {
  readonly path: string
  readonly type: string
  /** major:minor */
  readonly device: string
}

/** The mounts of this process' namespace, in order. */
export function parseMountInfo(text: string): MountedPath[] {
  const mounts: MountedPath[] = []
  for (const line of text.split('\n')) {
    // id parent device root path options [fields ...] - type source options
    const words = line.split(' ')
    const separator = words.indexOf('-', 5)
    const path = words[4]
    if (path === undefined || separator < 0) continue
    mounts.push({
      path: unescapePath(path),
      type: words[separator + 1] ?? '',
      device: words[2] ?? '',
    })
  }
  return mounts
}

/** Blanks, tabs, newlines and backslashes come as three octal digits. */
export function unescapePath(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}

/** @returns the type of what is mounted at `path`, which has no symlinks; the topmost when there are several */
export async function mountedType(path: string): Promise<string | undefined> {
  const text = await readFile('/proc/self/mountinfo', 'utf8')
  return parseMountInfo(text).findLast(mount => mount.path === path)?.type
}

/**
 * @returns the mount point's path without symlinks, so that it can be found in the kernel's list
 * @throws MountError MOUNT_POINT_MISSING, MOUNT_POINT_NOT_DIRECTORY, MOUNT_POINT_BUSY, MOUNT_POINT_DEAD
 */
export async function checkMountPoint(mountPoint: string): Promise<string> {
  let path: string
  let isDirectory: boolean
  try {
    path = await realpath(mountPoint)
    isDirectory = (await stat(path)).isDirectory()
  } catch (error) {
    throw unusable(mountPoint, error)
  }
  if (!isDirectory) {
    throw new MountError('MOUNT_POINT_NOT_DIRECTORY', `${mountPoint} is not a directory.`)
  }
  const type = await mountedType(path)
  if (type !== undefined) {
    throw new MountError('MOUNT_POINT_BUSY', `${mountPoint} is a mount point already (${type}).`)
  }
  return path
}

function unusable(mountPoint: string, cause: unknown): MountError {
  const code = errorCode(cause)
  if (code === 'ENOENT') {
    return new MountError('MOUNT_POINT_MISSING', `${mountPoint} does not exist.`, { cause })
  }
  if (code === 'ENOTDIR') {
    return new MountError('MOUNT_POINT_NOT_DIRECTORY', `${mountPoint} is not a directory.`, {
      cause,
    })
  }
  if (code === 'ENOTCONN') {
    const remedy = `umount -l ${mountPoint}`
    return new MountError(
      'MOUNT_POINT_DEAD',
      `${mountPoint} is the mount of a process that died: run \`${remedy}\`.`,
      { cause },
    )
  }
  return new MountError(code ?? 'EIO', `${mountPoint} can't be mounted on (${code}).`, { cause })
}

/** The `code` of an error that node or the addon made. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** An error of the addon as a MountError with the same code. */
export function asMountError(error: unknown): MountError {
  if (error instanceof MountError) return error
  const message = error instanceof Error ? error.message : String(error)
  // fusermount3's words, of which nothing but the option's name is sure to stay
  if (message.includes('user_allow_other')) {
    const remedy = 'write the line `user_allow_other` into /etc/fuse.conf, or start without it'
    return new MountError('ALLOW_OTHER_REFUSED', `Only root may use --allow-other: ${remedy}.`, {
      cause: error,
    })
  }
  return new MountError(errorCode(error) ?? 'EIO', message, { cause: error })
}
