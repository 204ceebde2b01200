// The block store over a local directory.

import assert from 'node:assert'
import type { DeletionProof } from '../deletion-proof.ts'
import { StoreError } from '../errors.ts'
import { durably } from '../fault-points.ts'
import { ALGORITHM, appendRegions } from '../native/data-path.ts'
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
import { AppendFiles } from './append-files.ts'
import { appendError, checkChunk, checkPolicy, locationsOf } from './append-checks.ts'
import type { BlockRegistry } from './block-registry.ts'
import { codeOf, DamagedRegionError } from './errors.ts'
import { FileReader } from './file-reader.ts'
import { FreedBlocks } from './freed-blocks.ts'
import { chunkLists, packBatches, type Batch } from './packing.ts'
import { blockPath } from './paths.ts'
import { keyIdsOnDisk } from './key-ids.ts'
import type { BlockStoreOptions, Reconciled } from './open-block-store.ts'
import { RegionCache, regionIn } from './region-cache.ts'
import { Syncer } from './syncer.ts'
import type { Trash } from './trash.ts'

const PAGES_BITS = 16

function cacheKey(block: number, page: number): number {
  return block * 2 ** PAGES_BITS + page
}

export class LocalBlockStore implements BlockStore {
  readonly reconciled: Reconciled
  readonly #options: BlockStoreOptions
  readonly #registry: BlockRegistry
  readonly #freed: FreedBlocks
  readonly #trash: Trash
  readonly #files: AppendFiles
  readonly #cache: RegionCache
  readonly #reader: FileReader
  readonly #syncer: Syncer
  readonly #appends = new Set<Promise<unknown>>()
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
    this.#cache = new RegionCache(options.cacheBytes)
    this.#reader = new FileReader(options.directory, options.lookupKey)
    this.#syncer = new Syncer(file => this.#files.releaseIfClosed(file))
    this.#files = new AppendFiles(options, registry, this.#syncer, reconciled.greatestBlock)
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
      return this.#reader.read(record, { page, endPage }, slot, this.#files.handleOf(block))
    })
  }

  async readUncached(block: number, page: number, slot: Uint8Array): Promise<OpenRegion> {
    const record = this.#registry.get(block)
    if (!record) throw new DamagedRegionError(block, page, 'missing')
    const handle = this.#files.handleOf(block)
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
    this.#files.close(isChosen)
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
    for (const record of this.#files.records()) {
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
    this.#files.close(() => true)
    try {
      if (this.#readOnlyReason === undefined) await this.sync()
    } finally {
      this.#reader.closeAll()
      await this.#files.release()
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
    const file = this.#files.reserve(policy, batch)
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
      this.#files.afterFailure(file, error)
      throw appendError(error)
    }
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
