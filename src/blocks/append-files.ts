// The block files that take appends: one of each group and key, and closed ones until they are synced.

import assert from 'node:assert'
import { durably } from '../fault-points.ts'
import { createBlockFile, type BlockFileHandle } from '../native/data-path.ts'
import type { BlockRegistry } from './block-registry.ts'
import type { BlockRecord, SealingPolicy } from './block-store.ts'
import { codeOf } from './errors.ts'
import { OpenBlockFile } from './open-block-file.ts'
import type { BlockStoreOptions } from './open-block-store.ts'
import type { Batch } from './packing.ts'
import { blockPath, makeBlockFolders } from './paths.ts'
import type { Syncer } from './syncer.ts'

const BLOCK_ID_MAX = 2 ** 32 - 1

export class AppendFiles {
  readonly #options: BlockStoreOptions
  readonly #registry: BlockRegistry
  readonly #syncer: Syncer
  /** files with a handle for appends: open ones, and closed ones until they are synced */
  readonly #files = new Map<number, OpenBlockFile>()
  /** the file that takes appends, by group and key */
  readonly #current = new Map<string, OpenBlockFile>()
  #lastBlock: number

  /** @param lastBlock the greatest id that was ever given out */
  constructor(
    options: BlockStoreOptions,
    registry: BlockRegistry,
    syncer: Syncer,
    lastBlock: number,
  ) {
    this.#options = options
    this.#registry = registry
    this.#syncer = syncer
    this.#lastBlock = lastBlock
  }

  /** Returns the handle that a file has for its appends. */
  handleOf(block: number): Promise<BlockFileHandle> | undefined {
    return this.#files.get(block)?.handle
  }

  /** Records of all files that have such a handle. */
  *records(): Generator<BlockRecord, void, undefined> {
    for (const file of this.#files.values()) yield file.record()
  }

  /** The files that are chosen take no more appends. */
  close(isChosen: (record: BlockRecord) => boolean): void {
    for (const [name, file] of this.#current) {
      if (!isChosen(file.record())) continue
      this.#current.delete(name)
      this.#retire(file)
    }
  }

  /** Closes all handles. */
  async release(): Promise<void> {
    for (const file of this.#files.values()) await file.release()
    this.#files.clear()
  }

  /** Returns the file that the batch is to be appended to, with room for it. */
  reserve(policy: SealingPolicy, batch: Batch): OpenBlockFile {
    const name = `${policy.group}:${policy.keyId}`
    const current = this.#current.get(name)
    if (current?.compression === policy.compression && current.reserve(batch)) return current
    if (current) this.#retire(current)
    const file = this.#create(policy)
    this.#current.set(name, file)
    assert(file.reserve(batch), 'a batch fits into an empty block file')
    return file
  }

  #create(policy: SealingPolicy): OpenBlockFile {
    const block = this.#options.nextBlockId?.(this.#lastBlock + 1) ?? this.#lastBlock + 1
    assert(Number.isInteger(block) && block > 0 && block <= BLOCK_ID_MAX, 'a block id has 32 bits')
    const isNew =
      this.#registry.get(block) === undefined && this.#registry.trashed(block) === undefined
    assert(isNew && !this.#files.has(block), 'a block id is used once')
    this.#lastBlock = Math.max(this.#lastBlock, block)
    const file = new OpenBlockFile(
      block,
      policy.group,
      policy.keyId,
      policy.compression,
      this.#createFile(policy, block),
    )
    this.#files.set(block, file)
    // At once: a commit that gives the id out also has its record, so that a file without one is no leftover.
    this.#registry.update(file.record())
    return file
  }

  async #createFile(policy: SealingPolicy, block: number): Promise<BlockFileHandle> {
    const { group, keyId, key } = policy
    const path = blockPath(this.#options.directory, group, block)
    // All of them each time, and before the file is made: somebody else may have made a folder a moment ago, or an
    // earlier life that was killed, or a try that failed, and none of these need have synced its parents.
    for (const folder of await makeBlockFolders(this.#options.directory, path)) {
      this.#syncer.addDirectory(folder)
    }
    const now = this.#options.nowSeconds()
    const identity = { group, block, keyId, ...(key && { key }) }
    const handle = await durably('block.create', () => createBlockFile(path.file, identity, now))
    // A sync that ran while the file was being made has not seen its name.
    this.#syncer.addDirectory(path.folder)
    return handle
  }

  #retire(file: OpenBlockFile): void {
    file.retire()
    this.#registry.update(file.record())
    this.releaseIfClosed(file)
  }

  /** A full disk can have room again later; after any other failure the file isn't trusted with more. */
  afterFailure(file: OpenBlockFile, error: unknown): void {
    const code = codeOf(error)
    this.#registry.update(file.record())
    if ((code === 'ENOSPC' || code === 'EDQUOT') && file.isCreated) return
    for (const [name, current] of this.#current) {
      if (current !== file) continue
      this.#current.delete(name)
      this.#retire(file)
    }
    this.releaseIfClosed(file)
  }

  /** A closed file without unsynced bytes needs no handle for writing any more. */
  releaseIfClosed(file: OpenBlockFile): void {
    if (!file.isClosed || this.#syncer.has(file) || this.#files.get(file.block) !== file) return
    this.#files.delete(file.block)
    void file.release()
  }
}
