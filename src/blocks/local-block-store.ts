// The block store over a local directory.

import assert from 'node:assert'
import type { DeletionProof } from '../deletion-proof.ts'
import { StoreError } from '../errors.ts'
import { durably } from '../fault-points.ts'
import {
  ALGORITHM,
  appendRegions,
  createBlockFile,
  type BlockFileHandle,
} from '../native/data-path.ts'
import {
  QUARANTINE_REASON_MAX,
  type BlockCounts,
  type BlockRecord,
  type BlockStore,
  type ChunkLocation,
  type NewChunk,
  type OpenRegion,
  type SealingPolicy,
  type TrashDeletion,
} from './block-store.ts'
import { appendError, checkChunk, checkPolicy, locationsOf } from './append-checks.ts'
import type { BlockRegistry } from './block-registry.ts'
import { codeOf, DamagedRegionError } from './errors.ts'
import { FileReader } from './file-reader.ts'
import { FreedBlocks } from './freed-blocks.ts'
import { OpenBlockFile } from './open-block-file.ts'
import { chunkLists, packBatches, type Batch } from './packing.ts'
import { blockPath, makeBlockFolders } from './paths.ts'
import { keyIdsOnDisk } from './key-ids.ts'
import type { BlockStoreOptions, Reconciled } from './open-block-store.ts'
import { RegionCache, regionIn } from './region-cache.ts'
import { Syncer } from './syncer.ts'
import type { Trash } from './trash.ts'

const PAGES_BITS = 16
const BLOCK_ID_MAX = 2 ** 32 - 1

function cacheKey(block: number, page: number): number {
  return block * 2 ** PAGES_BITS + page
}

export class LocalBlockStore implements BlockStore {
  readonly reconciled: Reconciled
  readonly #options: BlockStoreOptions
  readonly #registry: BlockRegistry
  readonly #freed: FreedBlocks
  readonly #trash: Trash
  /** files with a handle for appends: open ones, and closed ones until they are synced */
  readonly #files = new Map<number, OpenBlockFile>()
  /** the file that takes appends, by group and key */
  readonly #current = new Map<string, OpenBlockFile>()
  readonly #cache: RegionCache
  readonly #reader: FileReader
  readonly #syncer: Syncer
  readonly #appends = new Set<Promise<unknown>>()
  #lastBlock: number
  #isClosed = false
  #readOnlyReason: string | undefined

  constructor(
    options: BlockStoreOptions,
    registry: BlockRegistry,
    trash: Trash,
    reconciled: Reconciled,
  ) {
    this.#options = options
    this.#registry = registry
    this.#trash = trash
    this.#freed = new FreedBlocks(registry, trash)
    this.reconciled = reconciled
    this.#lastBlock = reconciled.greatestBlock
    this.#cache = new RegionCache(options.cacheBytes)
    this.#reader = new FileReader(options.directory, options.lookupKey)
    this.#syncer = new Syncer(file => this.#letGoIfClosed(file))
    // A file of an earlier life may hold pages beyond its record; writing there again would use nonces twice.
    for (const record of registry.live()) {
      if (!record.isClosed) registry.remember({ ...record, isClosed: true })
    }
  }

  /** Why nothing is written any more; undefined while everything is well. */
  get readOnlyReason(): string | undefined {
    return this.#readOnlyReason
  }

  append(
    policy: SealingPolicy,
    chunks: readonly NewChunk[],
    sequence: number,
    written?: (bytes: number) => void,
  ): Promise<ChunkLocation[]> {
    const append = this.#append(policy, chunks, sequence, written)
    this.#appends.add(append)
    const forget = (): void => {
      this.#appends.delete(append)
    }
    append.then(forget, forget)
    return append
  }

  async sync(): Promise<void> {
    this.#checkWritable()
    try {
      await this.#syncer.sync()
    } catch (error) {
      this.#readOnlyReason ??= `A sync failed: ${codeOf(error)}.`
      throw this.#readOnlyError(error)
    }
    // Callers of one pass fail together, also those whose own pass came later.
    this.#checkWritable()
  }

  collectRecords(): BlockRecord[] {
    this.#freed.collected()
    return this.#registry.collectChanged()
  }

  collectForgotten(): number[] {
    return this.#registry.collectForgotten()
  }

  async readRegion(block: number, page: number, endPage?: number): Promise<OpenRegion> {
    return this.#cache.getOrLoad(cacheKey(block, page), slot => {
      const record = this.#registry.get(block)
      if (!record) return Promise.reject(new DamagedRegionError(block, page, 'missing'))
      return this.#reader.read(record, { page, endPage }, slot, this.#files.get(block)?.handle)
    })
  }

  async readUncached(block: number, page: number, slot: Uint8Array): Promise<OpenRegion> {
    const record = this.#registry.get(block)
    if (!record) throw new DamagedRegionError(block, page, 'missing')
    const handle = this.#files.get(block)?.handle
    return regionIn(slot, await this.#reader.read(record, { page }, slot, handle))
  }

  cachedRegion(block: number, page: number): OpenRegion | undefined {
    return this.#cache.get(cacheKey(block, page))
  }

  hasBlock(block: number): boolean {
    return this.#registry.get(block) !== undefined
  }

  records(): Iterable<BlockRecord> {
    return this.#registry.live()
  }

  pathOf(block: number): string | undefined {
    const record = this.#registry.get(block)
    return record && blockPath(this.#options.directory, record.group, block).file
  }

  closeFiles(isChosen: (record: BlockRecord) => boolean): void {
    for (const [name, file] of this.#current) {
      if (!isChosen(file.record())) continue
      this.#current.delete(name)
      this.#retire(file)
    }
  }

  free(proofs: readonly DeletionProof<number>[], nowSeconds: number): void {
    for (const { subject: block } of proofs) {
      this.#freed.add(block, nowSeconds)
      this.uncache(block)
      this.#reader.close(block)
    }
  }

  settleFreed(): Promise<void> {
    return this.#freed.settle()
  }

  freed(): readonly BlockRecord[] {
    return this.#registry.trash()
  }

  trashed(): readonly BlockRecord[] {
    return this.#freed.moved()
  }

  get trashedBytes(): number {
    return this.#freed.movedBytes
  }

  deleteTrashed(proofs: readonly DeletionProof<number>[]): Promise<TrashDeletion> {
    return this.#freed.delete(proofs)
  }

  restoreTrashed(blocks: readonly number[]): Promise<number[]> {
    return this.#freed.restore(blocks)
  }

  condemn(blocks: readonly number[]): void {
    this.#registry.condemn(blocks)
  }

  pardonAll(): void {
    this.#registry.pardonAll()
  }

  quarantine(block: number, reason: string): void {
    this.#registry.setQuarantine(block, reason.slice(0, QUARANTINE_REASON_MAX))
    // Fresh copies must not come to lie beside what they replace.
    this.closeFiles(record => record.block === block)
  }

  endQuarantine(block: number): void {
    this.#registry.setQuarantine(block, null)
  }

  get quarantined(): ReadonlyMap<number, string> {
    return this.#registry.quarantined
  }

  isUsable(block: number): boolean {
    return this.#registry.isUsable(block)
  }

  correctCounts(block: number, counts: BlockCounts): void {
    const record = this.#registry.get(block)
    if (record?.isClosed === true) this.#registry.remember({ ...record, ...counts })
  }

  uncache(block: number): void {
    this.#cache.drop(key => Math.floor(key / 2 ** PAGES_BITS) === block)
  }

  async forgetGroup(group: number): Promise<void> {
    this.closeFiles(record => record.group === group)
    await this.sync()
    const blocks = new Set<number>()
    for (const record of this.#registry.live()) if (record.group === group) blocks.add(record.block)
    for (const block of blocks) this.#reader.close(block)
    await this.#cache.wipe(key => blocks.has(Math.floor(key / 2 ** PAGES_BITS)))
  }

  keyIdsOf(group: number): Set<number> {
    const ids = this.#registry.keyIdsOf(group)
    for (const file of this.#files.values()) {
      const record = file.record()
      if (record.group === group) ids.add(record.keyId)
    }
    return ids
  }

  keyIdsOnDisk(group: number): Promise<Set<number>> {
    const keyIdOf = (block: number): number | undefined =>
      (this.#registry.get(block) ?? this.#registry.trashed(block))?.keyId
    return keyIdsOnDisk(this.#options.directory, this.#trash, group, keyIdOf)
  }

  /** After a sync, nothing stays open for writing; the records of the files that were open are collectable. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await Promise.allSettled(this.#appends)
    for (const file of this.#current.values()) this.#retire(file)
    this.#current.clear()
    try {
      if (this.#readOnlyReason === undefined) await this.sync()
    } finally {
      this.#reader.closeAll()
      for (const file of this.#files.values()) await file.release()
      this.#files.clear()
    }
  }

  async #append(
    policy: SealingPolicy,
    chunks: readonly NewChunk[],
    sequence: number,
    written?: (bytes: number) => void,
  ): Promise<ChunkLocation[]> {
    assert(!this.#isClosed, 'a closed store takes no appends')
    this.#checkWritable()
    checkPolicy(policy)
    chunks.forEach(checkChunk)
    const batches = packBatches(chunks)
    const settled = await Promise.allSettled(
      batches.map(batch => this.#appendBatch(policy, chunks, batch, sequence, written)),
    )
    // Only when all have ended may the caller have the chunks' memory back.
    const locations: ChunkLocation[] = []
    for (const result of settled) {
      if (result.status === 'rejected') throw result.reason
      for (const location of result.value) locations.push(location)
    }
    return locations
  }

  async #appendBatch(
    policy: SealingPolicy,
    chunks: readonly NewChunk[],
    batch: Batch,
    sequence: number,
    written?: (bytes: number) => void,
  ): Promise<ChunkLocation[]> {
    const file = this.#reserve(policy, batch)
    const total = batch.counts.reduce((sum, count) => sum + count, 0)
    const lists = chunkLists(chunks.slice(batch.first, batch.first + total))
    try {
      const handle = await file.handle
      const result = await durably('block.append', () =>
        appendRegions(handle, {
          sequence,
          algorithm: ALGORITHM[policy.compression],
          verify: this.#options.verify ?? true,
          ...lists,
          counts: Uint32Array.from(batch.counts),
        }),
      )
      file.complete(batch, result)
      written?.(result.writtenBytes)
      this.#syncer.addFile(file)
      this.#registry.update(file.record())
      return locationsOf(file.block, batch, result)
    } catch (error) {
      file.fail()
      this.#afterFailure(file, error)
      throw appendError(error)
    }
  }

  #reserve(policy: SealingPolicy, batch: Batch): OpenBlockFile {
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
    const isNew = !this.hasBlock(block) && this.#registry.trashed(block) === undefined
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
    this.#letGoIfClosed(file)
  }

  /** A full disk can have room again later; after any other failure the file isn't trusted with more. */
  #afterFailure(file: OpenBlockFile, error: unknown): void {
    const code = codeOf(error)
    this.#registry.update(file.record())
    if ((code === 'ENOSPC' || code === 'EDQUOT') && file.isCreated) return
    for (const [name, current] of this.#current) {
      if (current !== file) continue
      this.#current.delete(name)
      this.#retire(file)
    }
    this.#letGoIfClosed(file)
  }

  /** A closed file without unsynced bytes needs no handle for writing any more. */
  #letGoIfClosed(file: OpenBlockFile): void {
    if (!file.isClosed || this.#syncer.has(file) || this.#files.get(file.block) !== file) return
    this.#files.delete(file.block)
    void file.release()
  }

  #checkWritable(): void {
    if (this.#readOnlyReason !== undefined) throw this.#readOnlyError()
  }

  #readOnlyError(cause?: unknown): StoreError {
    return new StoreError(
      'STORE_READ_ONLY',
      `The store takes no more writes: ${this.#readOnlyReason ?? ''}`,
      cause === undefined ? undefined : { cause },
    )
  }
}
