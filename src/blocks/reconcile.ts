// At a start the files of block files and their records may differ by what a crash cut off. The records decide: a file
// that was freed goes to the trash, and so does one that no commit can know of. Nothing is deleted or cut here. A file
// with an id that was given out and without a record is no leftover: its record was lost, and it is left alone.

import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreError } from '../errors.ts'
import { BLOCK_FILE_BYTES_MAX, BLOCK_PAGE_BYTES, type BlockRecord } from './block-store.ts'
import { codeOf } from './errors.ts'
import { blockOfName, blockPath, FOLDER_NAME, GROUP_NAME } from './paths.ts'
import { readBlockHeader, scanBlockFile } from './scan.ts'
import type { Moves, PlacedBlock, Trash } from './trash.ts'

/** A file at the place of a block file. */
export interface BlockFilePlace extends PlacedBlock {
  readonly path: string
}

/** What a start does, decided from records and listings alone. */
export interface ReconcilePlan {
  /** freed by the last commit; their files are still in place */
  readonly freed: readonly BlockFilePlace[]
  /** made after the last commit: no record, and an id that was never given out by a commit */
  readonly uncommitted: readonly BlockFilePlace[]
  /** part of the store by their records; their files are in the trash */
  readonly restored: readonly PlacedBlock[]
  /** in the trash without a record */
  readonly unrecorded: readonly PlacedBlock[]
  /** records of the trash whose files are gone: deleted before the commit that says so */
  readonly deleted: readonly number[]
  /** no record, although a commit gave the id out */
  readonly strays: readonly BlockFilePlace[]
}

export interface ReconcileInput {
  readonly records: ReadonlyMap<number, BlockRecord>
  readonly files: readonly BlockFilePlace[]
  readonly trash: readonly PlacedBlock[]
  /** ids below this were given out by commits */
  readonly nextBlock: number
}

export function planReconciliation(input: ReconcileInput): ReconcilePlan {
  const { records, files, trash, nextBlock } = input
  const plan = {
    freed: [] as BlockFilePlace[],
    uncommitted: [] as BlockFilePlace[],
    restored: [] as PlacedBlock[],
    unrecorded: [] as PlacedBlock[],
    deleted: [] as number[],
    strays: [] as BlockFilePlace[],
  }
  const inTrash = new Set<number>()
  for (const { block } of trash) inTrash.add(block)
  const inPlace = new Set<number>()
  for (const file of files) {
    const record = records.get(file.block)
    const isKnown = record?.group === file.group
    if (isKnown) inPlace.add(file.block)
    if (isKnown && record.freedSeconds === null) continue
    if (isKnown && !inTrash.has(file.block)) plan.freed.push(file)
    else if (record === undefined && file.block >= nextBlock && !inTrash.has(file.block)) {
      plan.uncommitted.push(file)
    } else plan.strays.push(file)
  }
  for (const placed of trash) {
    const record = records.get(placed.block)
    if (record === undefined) plan.unrecorded.push(placed)
    else if (record.freedSeconds === null && record.group === placed.group) {
      if (!inPlace.has(placed.block)) plan.restored.push(placed)
    }
  }
  for (const { block, freedSeconds } of records.values()) {
    if (freedSeconds === null || inTrash.has(block) || inPlace.has(block)) continue
    plan.deleted.push(block)
  }
  return plan
}

/**
 * Compares the block files with the commit: a region that was written after a later commit proves that the metadata is
 * older than the block files. Looks at files without a record, and at what open block files hold beyond their records.
 * @throws StoreError METADATA_BEHIND
 */
export async function checkSequences(
  directory: string,
  records: ReadonlyMap<number, BlockRecord>,
  plan: ReconcilePlan,
  committedSequence: number,
): Promise<void> {
  for (const { path } of [...plan.uncommitted, ...plan.strays]) {
    await checkFile(path, BLOCK_PAGE_BYTES, committedSequence)
  }
  for (const { group, block, isClosed, lengthBytes } of records.values()) {
    // A closed file's appends had all ended when its record was made, so there is no look at each of thousands.
    if (isClosed) continue
    const path = blockPath(directory, group, block).file
    await checkFile(path, lengthBytes, committedSequence).catch((error: unknown) => {
      // Reading from it will say so; the rest of the store is as good as before.
      if (codeOf(error) !== 'ENOENT') throw error
    })
  }
}

async function checkFile(path: string, from: number, committedSequence: number): Promise<void> {
  for await (const region of scanBlockFile(path, from)) {
    if (region.sequence <= committedSequence) continue
    throw new StoreError(
      'METADATA_BEHIND',
      `Block file ${path} was written after commit ${region.sequence}, but the metadata is at ` +
        `commit ${committedSequence}: nothing is touched.`,
    )
  }
}

/**
 * Does what the plan says.
 * @returns records of what is in the trash now and had none
 */
export async function reconcile(
  trash: Trash,
  plan: ReconcilePlan,
  nowSeconds: number,
): Promise<BlockRecord[]> {
  throwFirst(await trash.giveBack(plan.restored))
  throwFirst(await trash.take([...plan.freed, ...plan.uncommitted]))
  const records: BlockRecord[] = []
  for (const placed of [...plan.uncommitted, ...plan.unrecorded]) {
    records.push(await recordOf(trash, placed, nowSeconds))
  }
  return records
}

function throwFirst({ errors }: Moves): void {
  const [first] = errors
  if (first !== undefined) throw first.error
}

async function recordOf(
  trash: Trash,
  placed: PlacedBlock,
  nowSeconds: number,
): Promise<BlockRecord> {
  const path = trash.pathOf(placed)
  // A file that can't be read keeps no store from being opened: it is kept, and has no key that is known.
  const header = await readBlockHeader(path).catch((error: unknown) => {
    if (codeOf(error) === 'EIO') return undefined
    throw error
  })
  const { size } = await lstat(path)
  const pages = Math.floor(size / BLOCK_PAGE_BYTES)
  return {
    block: placed.block,
    group: placed.group,
    keyId: header?.keyId ?? 0,
    compression: 'none',
    isClosed: true,
    lengthBytes: Math.min(pages * BLOCK_PAGE_BYTES, BLOCK_FILE_BYTES_MAX),
    regionCount: 0,
    chunkCount: 0,
    rawBytes: 0,
    compressedBytes: 0,
    quarantine: null,
    freedSeconds: nowSeconds,
  }
}

/** Lists the files that are called as block files are, where block files lie; those of the trash are not among them. */
export async function* listBlockFiles(
  directory: string,
): AsyncGenerator<BlockFilePlace, void, undefined> {
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

/** Only those that a block store makes: nothing is touched elsewhere. */
async function subdirectories(path: string, pattern: RegExp): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true })
  return entries
    .filter(entry => entry.isDirectory() && pattern.test(entry.name))
    .map(entry => entry.name)
}
