// Open directories: a listing reads a window of entries at a time, so that a directory of any size costs the same memory,
// and goes on from any cookie, also one of another handle or of an earlier run.

import { FilesystemError } from '../errors.ts'
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

interface OpenDirectory {
  readonly inode: Inode
  /** entries above the cookie `from` */
  window: (DentryWindow & { readonly from: number }) | undefined
}

export class Listings {
  readonly #dentries: Dentries
  readonly #table: InodeTable
  readonly #unpin: (inode: Inode) => void
  readonly #open = new Map<number, OpenDirectory>()
  readonly #walks = new Walks()
  #nextHandle = 1

  constructor(dentries: Dentries, table: InodeTable, unpin: (inode: Inode) => void) {
    this.#dentries = dentries
    this.#table = table
    this.#unpin = unpin
  }

  get openCount(): number {
    return this.#open.size
  }

  open(inode: Inode): number {
    const handle = this.#nextHandle++
    inode.pins++
    this.#open.set(handle, { inode, window: undefined })
    this.#readAhead(this.#walks.opened(inode.number, inode.parent))
    return handle
  }

  /** @param areLookedUp each entry is going to be looked up next */
  read(
    handle: number,
    cookie: number,
    countMax: number,
    areLookedUp: boolean,
  ): readonly DirectoryEntry[] | Promise<readonly DirectoryEntry[]> {
    const directory = this.#get(handle)
    const entries = dots(directory.inode, cookie)
    const from = Math.max(cookie, DOT_DOT_COOKIE)
    // rewinddir shows what is there now
    if (cookie < DOT_DOT_COOKIE) directory.window = undefined
    const { window } = directory
    if (window !== undefined && covers(window, from)) {
      return entries.concat(slice(window.entries, from, countMax))
    }
    const isBeginning = from === DOT_DOT_COOKIE
    const ahead = isBeginning ? this.#dentries.takeAhead(directory.inode.number) : undefined
    if (ahead !== undefined && !(ahead instanceof Promise)) {
      return entries.concat(this.#use(directory, ahead, from, countMax))
    }
    return this.#readWindow(directory, from, countMax, areLookedUp, ahead).then(found =>
      entries.concat(found),
    )
  }

  close(handle: number): void {
    const { inode } = this.#get(handle)
    this.#open.delete(handle)
    this.#unpin(inode)
  }

  /** @throws EBADF */
  check(handle: number): void {
    this.#get(handle)
  }

  #get(handle: number): OpenDirectory {
    const directory = this.#open.get(handle)
    if (directory === undefined) throw new FilesystemError('EBADF')
    return directory
  }

  async #readWindow(
    directory: OpenDirectory,
    from: number,
    countMax: number,
    areLookedUp: boolean,
    ahead: Promise<DentryWindow | undefined> | undefined,
  ): Promise<readonly DirectoryEntry[]> {
    const read = await ahead
    if (read !== undefined) return this.#use(directory, read, from, countMax)
    const count = Math.max(countMax, WINDOW_ENTRIES)
    const window = await this.#dentries.window(directory.inode.number, from, count)
    if (areLookedUp) await this.#preload(window.entries)
    return this.#use(directory, window, from, countMax)
  }

  #use(
    directory: OpenDirectory,
    window: DentryWindow,
    from: number,
    countMax: number,
  ): readonly DirectoryEntry[] {
    directory.window = { ...window, from }
    if (from === DOT_DOT_COOKIE) {
      const { number, parent } = directory.inode
      this.#readAhead(this.#walks.listed(number, parent, window.entries))
    }
    return slice(window.entries, from, countMax)
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

/** whether what follows the cookie lies in the window, at least its first entry or the end */
function covers(window: DentryWindow & { readonly from: number }, cookie: number): boolean {
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
