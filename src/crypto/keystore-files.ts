// Durable changes of one keystore file. What is replaced gets a second name first, so that no crash leaves bytes on the
// disk that no name leads to: whatever is to be erased is erased under that name, at the latest by the next unlock.

import { constants } from 'node:fs'
import { link, lstat, open, readdir, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { makeDirectoryDurably, syncDirectory, writeDurably } from '../durable-file.ts'
import { readSmallFile } from '../small-file.ts'
import { durably, durablySync, durablyWrite } from '../fault-points.ts'
import { digestOf, KEYSTORE_BYTES_MAX } from './keystore-format.ts'

/** Damaged files that are kept in one place for one group; the oldest goes first. */
const DAMAGED_MAX = 4
/** Files of one name that are told apart by a number. */
const NAMES_MAX = 100
/** Of a filesystem that has no hard links, vfat for instance. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

/**
 * What becomes of the file that lies in the place. `erase`: overwritten as soon as the new one is durable. `keep`: kept as
 * `.previous` until the next unlock. Otherwise the file keeps its bytes for good under a name with this ending.
 */
export type Fate = 'erase' | 'keep' | { readonly ending: string }

/** Where a superseded keystore waits for the next unlock. */
export function previousPath(path: string): string {
  return `${path}.previous`
}

/**
 * Puts a keystore into its place.
 * @param fate of the file that lies there; undefined when there is none
 * @returns the file's other name if it has been put aside
 */
export async function installKeystore(
  path: string,
  bytes: Uint8Array,
  fate: Fate | undefined,
): Promise<string | undefined> {
  await makeDirectoryDurably(dirname(path))
  let aside: string | undefined
  if (fate === 'erase' || fate === 'keep') {
    await eraseFile(previousPath(path))
    await nameAlso(path, previousPath(path))
  } else if (fate !== undefined) {
    aside = await putAside(path, fate.ending)
  }
  await writeDurably('keystore', path, bytes)
  return aside
}

/** Gives the file in the place another name, never that of a different file. @returns the new name */
async function putAside(path: string, ending: string): Promise<string> {
  const digest = await digestIn(path)
  for (let number = 1; number <= NAMES_MAX; number++) {
    const target = `${path}.${ending}${number === 1 ? '' : `-${number}`}`
    if (!(await isThere(target))) {
      await nameAlso(path, target)
      await dropOldestDamaged(path, target)
      return target
    }
    // The same bytes were put aside before.
    if (digest !== undefined && (await digestIn(target)) === digest) return target
  }
  throw new Error(`there are too many files like ${path}.${ending}`)
}

/** Takes the file out of its place, under another name. @returns the new name */
export async function moveAside(path: string, ending: string): Promise<string> {
  const target = await putAside(path, ending)
  if (await isThere(path)) {
    await durably('keystore.remove', () => unlink(path))
    await durablySync('keystore.remove-sync', () => syncDirectory(dirname(path)))
  }
  return target
}

/**
 * Overwrites the file with zeros, then removes it. A file with further hard links is another name of a keystore in use, or
 * belongs to a backup of the administrator's: only the name goes.
 */
export async function eraseFile(path: string): Promise<void> {
  const flags = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw error
  })
  if (file === undefined) return
  try {
    const { size, nlink } = await file.stat()
    if (nlink === 1) {
      const zeros = Buffer.alloc(Math.min(size, KEYSTORE_BYTES_MAX))
      await durablyWrite('keystore.wipe', zeros, bytes => file.write(bytes, 0, bytes.length, 0))
      await durablySync('keystore.wipe-sync', () => file.sync())
    }
  } finally {
    await file.close()
  }
  await durably('keystore.remove', () => unlink(path))
  await durablySync('keystore.remove-sync', () => syncDirectory(dirname(path)))
}

/** A second name; without hard links the place has none for a moment, and the other place has the keystore. */
async function nameAlso(path: string, target: string): Promise<void> {
  await durably('keystore.aside', async () => {
    try {
      await link(path, target)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === undefined || !NO_LINKS.has(code)) throw error
      await rename(path, target)
    }
  })
  await durablySync('keystore.aside-sync', () => syncDirectory(dirname(path)))
}

async function dropOldestDamaged(path: string, newest: string): Promise<void> {
  const folder = dirname(path)
  const beginning = `${basename(path)}.damaged-`
  const found: { path: string; changedMs: number }[] = []
  for (const name of await readdir(folder)) {
    const each = join(folder, name)
    if (!name.startsWith(beginning) || each === newest) continue
    found.push({ path: each, changedMs: (await lstat(each)).ctimeMs })
  }
  found.sort((a, b) => a.changedMs - b.changedMs)
  const surplus = Math.max(0, found.length + 1 - DAMAGED_MAX)
  for (const each of found.slice(0, surplus)) await eraseFile(each.path)
}

async function isThere(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  )
}

/** undefined when it can't be read */
async function digestIn(path: string): Promise<string | undefined> {
  // Larger than any keystore: what it holds is no keystore's digest.
  const bytes = await readSmallFile(path, KEYSTORE_BYTES_MAX).catch(() => undefined)
  return bytes === undefined || bytes.length > KEYSTORE_BYTES_MAX ? undefined : digestOf(bytes)
}
