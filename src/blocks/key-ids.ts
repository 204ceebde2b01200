// Which keys the files of a storage group are sealed with, by their own headers: the second source beside the records,
// asked before a key is erased.

import { stat } from 'node:fs/promises'
import { EvidenceError } from '../deletion-proof.ts'
import { BLOCK_PAGE_BYTES } from './block-store.ts'
import { codeOf } from './errors.ts'
import { listBlockFiles } from './reconcile.ts'
import { readBlockHeader } from './scan.ts'
import type { PlacedBlock, Trash } from './trash.ts'

/**
 * Reads the headers of all files of a group, in their places and in the trash.
 * @param recorded the key id that a block file's record has; undefined without a record
 * @throws EvidenceError when a file has neither a readable header nor a record
 */
export async function keyIdsOnDisk(
  directory: string,
  trash: Trash,
  group: number,
  recorded: (block: number) => number | undefined,
): Promise<Set<number>> {
  const files: { path: string; placed: PlacedBlock }[] = []
  for await (const file of listBlockFiles(directory)) files.push({ path: file.path, placed: file })
  for (const placed of await trash.list()) files.push({ path: trash.pathOf(placed), placed })
  const keyIds = new Set<number>()
  for (const { path, placed } of files) {
    if (placed.group !== group) continue
    const keyId = (await keyIdIn(path)) ?? recorded(placed.block)
    if (keyId !== undefined) keyIds.add(keyId)
    else if (await holdsRegions(path)) {
      throw new EvidenceError(`${path} has neither a header nor a record that names its key.`)
    }
  }
  return keyIds
}

/** @returns undefined for a file that is gone, or whose header can't be read */
async function keyIdIn(path: string): Promise<number | undefined> {
  try {
    return (await readBlockHeader(path))?.keyId
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'EIO') return undefined
    throw error
  }
}

async function holdsRegions(path: string): Promise<boolean> {
  try {
    return (await stat(path)).size > BLOCK_PAGE_BYTES
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}
