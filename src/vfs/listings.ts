// Listings of directories: they read a window of entries at a time, so that a directory of any size costs the same memory,
// and go on from any cookie, also of another reader or of an earlier run. Nobody opens a directory here: windows are kept for
// whoever goes on, and each reader of a directory may use those of another one that were read after it began.

import type { Dentries } from './dentries.ts'
import type { InodeTable } from './inode-table.ts'
import type { Inode } from './inode.ts'
import { S_IFDIR } from './linux.ts'
import type { DentryWindow, DirectoryEntry, InodeNumber } from './types.ts'
import { Walks } from './walks.ts'

const DOT_COOKIE = 1
const DOT_DOT_COOKIE = 2
/** entries read at once: about half a megabyte, and some 10 ms of work in slices of the iterator */
const WINDOW_ENTRIES = 4_096
/** some 10 MB; of more readers than these each reads a window again and again */
const WINDOWS_MAX = 24

/** Entries of a directory above the cookie `from`. */
interface Window extends DentryWindow {
  readonly directory: InodeNumber
  readonly from: number
}

/** A window on its way. */
interface Reading {
  readonly directory: InodeNumber
  /** somebody has begun to list the directory since, who must be shown what is there by now */
  isOutdated: boolean
}

export class Listings {
  readonly #dentries: Dentries
  readonly #table: InodeTable
  /** the one used last is the last */
  #windows: Window[] = []
  readonly #readings = new Set<Reading>()
  readonly #walks = new Walks()

  constructor(dentries: Dentries, table: InodeTable) {
    this.#dentries = dentries
    this.#table = table
  }

  /**
   * Entries above the cookie, 0 for the beginning; none at the end.
   * @param areLookedUp each entry is going to be looked up next
   */
  read(
    directory: Inode,
    cookie: number,
    countMax: number,
    areLookedUp: boolean,
  ): readonly DirectoryEntry[] | Promise<readonly DirectoryEntry[]> {
    const entries = dots(directory, cookie)
    const from = Math.max(cookie, DOT_DOT_COOKIE)
    if (cookie === 0) this.#begin(directory)
    const kept = this.#takeCovering(directory.number, from)
    if (kept !== undefined) return entries.concat(this.#use(kept, countMax, from))
    const isBeginning = from === DOT_DOT_COOKIE
    const ahead = isBeginning ? this.#dentries.takeAhead(directory.number) : undefined
    if (ahead !== undefined && !(ahead instanceof Promise)) {
      return entries.concat(this.#use(this.#windowOf(directory, from, ahead), countMax))
    }
    return this.#readWindow(directory, from, countMax, areLookedUp, ahead).then(found =>
      entries.concat(found),
    )
  }

  #begin({ number, parent }: Inode): void {
    this.#windows = this.#windows.filter(({ directory }) => directory !== number)
    for (const reading of this.#readings) {
      if (reading.directory === number) reading.isOutdated = true
    }
    this.#readAhead(this.#walks.opened(number, parent))
  }

  /** @returns a window that holds at least the first entry above the cookie, or the end */
  #takeCovering(directory: InodeNumber, cookie: number): Window | undefined {
    const index = this.#windows.findLastIndex(
      window => window.directory === directory && covers(window, cookie),
    )
    return index < 0 ? undefined : this.#windows.splice(index, 1)[0]
  }

  async #readWindow(
    directory: Inode,
    from: number,
    countMax: number,
    areLookedUp: boolean,
    ahead: Promise<DentryWindow | undefined> | undefined,
  ): Promise<readonly DirectoryEntry[]> {
    const reading = { directory: directory.number, isOutdated: false }
    this.#readings.add(reading)
    try {
      let read = await ahead
      if (read === undefined) {
        const count = Math.max(countMax, WINDOW_ENTRIES)
        read = await this.#dentries.window(directory.number, from, count)
        if (areLookedUp) await this.#preload(read.entries)
      }
      const window = this.#windowOf(directory, from, read)
      return reading.isOutdated
        ? slice(window.entries, from, countMax)
        : this.#use(window, countMax)
    } finally {
      this.#readings.delete(reading)
    }
  }

  #windowOf({ number, parent }: Inode, from: number, read: DentryWindow): Window {
    if (from === DOT_DOT_COOKIE) this.#readAhead(this.#walks.listed(number, parent, read.entries))
    return { ...read, directory: number, from }
  }

  /** Keeps the window for what comes next, unless that was all. */
  #use(window: Window, countMax: number, from = window.from): readonly DirectoryEntry[] {
    const entries = slice(window.entries, from, countMax)
    if (entries.length > 0) this.#windows.push(window)
    if (this.#windows.length > WINDOWS_MAX) this.#windows.shift()
    return entries
  }

  #preload(entries: readonly DirectoryEntry[]): Promise<void> {
    return this.#table.preload(entries.map(({ inode }) => inode))
  }

  #readAhead(directories: readonly InodeNumber[]): void {
    for (const directory of directories) {
      this.#dentries.readAhead(directory, entries => this.#preload(entries))
    }
  }
}

function dots(inode: Inode, cookie: number): DirectoryEntry[] {
  const entry = (name: string, number: InodeNumber, at: number): DirectoryEntry => ({
    name,
    inode: number,
    type: S_IFDIR,
    cookie: at,
  })
  const entries: DirectoryEntry[] = []
  if (cookie < DOT_COOKIE) entries.push(entry('.', inode.number, DOT_COOKIE))
  if (cookie < DOT_DOT_COOKIE) entries.push(entry('..', inode.parent, DOT_DOT_COOKIE))
  return entries
}

/** at least the first entry above the cookie, or the end */
function covers(window: Window, cookie: number): boolean {
  if (cookie < window.from) return false
  return window.isLast || cookie < (window.entries.at(-1)?.cookie ?? 0)
}

/** Entries above the cookie; one more than told where two share a cookie, since a listing can't stop between them. */
function slice(
  entries: readonly DirectoryEntry[],
  cookie: number,
  countMax: number,
): readonly DirectoryEntry[] {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((entries[middle]?.cookie ?? 0) <= cookie) low = middle + 1
    else high = middle
  }
  let end = Math.min(low + Math.max(countMax, 1), entries.length)
  while (end < entries.length && entries[end]?.cookie === entries[end - 1]?.cookie) end++
  return entries.slice(low, end)
}
