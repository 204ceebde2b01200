// The block store over a local directory.

import assert from 'node:assert'
import { mkdir, unlink } from 'node:fs/promises'
import createDebug from 'debug'
import { FilesystemError, StoreError } from '../errors.ts'
import { durably } from '../fault-points.ts'
import {
  ALGORITHM,
  appendRegions,
  createBlockFile,
  type AppendResult,
  type BlockFileHandle,
} from '../native/data-path.ts'
import {
  CHUNK_BYTES_MAX,
  FINGERPRINT_BYTES,
  type BlockCounts,
  type BlockRecord,
  type BlockStore,
  type ChunkLocation,
  type NewChunk,
  type OpenRegion,
  type SealingPolicy,
} from './block-store.ts'
import { codeOf, DamagedRegionError } from './errors.ts'
import { FileReader, type LookupKey } from './file-reader.ts'
import { clearLeftovers, type Leftovers } from './leftovers.ts'
import { OpenBlockFile } from './open-block-file.ts'
import { chunkLists, packBatches, type Batch } from './packing.ts'
import { blockPath } from './paths.ts'
import { RegionCache, regionIn } from './region-cache.ts'
import { Syncer } from './syncer.ts'

export interface BlockStoreOptions {
  /** made if it isn't there */
  readonly directory: string
  /** what the last commit remembers */
  readonly records: Iterable<BlockRecord>
  /** the last durable commit's number */
  readonly committedSequence: number
  /** a content encryption key; undefined when it isn't unlocked */
  readonly lookupKey: LookupKey
  /** memory for opened regions */
  readonly cacheBytes: number
  /** open what was sealed and compare before it counts as written; true unless said otherwise */
  readonly verify?: boolean
  /** seconds since 1970 */
  readonly now?: () => number
  /**
   * the id of the next block file, never one that was in use, and not less than the argument (one more than the
   * largest known), which is taken without it
   */
  readonly nextBlockId?: (atLeast: number) => number
}

const log = createDebug('coffer:blocks')

const PAGES_BITS = 16
const BLOCK_ID_MAX = 2 ** 32 - 1

function cacheKey(block: number, page: number): number {
  return block * 2 ** PAGES_BITS + page
}

/** Prepares the directory (see clearLeftovers) and opens the store. @throws StoreError METADATA_BEHIND */
export async function openBlockStore(options: BlockStoreOptions): Promise<LocalBlockStore> {
  await mkdir(options.directory, { recursive: true })
  const records = new Map<number, BlockRecord>()
  for (const record of options.records) records.set(record.block, record)
  const leftovers = await clearLeftovers(options.directory, records, options.committedSequence)
  return new LocalBlockStore(options, records, leftovers)
}

export class LocalBlockStore implements BlockStore {
  readonly leftovers: Leftovers
  readonly #options: BlockStoreOptions
  readonly #records: Map<number, BlockRecord>
  readonly #changed = new Set<number>()
  /** dropped, their records still in the last commit */
  #dropped = new Map<number, string>()
  /** dropped, and no commit knows of them any more */
  #deletable: string[] = []
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

  constructor(options: BlockStoreOptions, records: Map<number, BlockRecord>, leftovers: Leftovers) {
    this.#options = options
    this.#records = records
    this.leftovers = leftovers
    this.#lastBlock = leftovers.greatestBlock
    this.#cache = new RegionCache(options.cacheBytes)
    this.#reader = new FileReader(options.directory, options.lookupKey)
    this.#syncer = new Syncer(file => this.#letGoIfClosed(file))
    // A file of an earlier life may hold pages beyond its record; writing there again would use nonces twice.
    for (const record of records.values()) {
      if (!record.isClosed) this.#remember({ ...record, isClosed: true })
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
    const changed: BlockRecord[] = []
    for (const block of this.#changed) {
      const record = this.#records.get(block)
      if (record) changed.push(record)
    }
    this.#changed.clear()
    return changed
  }

  async readRegion(block: number, page: number, endPage?: number): Promise<OpenRegion> {
    return this.#cache.getOrLoad(cacheKey(block, page), slot => {
      const record = this.#records.get(block)
      if (!record) return Promise.reject(new DamagedRegionError(block, page, 'missing'))
      return this.#reader.read(record, { page, endPage }, slot, this.#files.get(block)?.handle)
    })
  }

  async readUncached(block: number, page: number, slot: Uint8Array): Promise<OpenRegion> {
    const record = this.#records.get(block)
    if (!record) throw new DamagedRegionError(block, page, 'missing')
    const handle = this.#files.get(block)?.handle
    return regionIn(slot, await this.#reader.read(record, { page }, slot, handle))
  }

  cachedRegion(block: number, page: number): OpenRegion | undefined {
    return this.#cache.get(cacheKey(block, page))
  }

  hasBlock(block: number): boolean {
    return this.#records.has(block)
  }

  records(): Iterable<BlockRecord> {
    return this.#records.values()
  }

  pathOf(block: number): string | undefined {
    const record = this.#records.get(block)
    return record && blockPath(this.#options.directory, record.group, block).file
  }

  closeFiles(isChosen: (record: BlockRecord) => boolean): void {
    for (const [name, file] of this.#current) {
      if (!isChosen(file.record())) continue
      this.#current.delete(name)
      this.#retire(file)
    }
  }

  drop(blocks: readonly number[]): void {
    for (const block of blocks) {
      const path = this.pathOf(block)
      assert(path !== undefined && this.#records.get(block)?.isClosed, 'what is dropped is closed')
      this.#records.delete(block)
      this.#changed.delete(block)
      this.#dropped.set(block, path)
      this.uncache(block)
      this.#reader.close(block)
    }
  }

  correctCounts(block: number, counts: BlockCounts): void {
    const record = this.#records.get(block)
    if (record?.isClosed === true) this.#remember({ ...record, ...counts })
  }

  uncache(block: number): void {
    this.#cache.drop(key => Math.floor(key / 2 ** PAGES_BITS) === block)
  }

  collectDropped(): number[] {
    const blocks = [...this.#dropped.keys()]
    this.#deletable.push(...this.#dropped.values())
    this.#dropped = new Map()
    return blocks
  }

  async deleteFiles(): Promise<void> {
    const paths = this.#deletable
    this.#deletable = []
    for (const path of paths) {
      await durably('block.delete', () => unlink(path)).catch((error: unknown) =>
        log('deleting %s: %O', path, error),
      )
    }
  }

  async forgetGroup(group: number): Promise<void> {
    this.closeFiles(record => record.group === group)
    await this.sync()
    const blocks = new Set<number>()
    for (const record of this.#records.values())
      if (record.group === group) blocks.add(record.block)
    for (const block of blocks) this.#reader.close(block)
    await this.#cache.wipe(key => blocks.has(Math.floor(key / 2 ** PAGES_BITS)))
  }

  keyIdsOf(group: number): Set<number> {
    const ids = new Set<number>()
    for (const record of this.#records.values()) if (record.group === group) ids.add(record.keyId)
    for (const file of this.#files.values()) {
      const record = file.record()
      if (record.group === group) ids.add(record.keyId)
    }
    return ids
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
      this.#remember(file.record())
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
    assert(!this.#records.has(block) && !this.#files.has(block), 'a block id is used once')
    this.#lastBlock = Math.max(this.#lastBlock, block)
    const file = new OpenBlockFile(
      block,
      policy.group,
      policy.keyId,
      policy.compression,
      this.#createFile(policy, block),
    )
    this.#files.set(block, file)
    return file
  }

  async #createFile(policy: SealingPolicy, block: number): Promise<BlockFileHandle> {
    const { group, keyId, key } = policy
    const path = blockPath(this.#options.directory, group, block)
    await durably('block.folder', () => mkdir(path.folder, { recursive: true }))
    // All of them each time, and before the file is made: somebody else may have made a folder a moment ago, or an
    // earlier life that was killed, or a try that failed, and none of these need have synced its parents.
    for (const folder of [path.folder, path.group, this.#options.directory]) {
      this.#syncer.addDirectory(folder)
    }
    const now = this.#options.now?.() ?? Math.floor(Date.now() / 1000)
    const identity = { group, block, keyId, ...(key && { key }) }
    const handle = await durably('block.create', () => createBlockFile(path.file, identity, now))
    // A sync that ran while the file was being made has not seen its name.
    this.#syncer.addDirectory(path.folder)
    return handle
  }

  #retire(file: OpenBlockFile): void {
    file.retire()
    if (this.#records.has(file.block)) this.#remember(file.record())
    this.#letGoIfClosed(file)
  }

  /** A full disk can have room again later; after any other failure the file isn't trusted with more. */
  #afterFailure(file: OpenBlockFile, error: unknown): void {
    const code = codeOf(error)
    const isCreated = this.#records.has(file.block)
    if (isCreated) this.#remember(file.record())
    if ((code === 'ENOSPC' || code === 'EDQUOT') && isCreated) return
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

  #remember(record: BlockRecord): void {
    this.#records.set(record.block, record)
    this.#changed.add(record.block)
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

function locationsOf(block: number, batch: Batch, result: AppendResult): ChunkLocation[] {
  const locations: ChunkLocation[] = []
  batch.counts.forEach((count, index) => {
    const page = result.pages[index]
    const first = result.ordinals[index]
    assert(page !== undefined && first !== undefined, 'every region has a page and an ordinal')
    for (let slot = 0; slot < count; slot++) {
      locations.push({ block, page, ordinal: first + slot })
    }
  })
  return locations
}

function checkPolicy(policy: SealingPolicy): void {
  assert((policy.keyId === 0) === (policy.key === undefined), 'a key comes with its id')
}

function checkChunk(chunk: NewChunk): void {
  const { length } = chunk.data
  assert(length > 0 && length <= CHUNK_BYTES_MAX, 'a chunk has 1 byte to 256 KiB')
  assert(chunk.fingerprint.length === FINGERPRINT_BYTES, 'a fingerprint has 32 bytes')
}

function appendError(error: unknown): unknown {
  const code = codeOf(error)
  if (code === '' || error instanceof TypeError) return error
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new FilesystemError(code, code, { cause: error })
  return new FilesystemError('EIO', `Appending to a block file failed (${code}).`, { cause: error })
}
