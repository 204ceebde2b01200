// The extents of all files, page by page: looked up, replaced, moved, shared between files and removed.

import { inodeKey, prefixEnd, TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'
import type { ChunkLocation } from '../blocks/block-store.ts'
import { EXTENT_PAGE_BYTES, endOf, mappedBytes } from './extent.ts'
import type { Extent, ExtentPage } from './extent.ts'
import { fileOf, numberOfPage, pageKey, pageName, pageOf, parsedKey } from './extent-keys.ts'
import { ExtentPages } from './extent-pages.ts'
import type { ExtentObserver } from './extent-pages.ts'
import { ExtentRecord } from './extent-record.ts'

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

export class ExtentMap implements CommitParticipant {
  readonly #metadata: MetadataReader
  readonly #pages: ExtentPages
  #watcher: ExtentWatcher | undefined
  #droppedCount = 0

  /** @param touched so many records more are to be committed */
  constructor(
    metadata: MetadataReader,
    observer: ExtentObserver,
    touched: (recordCount: number) => void = () => undefined,
  ) {
    this.#metadata = metadata
    this.#pages = new ExtentPages(metadata, observer, touched)
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
    // An extent that reaches into the first page may start in the one before.
    for (let page = Math.max(0, pageOf(startBytes) - 1); page <= pageOf(endBytes - 1); page++) {
      keys.push(pageKey(inode, page))
    }
    return keys
  }

  /** @param key the page's key in the metadata. @throws StoreError RECORD_DAMAGED */
  pageAt(key: Uint8Array): ExtentPage | undefined {
    const { name, page } = parsedKey(key)
    const record = this.#pages.get(name)
    return record && { group: record.group, extents: record.extents(page * EXTENT_PAGE_BYTES) }
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
    const { name } = parsedKey(key)
    const record = this.#pages.get(name)
    const relocated = record?.relocated(moved)
    if (relocated === undefined || relocated === record) return false
    this.#pages.set(name, relocated, record)
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
    const firstPage = pageOf(startBytes)
    const lastPage = pageOf(endBytes - 1)
    for (let page = firstPage; page <= lastPage; page++) {
      const pageBytes = page * EXTENT_PAGE_BYTES
      const record = this.#pages.get(pageName(inode, page))
      const isReached = record !== undefined && record.hasStartBy(startBytes - pageBytes)
      if (page === firstPage && !isReached) found.push(...this.#reaching(inode, page, startBytes))
      if (record === undefined) continue
      const toPlace = record.firstStartingAt(endBytes - pageBytes)
      for (let place = record.firstEndingBehind(startBytes - pageBytes); place < toPlace; place++) {
        found.push(record.extent(pageBytes, place))
      }
    }
    return found
  }

  /** The last extent of the page before, if it reaches beyond this byte. */
  #reaching(inode: number, page: number, startBytes: number): Extent[] {
    const record = page === 0 ? undefined : this.#pages.get(pageName(inode, page - 1))
    if (record === undefined || record.count === 0) return []
    const extent = record.extent((page - 1) * EXTENT_PAGE_BYTES, record.count - 1)
    return endOf(extent) > startBytes ? [extent] : []
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
    const first = replaced.at(0)
    const last = replaced.at(-1)
    const added: Extent[] = []
    if (first !== undefined && first.startBytes < startBytes) {
      added.push({ ...first, lengthBytes: startBytes - first.startBytes })
    }
    added.push(...extents)
    if (last !== undefined && endOf(last) > endBytes) {
      added.push({
        ...last,
        startBytes: endBytes,
        lengthBytes: endOf(last) - endBytes,
        chunkOffsetBytes: last.chunkOffsetBytes + endBytes - last.startBytes,
      })
    }
    this.#droppedCount += replaced.length
    const watched = this.#watched(added)
    const pages = new Set([...replaced, ...watched].map(extent => pageOf(extent.startBytes)))
    for (const page of pages) {
      const name = pageName(inode, page)
      const pageBytes = page * EXTENT_PAGE_BYTES
      const before = this.#pages.get(name)
      const record = before ?? ExtentRecord.empty(group)
      const from = record.firstEndingBehind(startBytes - pageBytes)
      const to = Math.max(from, record.firstStartingAt(endBytes - pageBytes))
      const within = watched.filter(extent => pageOf(extent.startBytes) === page)
      this.#pages.set(name, record.with(group, pageBytes, from, to, within), before)
    }
    return mappedBytes(added) - mappedBytes(replaced)
  }

  /** The same for a file that has no extents yet, about which LevelDB need not be asked. @returns the mapped bytes */
  place(inode: number, group: number, extents: readonly Extent[]): number {
    const watched = this.#watched(extents)
    let [from, to] = [0, 0]
    for (; from < watched.length; from = to) {
      const page = pageOf(watched[from]?.startBytes ?? 0)
      while (to < watched.length && pageOf(watched[to]?.startBytes ?? 0) === page) to++
      const within = watched.slice(from, to)
      const empty = ExtentRecord.empty(group)
      const record = empty.with(group, page * EXTENT_PAGE_BYTES, 0, 0, within)
      this.#pages.set(pageName(inode, page), record, undefined)
    }
    return mappedBytes(extents)
  }

  /** What the extents that start in these pages cover. @throws StoreError RECORD_DAMAGED */
  coveredBytes(inode: number, firstPage: number, endPage: number): number {
    let coveredBytes = 0
    for (let page = firstPage; page < endPage; page++) {
      coveredBytes += this.#pages.peek(pageName(inode, page))?.mappedBytes ?? 0
    }
    return coveredBytes
  }

  /**
   * The first byte from the start of the page on that no extent of an earlier page covers. From one such place to the
   * next, a page's own extents are all there is. @throws StoreError RECORD_DAMAGED
   */
  ownStartBytes(inode: number, page: number): number {
    const startBytes = page * EXTENT_PAGE_BYTES
    const before = page === 0 ? undefined : this.#pages.peek(pageName(inode, page - 1))
    if (before === undefined) return startBytes
    return Math.max(startBytes, startBytes - EXTENT_PAGE_BYTES + before.endBytes)
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
    const records: { page: number; record: ExtentRecord }[] = []
    for (let page = firstPage; page < endPage; page++) {
      const record = this.#pages.peek(pageName(source, page))
      if (record !== undefined && record.count > 0) records.push({ page, record })
    }
    let grownBytes = this.replace(
      target,
      group,
      this.ownStartBytes(source, firstPage) + shiftBytes,
      this.ownStartBytes(source, endPage) + shiftBytes,
      [],
    )
    const watcher = this.#watcher
    for (const { page, record } of records) {
      grownBytes += record.mappedBytes
      const watched = watcher && record.relocated((...chunk) => watcher.put(...chunk))
      const name = pageName(target, page + shiftPages)
      this.#pages.set(name, watched ?? record, this.#pages.peek(name))
    }
    return grownBytes
  }

  /**
   * Where the next extents of a range may be: large holes are passed over at once.
   * @returns a byte of the range before which no extent covers any of it: where it starts when an extent reaches into it from the
   *   page before, else the start of a page that has extents; undefined when nothing of the range is covered
   * @throws StoreError RECORD_DAMAGED
   */
  async nextOverlapBytes(
    inode: number,
    startBytes: number,
    endBytes: number,
  ): Promise<number | undefined> {
    if (endBytes <= startBytes) return undefined
    if (this.#reaching(inode, pageOf(startBytes), startBytes).length > 0) return startBytes
    const endPage = pageOf(endBytes - 1) + 1
    let next = endPage
    const from = pageKey(inode, pageOf(startBytes))
    const to = pageKey(inode, endPage)
    const [low, high] = [from.toString('latin1'), to.toString('latin1')]
    for (const name of this.#pages.pendingNamesOf(fileOf(low))) {
      if (name < low || name >= high || !this.#pages.pending(name)?.count) continue
      next = Math.min(next, numberOfPage(Buffer.from(name, 'latin1')))
    }
    for await (const { key } of this.#metadata.range(from, to)) {
      const isReplaced = this.#pages.pending(Buffer.from(key).toString('latin1')) !== undefined
      if (isReplaced) continue
      next = Math.min(next, numberOfPage(key))
      break
    }
    return next === endPage ? undefined : Math.max(startBytes, next * EXTENT_PAGE_BYTES)
  }

  /** Removes up to `countMax` pages of a file; false when none is left. */
  async discardSlice(inode: number, countMax: number): Promise<boolean> {
    const prefix = inodeKey(TABLE.extents, inode)
    this.#discardPending(prefix.toString('latin1'))
    let count = 0
    const drop = (key: Uint8Array): boolean => {
      const name = Buffer.from(key).toString('latin1')
      if (this.#pages.pending(name) === null) return false
      // Not what the range says: the cleaner may have changed the page since it began.
      this.#drop(name, this.#pages.peekIfReadable(name))
      return true
    }
    // What can't be read isn't wanted any more either: a damaged page must not keep its file for ever. What it referred to
    // stays counted, so nothing of it is freed before a repair has counted anew.
    const pages = this.#metadata.range(prefix, prefixEnd(prefix), drop)
    for await (const { key } of pages) if (drop(key) && ++count >= countMax) return true
    return false
  }

  /**
   * What LevelDB may not know yet, and a commit in flight is about to tell it. Before LevelDB is asked: what is pending now
   * may be settled by the time of its answer, and be in neither.
   */
  #discardPending(prefix: string): void {
    for (const name of this.#pages.pendingNamesOf(prefix)) {
      const record = this.#pages.pending(name)
      if (record !== null) this.#drop(name, record)
    }
  }

  collect(batch: MetadataWriter): void {
    this.#pages.collect(batch)
  }

  settled(): void {
    this.#pages.settled()
  }

  #watched(extents: readonly Extent[]): readonly Extent[] {
    const watcher = this.#watcher
    if (watcher === undefined) return extents
    return extents.map(extent => {
      const location = watcher.put(extent.location, extent.chunkLengthBytes)
      return location === extent.location ? extent : { ...extent, location }
    })
  }

  #drop(name: string, before: ExtentRecord | undefined): void {
    this.#pages.delete(name, before)
    this.#droppedCount++
  }
}
