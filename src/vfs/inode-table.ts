// The inodes in memory: loaded on demand, numbered, marked when they change, written at commits, let go when too many.

import { FilesystemError } from '../errors.ts'
import type { MetadataReader, MetadataWriter } from '../metadata/contract.ts'
import { inodeKey, TABLE } from '../metadata/keys.ts'
import { Inode } from './inode.ts'
import { decodeInode, encodeInode, type InodeFields } from './records/inode-record.ts'
import {
  COUNTERS_KEY,
  decodeCounters,
  encodeCounters,
  type Counters,
} from './records/container-record.ts'
import type { InodeNumber } from './types.ts'

/** the root of the mount, whose entries are the containers */
export const ROOT_INODE = 1
/** about 400 bytes each, so 80 MB at most */
const CACHED_INODES_MAX = 200_000
/** fewer are loaded one by one in less time than it takes to ask another thread */
const PRELOADED_MIN = 4
/** how many inodes one eviction looks at: keeps the pause short */
const EVICTION_SLICE = 1_000

export class InodeTable {
  readonly #metadata: MetadataReader
  readonly #touched: (recordCount: number) => void
  readonly #cachedMax: number
  readonly #inodes = new Map<InodeNumber, Inode>()
  readonly #counters: Counters
  /** references that the kernel holds */
  readonly #lookups = new Map<InodeNumber, number>()
  #dirty = new Set<Inode>()
  #committing = new Set<Inode>()
  #isEvictionQueued = false
  #commitCount = 0

  constructor(
    metadata: MetadataReader,
    touched: (recordCount: number) => void,
    cachedMax = CACHED_INODES_MAX,
  ) {
    this.#metadata = metadata
    this.#touched = touched
    this.#cachedMax = cachedMax
    const counters = metadata.get(COUNTERS_KEY)
    this.#counters =
      counters === undefined
        ? { nextInode: ROOT_INODE + 1, nextContainer: 1 }
        : decodeCounters(counters)
  }

  /** @throws ENOENT when there is no such inode (any more) */
  get(number: InodeNumber): Inode {
    const inode = this.find(number)
    if (inode === undefined) throw new FilesystemError('ENOENT', `There is no inode ${number}.`)
    return inode
  }

  find(number: InodeNumber): Inode | undefined {
    const cached = this.#inodes.get(number)
    if (cached !== undefined) {
      cached.recentlyUsed = true
      return cached.isDeleted ? undefined : cached
    }
    const record = this.#metadata.get(inodeKey(TABLE.inode, number))
    return record === undefined ? undefined : this.#load(number, record)
  }

  #load(number: InodeNumber, record: Uint8Array): Inode {
    const inode = new Inode(number, decodeInode(record, number), true)
    // whether a direct handle wrote before the inode was let go is not known any more
    inode.isPageCacheStale = this.#lookups.has(number)
    return this.#add(inode)
  }

  /**
   * Brings what isn't in memory yet there at once, for lookups that are about to come. What can't be read is left to them,
   * who tell whose it is.
   */
  async preload(numbers: readonly InodeNumber[]): Promise<void> {
    const missing = numbers.filter(number => !this.#inodes.has(number))
    if (missing.length < PRELOADED_MIN) return
    const before = this.#commitCount
    const keys = missing.map(number => inodeKey(TABLE.inode, number))
    const records = await this.#metadata.getMany(keys).catch(() => [])
    // What was not in memory then is changed in memory first: without a commit, these are still the newest records.
    if (before !== this.#commitCount) return
    for (const [index, number] of missing.entries()) {
      const record = records[index]
      if (record === undefined || this.#inodes.has(number)) continue
      try {
        this.#load(number, record)
      } catch {
        // Its lookup meets the same, and says so.
      }
    }
  }

  /** Without loading it. */
  peek(number: InodeNumber): Inode | undefined {
    return this.#inodes.get(number)
  }

  /** how many are in memory, and how many of all the kernel knows */
  get counts(): { readonly cached: number; readonly referred: number } {
    return { cached: this.#inodes.size, referred: this.#lookups.size }
  }

  /** how many numbers were ever given out */
  get usedNumbers(): number {
    return this.#counters.nextInode - 1
  }

  /** A new inode with a number that was never used before. */
  create(fields: InodeFields): Inode {
    return this.createAs(this.#counters.nextInode++, fields)
  }

  createAs(number: InodeNumber, fields: InodeFields): Inode {
    const inode = this.#add(new Inode(number, fields, false))
    this.changed(inode)
    return inode
  }

  /** Numbers below are never given out again. */
  raiseCounters(nextInode: number, nextContainer: number): boolean {
    const isRaised =
      nextInode > this.#counters.nextInode || nextContainer > this.#counters.nextContainer
    this.#counters.nextInode = Math.max(this.#counters.nextInode, nextInode)
    this.#counters.nextContainer = Math.max(this.#counters.nextContainer, nextContainer)
    return isRaised
  }

  nextContainer(): number {
    return this.#counters.nextContainer++
  }

  /** The inode's record goes into the next commit. */
  changed(inode: Inode): void {
    const recordCount = inode.isDirty ? 0 : 1
    inode.isDirty = true
    this.#dirty.add(inode)
    this.#touched(recordCount)
  }

  /** The inode's record goes away with the next commit; nobody finds it from now on. */
  delete(inode: Inode): void {
    inode.isDeleted = true
    this.#lookups.delete(inode.number)
    this.changed(inode)
  }

  /** The kernel got one more reference. */
  refer(inode: Inode): void {
    this.#lookups.set(inode.number, (this.#lookups.get(inode.number) ?? 0) + 1)
  }

  /** @returns whether that was the last reference */
  unrefer(number: InodeNumber, count: number): boolean {
    const left = (this.#lookups.get(number) ?? 0) - count
    if (left > 0) {
      this.#lookups.set(number, left)
      return false
    }
    this.#lookups.delete(number)
    return true
  }

  /** Numbers that the kernel knows, whose pages it may have. */
  referredNumbers(): IterableIterator<InodeNumber> {
    return this.#lookups.keys()
  }

  isReferred(inode: Inode): boolean {
    return inode.pins > 0 || this.#lookups.has(inode.number)
  }

  collect(batch: MetadataWriter): void {
    // a batch that never settled is written again: its changes are not durable
    for (const inode of this.#dirty) {
      inode.isDirty = false
      inode.isCommitting = true
      this.#committing.add(inode)
    }
    if (this.#committing.size === 0) return
    this.#dirty = new Set()
    for (const inode of this.#committing) {
      const key = inodeKey(TABLE.inode, inode.number)
      if (!inode.isDeleted) {
        batch.put(key, encodeInode(inode, inode.committableSizeBytes, inode.mappedBytes))
        inode.isStored = true
      } else if (inode.isStored) {
        batch.delete(key)
      }
    }
    batch.put(COUNTERS_KEY, encodeCounters(this.#counters))
  }

  settled(): void {
    this.#commitCount++
    for (const inode of this.#committing) {
      inode.isCommitting = false
      if (inode.isDeleted && !inode.isDirty) this.#inodes.delete(inode.number)
    }
    this.#committing = new Set()
    if (this.#inodes.size > this.#cachedMax) this.#queueEviction()
  }

  #add(inode: Inode): Inode {
    this.#inodes.set(inode.number, inode)
    if (this.#inodes.size > this.#cachedMax) this.#queueEviction()
    return inode
  }

  /** Never in the middle of an operation: what it has just loaded would be let go under its hands. */
  #queueEviction(): void {
    if (this.#isEvictionQueued) return
    this.#isEvictionQueued = true
    setImmediate(() => {
      this.#isEvictionQueued = false
      const before = this.#inodes.size
      this.#evict()
      // what is pinned stays: the next one that is loaded tries again
      const isProgress = this.#inodes.size < before
      if (isProgress && this.#inodes.size > this.#cachedMax) this.#queueEviction()
    })
  }

  /**
   * Second chance: the map keeps the order of insertion; what was used since goes to the end, the rest is let go
   * unless it is pinned. Looks at one slice only: what is pinned now is looked at again later.
   */
  #evict(): void {
    let left = EVICTION_SLICE
    for (const inode of this.#inodes.values()) {
      if (this.#inodes.size <= this.#cachedMax || left-- === 0) return
      this.#inodes.delete(inode.number)
      if (inode.recentlyUsed || inode.isPinned) {
        inode.recentlyUsed = false
        this.#inodes.set(inode.number, inode)
      }
    }
  }
}
