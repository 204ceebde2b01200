// The directory that the store is mounted on: made when missing, and counted, since a mount hides what lies in it.

import { mkdirSync } from 'node:fs'
import { readdir, realpath } from 'node:fs/promises'
import { CofferError } from '../errors.ts'

/** Other users must be able to pass through the directories above the mount. */
const DIRECTORY_UMASK = 0o022
/** Of a filesystem that is mounted here itself. */
const HARMLESS = 'lost+found'

/** @returns its path without symbolic links. @throws CofferError MOUNT_POINT */
export async function makeMountPoint(path: string): Promise<string> {
  // In one step with the umask, so that no other file of the process is made with it.
  const umask = process.umask(DIRECTORY_UMASK)
  try {
    mkdirSync(path, { recursive: true })
  } catch (error) {
    // Something is there already; whether it can be mounted on is checked when mounting.
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  } finally {
    process.umask(umask)
  }
  return await realpath(path).catch((cause: Error) => {
    throw new CofferError('MOUNT_POINT', `The mount point ${path} does not exist.`, { cause })
  })
}

/** How many entries a mount would hide; 0 for what is no directory. */
export async function countEntries(path: string): Promise<number> {
  const names = await readdir(path).catch(() => [])
  return names.filter(name => name !== HARMLESS).length
}
