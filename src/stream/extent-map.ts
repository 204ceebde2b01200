// The extents of all files: pages in LevelDB, changes in memory until their commit, a bounded cache of clean pages.

import { inodeKey, PendingMap, prefixEnd, TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'
import type { ChunkLocation } from '../blocks/block-store.ts'
import {
  EXTENT_PAGE_BYTES,
  measureExtents,
  packExtents,
  PackedPage,
  parseExtents,
} from './extent.ts'
import type { Extent, ExtentPage } from './extent.ts'

/** Pages of up to some 10 KiB each: about 40 MiB at most. */
const CACHED_PAGES_MAX = 2048

/** Sees every extent that is put in place. */
export interface ExtentWatcher {
  /** @returns where the chunk lies; another place than the extent's own when it has been moved */
  put(location: ChunkLocation, chunkLengthBytes: number): ChunkLocation
}

/** Pages of one file, and the storage group of their chunks. */
export interface PageRange {
  readonly firstPage: number
  readonly endPage: number
  readonly group: number
}

const NO_EXTENTS: readonly Extent[] = []

export class ExtentMap implements CommitParticipant {
  readonly #metadata: MetadataReader
  readonly #pending = new PendingMap<string, ExtentPage>()
  /** page key => extents, least recently used first */
  readonly #clean = new Map<string, ExtentPage>()
  #watcher: ExtentWatcher | undefined
  #droppedCount = 0

  constructor(metadata: MetadataReader) {
    this.#metadata = metadata
  }

  /** From now on `watcher` is told of every extent that is put; undefined ends it. There is one at a time. */
  watch(watcher: ExtentWatcher | undefined): void {
    if (watcher !== undefined && this.#watcher !== undefined) {
      throw new Error('the extents are being watched already')
    }
    this.#watcher = watcher
  }

  /** How often extents or pages of them have been taken away since the start: whether there may be something to free. */
  get droppedCount(): number {
    return this.#droppedCount
  }

  /** Keys of the pages that can hold extents of the range. */
  pageKeys(inode: number, startBytes: number, endBytes: number): Buffer[] {
    const keys: Buffer[] = []
    for (let page = firstPageOf(startBytes); page <= pageOf(endBytes - 1); page++) {
      keys.push(pageKey(inode, page))
    }
    return keys
  }

  /** @param key the page's key in the metadata. @throws StoreError RECORD_DAMAGED */
  pageAt(key: Uint8Array): ExtentPage | undefined {
    const name = Buffer.from(key).toString('latin1')
    const record = Buffer.from(name, 'latin1')
    return this.#load(name, record, record.readUInt32BE(9))
  }

  /**
   * Lets the extents of a page point to where their chunks have been moved. A page that is gone stays gone.
   * @param key the page's key in the metadata
   * @param moved undefined for a chunk that stays where it is
   * @returns whether any has been moved
   */
  relocate(
    key: Uint8Array,
    moved: (location: ChunkLocation, chunkLengthBytes: number) => ChunkLocation | undefined,
  ): boolean {
    const page = this.pageAt(key)
    if (page === undefined) return false
    let isChanged = false
    const extents = page.extents.map(extent => {
      const location = moved(extent.location, extent.chunkLengthBytes)
      if (location === undefined) return extent
      isChanged = true
      return { ...extent, location }
    })
    if (!isChanged) return false
    const name = Buffer.from(key).toString('latin1')
    this.#clean.delete(name)
    this.#pending.set(name, { group: page.group, extents })
    return true
  }

  /** The same by somebody else than the watcher, who is told of the new places, and of what may be free now. */
  repoint(key: Uint8Array, moved: (location: ChunkLocation) => ChunkLocation | undefined): boolean {
    const isChanged = this.relocate(key, (location, chunkLengthBytes) => {
      const to = moved(location)
      return to && (this.#watcher?.put(to, chunkLengthBytes) ?? to)
    })
    if (isChanged) this.#droppedCount++
    return isChanged
  }

  /** Extents that overlap the range, ascending. @throws StoreError RECORD_DAMAGED */
  overlapping(inode: number, startBytes: number, endBytes: number): Extent[] {
    const found: Extent[] = []
    if (endBytes <= startBytes) return found
    for (let page = firstPageOf(startBytes); page <= pageOf(endBytes - 1); page++) {
      for (const extent of this.#page(inode, page)) {
        if (extent.startBytes >= endBytes) break
        if (extent.startBytes + extent.lengthBytes > startBytes) found.push(extent)
      }
    }
    return found
  }

  /**
   * The range of a file of `group` now consists of exactly `extents` (which lie inside it; what they leave out is a hole). Extents that
   * reach into the range from outside are cut off at its ends.
   * @returns by how much the mapped bytes have grown (negative: shrunk)
   */
  replace(
    inode: number,
    group: number,
    startBytes: number,
    endBytes: number,
    extents: readonly Extent[],
  ): number {
    if (endBytes <= startBytes) return 0
    const replaced = this.overlapping(inode, startBytes, endBytes)
    const kept: Extent[] = []
    let grownBytes = 0
    const touched = new Set<number>()
    for (const old of replaced) {
      touched.add(pageOf(old.startBytes))
      const oldEndBytes = old.startBytes + old.lengthBytes
      grownBytes -= Math.min(oldEndBytes, endBytes) - Math.max(old.startBytes, startBytes)
      if (old.startBytes < startBytes)
        kept.push({ ...old, lengthBytes: startBytes - old.startBytes })
      if (oldEndBytes > endBytes) {
        kept.push({
          ...old,
          startBytes: endBytes,
          lengthBytes: oldEndBytes - endBytes,
          chunkOffsetBytes: old.chunkOffsetBytes + (endBytes - old.startBytes),
        })
      }
    }
    for (const extent of extents) grownBytes += extent.lengthBytes
    this.#droppedCount += replaced.length
    const added = this.#watched([...kept, ...extents])
    for (const extent of added) touched.add(pageOf(extent.startBytes))
    const gone = new Set(replaced)
    for (const page of touched) {
      const merged = this.#page(inode, page).filter(extent => !gone.has(extent))
      merged.push(...added.filter(extent => pageOf(extent.startBytes) === page))
      merged.sort((a, b) => a.startBytes - b.startBytes)
      this.#set(inode, page, { group, extents: merged })
    }
    return grownBytes
  }

  /**
   * The first byte from the start of the page on that no extent of an earlier page covers. From one such place to the
   * next, a page's own extents are all there is. @throws StoreError RECORD_DAMAGED
   */
  ownStartBytes(inode: number, page: number): number {
    const startBytes = page * EXTENT_PAGE_BYTES
    const before = page === 0 ? undefined : this.#packed(inode, page - 1)
    if (before === undefined) return startBytes
    return Math.max(startBytes, (page - 1) * EXTENT_PAGE_BYTES + measureExtents(before).endBytes)
  }

  /**
   * Whole pages of `target` become those of `source`, record by record: what ownStartBytes says of the pages' ends is
   * where the range begins and ends. No extent of the target begins in the first page before that range.
   * @returns by how much the target's mapped bytes have grown (negative: shrunk)
   * @throws StoreError RECORD_DAMAGED
   */
  sharePages(source: number, pages: PageRange, target: number, shiftPages: number): number {
    const { firstPage, endPage, group } = pages
    const shiftBytes = shiftPages * EXTENT_PAGE_BYTES
    // All of them are looked at before anything is changed: a damaged one must leave the target as it was.
    const records: { page: number; record: Uint8Array; mappedBytes: number }[] = []
    for (let page = firstPage; page < endPage; page++) {
      const record = this.#packed(source, page)
      if (record === undefined) continue
      records.push({ page: page + shiftPages, record, ...measureExtents(record) })
    }
    let grownBytes = this.replace(
      target,
      group,
      this.ownStartBytes(source, firstPage) + shiftBytes,
      this.ownStartBytes(source, endPage) + shiftBytes,
      [],
    )
    for (const { page, record, mappedBytes } of records) {
      if (mappedBytes === 0) continue
      grownBytes += mappedBytes
      const packed = new PackedPage(page * EXTENT_PAGE_BYTES, record)
      const isWatched = this.#watcher !== undefined
      this.#set(
        target,
        page,
        isWatched ? { group, extents: this.#watched(packed.extents) } : packed,
      )
    }
    return grownBytes
  }

  /** A page's record as it is, or will be; undefined when it has none. */
  #packed(inode: number, page: number): Uint8Array | undefined {
    const key = pageKey(inode, page)
    const pending = this.#pending.get(key.toString('latin1'))
    if (pending === undefined) return this.#metadata.get(key)
    if (pending === null) return undefined
    return recordOf(page, pending)
  }

  /**
   * The first page from `page` on, before `endPage`, that has extents: large holes are passed over at once.
   * @returns where it starts, in bytes
   */
  async nextPageBytes(
    inode: number,
    startBytes: number,
    endBytes: number,
  ): Promise<number | undefined> {
    const endPage = pageOf(endBytes - 1) + 1
    let next = endPage
    const from = pageKey(inode, pageOf(startBytes))
    const to = pageKey(inode, endPage)
    const [low, high] = [from.toString('latin1'), to.toString('latin1')]
    const numberOf = (key: Buffer): number => key.readUInt32BE(9)
    for (const name of this.#pending.keys()) {
      if (name < low || name >= high || isEmpty(this.#pending.get(name))) continue
      next = Math.min(next, numberOf(Buffer.from(name, 'latin1')))
    }
    for await (const { key } of this.#metadata.range(from, to)) {
      const isReplaced = this.#pending.get(Buffer.from(key).toString('latin1')) !== undefined
      if (isReplaced) continue
      next = Math.min(next, numberOf(Buffer.from(key)))
      break
    }
    return next === endPage ? undefined : next * EXTENT_PAGE_BYTES
  }

  /** Removes up to `countMax` pages of a file; false when none is left. */
  async discardSlice(inode: number, countMax: number): Promise<boolean> {
    const prefix = inodeKey(TABLE.extents, inode)
    this.#discardPending(prefix.toString('latin1'))
    let count = 0
    const drop = (key: Uint8Array): boolean => {
      const name = Buffer.from(key).toString('latin1')
      if (this.#pending.get(name) === null) return false
      this.#clean.delete(name)
      this.#pending.delete(name)
      this.#droppedCount++
      return true
    }
    // What can't be read isn't wanted any more either: a damaged page must not keep its file for ever.
    const pages = this.#metadata.range(prefix, prefixEnd(prefix), drop)
    for await (const { key } of pages) if (drop(key) && ++count >= countMax) return true
    return false
  }

  /**
   * What LevelDB may not know yet, and a commit in flight is about to tell it. Before LevelDB is asked: what is pending now
   * may be settled by the time of its answer, and be in neither.
   */
  #discardPending(prefix: string): void {
    for (const name of this.#pending.keys()) {
      if (!name.startsWith(prefix) || this.#pending.get(name) === null) continue
      this.#clean.delete(name)
      this.#pending.delete(name)
      this.#droppedCount++
    }
  }

  collect(batch: MetadataWriter): void {
    for (const [name, page] of this.#pending.collect()) {
      const key = Buffer.from(name, 'latin1')
      if (page === null || isEmpty(page)) batch.delete(key)
      else batch.put(key, recordOf(key.readUInt32BE(9), page))
    }
  }

  settled(): void {
    this.#pending.settled()
  }

  #page(inode: number, page: number): readonly Extent[] {
    const key = pageKey(inode, page)
    return this.#load(key.toString('latin1'), key, page)?.extents ?? NO_EXTENTS
  }

  #load(name: string, key: Buffer, page: number): ExtentPage | undefined {
    const pending = this.#pending.get(name)
    if (pending !== undefined) return pending ?? undefined
    const cached = this.#clean.get(name)
    if (cached !== undefined) {
      this.#clean.delete(name)
      this.#clean.set(name, cached)
      return cached
    }
    const value = this.#metadata.get(key)
    if (value === undefined) return undefined
    const loaded = parseExtents(page * EXTENT_PAGE_BYTES, value)
    this.#clean.set(name, loaded)
    if (this.#clean.size > CACHED_PAGES_MAX) {
      for (const oldest of this.#clean.keys()) {
        this.#clean.delete(oldest)
        break
      }
    }
    return loaded
  }

  #watched(extents: readonly Extent[]): readonly Extent[] {
    const watcher = this.#watcher
    if (watcher === undefined) return extents
    return extents.map(extent => {
      const location = watcher.put(extent.location, extent.chunkLengthBytes)
      return location === extent.location ? extent : { ...extent, location }
    })
  }

  #set(inode: number, page: number, extents: ExtentPage): void {
    const name = pageKey(inode, page).toString('latin1')
    this.#clean.delete(name)
    this.#pending.set(name, extents)
  }
}

function isEmpty(page: ExtentPage | null | undefined): boolean {
  if (page === null || page === undefined) return true
  return !(page instanceof PackedPage) && page.extents.length === 0
}

function recordOf(page: number, extents: ExtentPage): Uint8Array {
  if (extents instanceof PackedPage) return extents.record
  return packExtents(page * EXTENT_PAGE_BYTES, extents)
}

function pageOf(offsetBytes: number): number {
  return Math.floor(offsetBytes / EXTENT_PAGE_BYTES)
}

/** An extent that reaches into the page of an offset may start in the one before. */
function firstPageOf(offsetBytes: number): number {
  return Math.max(0, pageOf(offsetBytes) - 1)
}

function pageKey(inode: number, page: number): Buffer {
  const key = inodeKey(TABLE.extents, inode, 4)
  key.writeUInt32BE(page, 9)
  return key
}
