// Names in directories: looked up in memory's changes first, then in the metadata store; listed in the order of their
// hashes, a window at a time.

import type { MetadataReader, MetadataWriter } from '../metadata/contract.ts'
import { inodeKey, prefixEnd, TABLE } from '../metadata/keys.ts'
import { ListedNames } from './listed-names.ts'
import { WindowsAhead } from './windows-ahead.ts'
import type { NameHash } from './name-hash.ts'
import { Overlay } from './overlay.ts'
import {
  decodeDentry,
  dentryKey,
  encodeDentry,
  parseDentryKey,
  type Dentry,
} from './records/dentry-record.ts'
import type { ByteString, DentryWindow, DirectoryEntry, InodeNumber } from './types.ts'

/** names remembered as missing; the kernel asks for many new files at a time, but soon makes them */
const MISSES_MAX = 256
/** what is read ahead of a directory: nearly all have fewer entries */
const AHEAD_ENTRIES = 512
/** the cookies of `.` and `..` come before those of all names */
const FIRST_COOKIE = 2

export class Dentries {
  readonly #metadata: MetadataReader
  readonly #hash: NameHash
  readonly #touched: (recordCount: number) => void
  readonly #changes = new Map<InodeNumber, Overlay<ByteString, Dentry>>()
  /**
   * Names that the metadata store was just asked for in vain: making a file is a lookup by the kernel and another look
   * before the name is given away, and only the first has to reach the store.
   */
  readonly #misses = new Set<string>()
  readonly #listed = new ListedNames()
  readonly #ahead = new WindowsAhead()

  constructor(metadata: MetadataReader, hash: NameHash, touched: (recordCount: number) => void) {
    this.#metadata = metadata
    this.#hash = hash
    this.#touched = touched
  }

  find(parent: InodeNumber, name: ByteString): Dentry | undefined {
    const change = this.#changes.get(parent)?.get(name)
    if (change !== undefined) return change ?? undefined
    const listed = this.#listed.find(parent, name)
    if (listed !== undefined) return listed
    const place = placeOf(parent, name)
    if (this.#misses.has(place)) return undefined
    const record = this.#metadata.get(dentryKey(parent, this.#hash(name), name))
    if (record !== undefined) return decodeDentry(record, parent)
    this.#missed(place)
    return undefined
  }

  set(parent: InodeNumber, name: ByteString, dentry: Dentry): void {
    this.#change(parent, name, dentry)
  }

  remove(parent: InodeNumber, name: ByteString): void {
    this.#change(parent, name, null)
  }

  /**
   * The entries whose cookie is above `cookie`, about `countMax` of them: entries with one hash come together, so that
   * the cookie of the last one is a place to go on from. An entry that exists all the while comes exactly once over
   * a whole listing, whatever comes and goes beside it, since its place is its hash.
   */
  async window(parent: InodeNumber, cookie: number, countMax: number): Promise<DentryWindow> {
    const listed = this.#listed.reading(parent)
    const window = await this.#read(parent, cookie, countMax)
    listed(window.entries)
    return window
  }

  /**
   * Begins to read a directory that is likely to be listed soon.
   * @param prepare is given the entries, and waited for
   */
  readAhead(
    parent: InodeNumber,
    prepare: (entries: readonly DirectoryEntry[]) => Promise<void>,
  ): void {
    if (this.#ahead.has(parent)) return
    this.#ahead.start(parent, async () => {
      const window = await this.#read(parent, FIRST_COOKIE, AHEAD_ENTRIES)
      await prepare(window.entries)
      return window
    })
  }

  /** The first entries, if they were read ahead and are still what there is. */
  takeAhead(parent: InodeNumber): DentryWindow | Promise<DentryWindow | undefined> | undefined {
    const taken = this.#ahead.take(parent)
    const used = (window: DentryWindow | undefined): DentryWindow | undefined => {
      // Nothing has changed since: these are the newest records, whatever was committed.
      if (window !== undefined) this.#listed.reading(parent)(window.entries)
      return window
    }
    return taken instanceof Promise ? taken.then(used) : used(taken)
  }

  async #read(parent: InodeNumber, cookie: number, countMax: number): Promise<DentryWindow> {
    // taken in the same moment as the range, so that no change is lost between the two
    const changes = this.#changesAbove(parent, cookie)
    const stored = this.#metadata.range(
      dentryKey(parent, cookie + 1, ''),
      prefixEnd(inodeKey(TABLE.dentry, parent)),
    )
    const entries: DirectoryEntry[] = []
    let at = 0
    const isFull = (next: number): boolean =>
      entries.length >= countMax && entries.at(-1)?.cookie !== next
    /** adds the changed entries up to that place; false when the window is full */
    const mergeUpTo = (hash: number): boolean => {
      for (; at < changes.sorted.length; at++) {
        const entry = changes.sorted[at]
        if (entry === undefined || entry.cookie > hash) return true
        if (isFull(entry.cookie)) return false
        entries.push(entry)
      }
      return true
    }

    for await (const { key, value } of stored) {
      const { hash, name } = parseDentryKey(key)
      if (!mergeUpTo(hash) || isFull(hash)) return { entries, isLast: false }
      if (!changes.names.has(name)) {
        entries.push({ name, cookie: hash, ...decodeDentry(value, parent) })
      }
    }
    return { isLast: mergeUpTo(Number.MAX_SAFE_INTEGER), entries }
  }

  collect(batch: MetadataWriter): void {
    for (const [parent, overlay] of this.#changes) {
      overlay.collect((name, change) => {
        const key = dentryKey(parent, this.#hash(name), name)
        if (change === null) batch.delete(key)
        else batch.put(key, encodeDentry(change))
      })
    }
  }

  settled(): void {
    for (const [parent, overlay] of this.#changes) {
      overlay.settled()
      if (overlay.isEmpty) this.#changes.delete(parent)
    }
    this.#listed.committed()
    this.#ahead.committed()
  }

  #change(parent: InodeNumber, name: ByteString, change: Dentry | null): void {
    let overlay = this.#changes.get(parent)
    if (overlay === undefined) {
      overlay = new Overlay()
      this.#changes.set(parent, overlay)
    }
    const isMore = overlay.set(name, change)
    this.#ahead.changed(parent)
    this.#misses.delete(placeOf(parent, name))
    this.#touched(isMore ? 1 : 0)
  }

  #missed(place: string): void {
    this.#misses.add(place)
    if (this.#misses.size <= MISSES_MAX) return
    for (const oldest of this.#misses) {
      this.#misses.delete(oldest)
      return
    }
  }

  /** every changed name, and what of them exists above the cookie, sorted */
  #changesAbove(
    parent: InodeNumber,
    cookie: number,
  ): { names: ReadonlySet<ByteString>; sorted: DirectoryEntry[] } {
    const latest = new Map(this.#changes.get(parent)?.entries() ?? [])
    const names = new Set<ByteString>()
    const sorted: DirectoryEntry[] = []
    for (const [name, change] of latest) {
      const hash = this.#hash(name)
      if (hash <= cookie) continue
      names.add(name)
      if (change !== null) sorted.push({ name, cookie: hash, ...change })
    }
    sorted.sort((a, b) => a.cookie - b.cookie)
    return { names, sorted }
  }
}

function placeOf(parent: InodeNumber, name: ByteString): string {
  return `${parent}/${name}`
}
