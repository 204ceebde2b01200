// Opens the block store of a directory: compares files with records, and sets right what a crash left.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { BlockRecord } from './block-store.ts'
import { BlockRegistry } from './block-registry.ts'
import type { LookupKey } from './file-reader.ts'
import { LocalBlockStore } from './local-block-store.ts'
import { checkSequences, listBlockFiles, planReconciliation, reconcile } from './reconcile.ts'
import { Trash, TRASH_FOLDER } from './trash.ts'

export interface BlockStoreOptions {
  /** made if it isn't there */
  readonly directory: string
  /** what the last commit remembers, of the trash too */
  readonly records: Iterable<BlockRecord>
  /** the last durable commit's number */
  readonly committedSequence: number
  /** ids below this were given out by that commit or earlier ones */
  readonly nextBlock: number
  /** a content encryption key; undefined when it isn't unlocked */
  readonly lookupKey: LookupKey
  /** memory for opened regions */
  readonly cacheBytes: number
  /** open what was sealed and compare before it counts as written; true unless said otherwise */
  readonly verify?: boolean
  /** seconds since 1970 */
  readonly nowSeconds: () => number
  /**
   * the id of the next block file, never one that was in use, and not less than the argument (one more than the
   * largest known), which is taken without it
   */
  readonly nextBlockId?: (atLeast: number) => number
}

/** What a start has set right. */
export interface Reconciled {
  /** the largest id that any record or file has */
  readonly greatestBlock: number
  /** files that went to the trash */
  readonly trashedFiles: number
  /** files whose ids were given out and that have no record; they are left alone */
  readonly strays: readonly string[]
}

/** Compares the directory with the records (see reconcile.ts) and opens the store. @throws StoreError METADATA_BEHIND */
export async function openBlockStore(options: BlockStoreOptions): Promise<LocalBlockStore> {
  const { directory, committedSequence, nextBlock, nowSeconds } = options
  await mkdir(join(directory, TRASH_FOLDER), { recursive: true, mode: 0o700 })
  const records = new Map<number, BlockRecord>()
  for (const record of options.records) records.set(record.block, record)
  const trash = new Trash(directory)
  const files = []
  for await (const file of listBlockFiles(directory)) files.push(file)
  const plan = planReconciliation({ records, files, trash: await trash.list(), nextBlock })
  // First everything is looked at, then everything is moved: a refused store must stay as it is.
  await checkSequences(directory, records, plan, committedSequence)
  const found = await reconcile(trash, plan, nowSeconds())
  const registry = new BlockRegistry(records.values())
  for (const record of found) registry.remember(record)
  for (const block of plan.deleted) registry.forget(block)
  let greatestBlock = 0
  for (const block of records.keys()) greatestBlock = Math.max(greatestBlock, block)
  for (const { block } of [...found, ...plan.strays]) greatestBlock = Math.max(greatestBlock, block)
  const reconciled = {
    greatestBlock,
    trashedFiles: plan.freed.length + plan.uncommitted.length,
    strays: plan.strays.map(({ path }) => path),
  }
  return new LocalBlockStore(options, registry, trash, reconciled)
}
