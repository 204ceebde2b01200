// What a crash can leave behind, set right when a store is opened: block files and tails that no commit knows of.

import { readdir, stat, truncate, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreError } from '../errors.ts'
import { durably } from '../fault-points.ts'
import type { BlockRecord } from './block-store.ts'
import { codeOf } from './errors.ts'
import { blockOfName, blockPath, FOLDER_NAME, GROUP_NAME } from './paths.ts'
import { scanBlockFile } from './scan.ts'

export interface Leftovers {
  /** the largest id that any record or file has */
  readonly greatestBlock: number
  readonly deletedFiles: number
  readonly truncatedFiles: number
}

/**
 * Deletes the block files without a record and cuts the tails of the open ones, unless they prove that the metadata
 * is older than they are: then nothing is touched.
 * @throws StoreError METADATA_BEHIND
 */
export async function clearLeftovers(
  directory: string,
  records: ReadonlyMap<number, BlockRecord>,
  committedSequence: number,
): Promise<Leftovers> {
  const unknown = await findUnknownFiles(directory, records)
  const tails = await findTails(directory, records)
  // First everything is looked at, then everything is cleared: a refused store must stay as it is.
  for (const { path } of unknown) await checkSequences(path, 0, committedSequence)
  for (const { path, lengthBytes } of tails) {
    await checkSequences(path, lengthBytes, committedSequence)
  }
  for (const { path } of unknown) await durably('leftover.delete', () => unlink(path))
  for (const { path, lengthBytes } of tails) {
    await durably('leftover.truncate', () => truncate(path, lengthBytes))
  }
  let greatestBlock = 0
  for (const block of records.keys()) greatestBlock = Math.max(greatestBlock, block)
  for (const { block } of unknown) greatestBlock = Math.max(greatestBlock, block)
  return { greatestBlock, deletedFiles: unknown.length, truncatedFiles: tails.length }
}

async function checkSequences(
  path: string,
  from: number,
  committedSequence: number,
): Promise<void> {
  for await (const region of scanBlockFile(path, from)) {
    if (region.sequence <= committedSequence) continue
    throw new StoreError(
      'METADATA_BEHIND',
      `Block file ${path} was written after commit ${region.sequence}, but the metadata is at ` +
        `commit ${committedSequence}: nothing is touched.`,
    )
  }
}

interface UnknownFile {
  readonly path: string
  readonly block: number
}

async function findUnknownFiles(
  directory: string,
  records: ReadonlyMap<number, BlockRecord>,
): Promise<UnknownFile[]> {
  const unknown: UnknownFile[] = []
  for await (const { path, block } of listBlockFiles(directory)) {
    const record = records.get(block)
    if (record && blockPath(directory, record.group, block).file === path) continue
    unknown.push({ path, block })
  }
  return unknown
}

/** All files that are called as block files are, where block files lie. */
export async function* listBlockFiles(
  directory: string,
): AsyncGenerator<{ path: string; block: number; group: number }, void, undefined> {
  for (const group of await subdirectories(directory, GROUP_NAME)) {
    for (const folder of await subdirectories(join(directory, group), FOLDER_NAME)) {
      const parent = join(directory, group, folder)
      for (const name of await readdir(parent)) {
        const block = blockOfName(name)
        if (block === undefined) continue
        yield { path: join(parent, name), block, group: Number(group) }
      }
    }
  }
}

interface Tail {
  readonly path: string
  readonly lengthBytes: number
}

async function findTails(
  directory: string,
  records: ReadonlyMap<number, BlockRecord>,
): Promise<Tail[]> {
  const tails: Tail[] = []
  for (const record of records.values()) {
    // A closed file's appends had all ended when its record was made, so there is no stat for each of thousands.
    if (record.isClosed) continue
    const path = blockPath(directory, record.group, record.block).file
    try {
      const { size } = await stat(path)
      if (size > record.lengthBytes) tails.push({ path, lengthBytes: record.lengthBytes })
    } catch (error) {
      // Reading from it will say so; the rest of the store is as good as before.
      if (codeOf(error) !== 'ENOENT') throw error
    }
  }
  return tails
}

/** Only those that a block store makes: nothing is deleted elsewhere. */
async function subdirectories(path: string, pattern: RegExp): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true })
  return entries
    .filter(entry => entry.isDirectory() && pattern.test(entry.name))
    .map(entry => entry.name)
}
