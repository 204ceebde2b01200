// The pages of extents by name: changes in memory until their commit, a bounded cache of clean pages, LevelDB below.

import { PendingGroups } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'
import { fileOf } from './extent-keys.ts'
import { ExtentRecord } from './extent-record.ts'

/** A page of 4 MiB has some 7 KiB, more where it was overwritten in many places: the extents of 15 GiB or so. */
const CACHED_BYTES_MAX = 32 * 2 ** 20

/** Sees how the coming commit changes extent records. */
export interface ExtentObserver {
  /** One record takes the place of another; undefined = there is none. Called once a page, when the commit is made. */
  changed(before: Uint8Array | undefined, after: Uint8Array | undefined): void
}

export class ExtentPages implements CommitParticipant {
  readonly #metadata: MetadataReader
  readonly #observer: ExtentObserver
  readonly #touched: (recordCount: number) => void
  /** pages that changed since the last collect, as they were then */
  #before = new Map<string, ExtentRecord | undefined>()
  /** by file */
  readonly #pending = new PendingGroups<string, string, ExtentRecord>(fileOf)
  /** page name => extents, least recently used first */
  readonly #clean = new Map<string, ExtentRecord>()
  /** bytes of all records in #clean */
  #cleanBytes = 0

  /** @param touched so many records more are to be committed */
  constructor(
    metadata: MetadataReader,
    observer: ExtentObserver,
    touched: (recordCount: number) => void,
  ) {
    this.#metadata = metadata
    this.#observer = observer
    this.#touched = touched
  }

  /** Returns a page, which stays in the cache. @throws StoreError RECORD_DAMAGED */
  get(name: string): ExtentRecord | undefined {
    const pending = this.#pending.get(name)
    if (pending !== undefined) return pending ?? undefined
    const cached = this.#clean.get(name)
    if (cached !== undefined) {
      this.#clean.delete(name)
      this.#clean.set(name, cached)
      return cached
    }
    const record = this.peek(name)
    if (record !== undefined) this.#remember(name, record)
    return record
  }

  /** Returns a page that is looked at once, past the cache. @throws StoreError RECORD_DAMAGED */
  peek(name: string): ExtentRecord | undefined {
    const pending = this.#pending.get(name)
    if (pending !== undefined) return pending ?? undefined
    const value = this.#metadata.get(Buffer.from(name, 'latin1'))
    return value && ExtentRecord.parse(value)
  }

  /** The same for a page that is deleted with its file even if it is damaged. */
  peekIfReadable(name: string): ExtentRecord | undefined {
    try {
      return this.peek(name)
    } catch {
      return undefined
    }
  }

  /** Returns what LevelDB doesn't have yet of a page; null = the page is deleted, undefined = nothing is pending. */
  pending(name: string): ExtentRecord | null | undefined {
    return this.#pending.get(name)
  }

  /** Returns the names of a file's pages that have a pending change. */
  pendingNamesOf(file: string): Iterable<string> {
    return this.#pending.keysOf(file)
  }

  /** @param before what the page holds now */
  set(name: string, record: ExtentRecord, before: ExtentRecord | undefined): void {
    this.#noteBefore(name, before)
    this.#forget(name)
    this.#changing(() => this.#pending.set(name, record))
  }

  /** @param before what the page holds now */
  delete(name: string, before: ExtentRecord | undefined): void {
    this.#noteBefore(name, before)
    this.#forget(name)
    this.#changing(() => this.#pending.delete(name))
  }

  collect(batch: MetadataWriter): void {
    const before = this.#before
    this.#before = new Map()
    for (const [name, record] of this.#pending.collect()) {
      const key = Buffer.from(name, 'latin1')
      this.#observer.changed(before.get(name)?.bytes, record?.bytes)
      if (record === null || record.count === 0) batch.delete(key)
      else batch.put(key, record.bytes)
    }
  }

  settled(): void {
    for (const [name, record] of this.#pending.settled()) {
      // Likely to be looked at again.
      const isNewest = this.#pending.get(name) === undefined
      if (isNewest && record !== null && record.count > 0) this.#remember(name, record)
    }
  }

  #remember(name: string, record: ExtentRecord): void {
    this.#forget(name)
    this.#clean.set(name, record)
    this.#cleanBytes += record.bytes.length
    for (const oldest of this.#clean.keys()) {
      if (this.#cleanBytes <= CACHED_BYTES_MAX) break
      this.#forget(oldest)
    }
  }

  #forget(name: string): void {
    this.#cleanBytes -= this.#clean.get(name)?.bytes.length ?? 0
    this.#clean.delete(name)
  }

  /** The first change of a page since the last collect: a later one finds the state that has not been committed. */
  #noteBefore(name: string, before: ExtentRecord | undefined): void {
    if (!this.#pending.hasChanged(name)) this.#before.set(name, before)
  }

  #changing(change: () => void): void {
    const before = this.#pending.size
    change()
    this.#touched(this.#pending.size - before)
  }
}
