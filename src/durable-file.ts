// Whole file or nothing: what a small file holds is either the old bytes or the new ones, and on disk.

import { mkdir, open, realpath, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { durably, durablySync, durablyWrite, type DurableFile } from './fault-points.ts'

/** Temporary file, fsync, rename, fsync of the directory. Only one writer of a path at a time. */
export async function writeDurably(
  what: DurableFile,
  path: string,
  content: string | Uint8Array,
): Promise<void> {
  const temporary = `${path}.new`
  // What a crash left goes first: the new file is made, never found, so that no link leads elsewhere.
  await rm(temporary, { force: true })
  const file = await open(temporary, 'wx', 0o600)
  try {
    await durablyWrite(`${what}.write`, Buffer.from(content), bytes => file.writeFile(bytes))
    await durablySync(`${what}.sync`, () => file.sync())
  } finally {
    await file.close()
  }
  await durably(`${what}.rename`, () => rename(temporary, path))
  await durablySync(`${what}.directory-sync`, () => syncDirectory(dirname(path)))
}

/** The names in a directory are on disk. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** A directory of mode 0700 with what is missing above it; the names of all new ones are on disk. */
export async function makeDirectoryDurably(path: string): Promise<void> {
  const firstMade = await mkdir(path, { recursive: true, mode: 0o700 })
  if (firstMade === undefined) return
  const top = dirname(await realpath(firstMade))
  for (let parent = dirname(await realpath(path)); ; parent = dirname(parent)) {
    await syncDirectory(parent)
    if (parent === top || parent === dirname(parent)) return
  }
}
