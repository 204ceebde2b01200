// Guesses which directory is opened next: programs that look through a tree open one directory of a listing after the
// other, in the order of the listing (find) or of the names (rsync, ls -R).

import type { DirectoryEntry, InodeNumber } from './types.ts'
import { S_IFDIR } from './linux.ts'

/** As deep as most walks are in a tree, and then some that go on beside them. */
const WALKS_MAX = 16
/** How many are read ahead: reading one takes another thread, using one takes less. */
const AHEAD_COUNT = 8

interface Walk {
  /** the directories in the order of their cookies, and of their names */
  readonly orders: readonly [listed: readonly InodeNumber[], named: readonly InodeNumber[]]
  /** where each is in both */
  readonly places: ReadonlyMap<InodeNumber, readonly [listed: number, named: number]>
  last: InodeNumber | undefined
}

export class Walks {
  /** by the directory that was listed, the one used last is the last */
  readonly #walks = new Map<InodeNumber, Walk>()

  /**
   * A directory has been listed.
   * @param parent its own
   * @param entries in the order of their cookies
   * @returns what may be opened next
   */
  listed(
    directory: InodeNumber,
    parent: InodeNumber,
    entries: readonly DirectoryEntry[],
  ): readonly InodeNumber[] {
    const directories = entries.filter(({ type }) => type === S_IFDIR)
    this.#walks.delete(directory)
    if (directories.length === 0) return []
    const listed = directories.map(({ inode }) => inode)
    const named = directories
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ inode }) => inode)
    const places = new Map<InodeNumber, readonly [number, number]>()
    const namedPlaces = new Map(named.map((inode, place) => [inode, place]))
    for (const [place, inode] of listed.entries()) {
      places.set(inode, [place, namedPlaces.get(inode) ?? 0])
    }
    this.#walks.set(directory, { orders: [listed, named], places, last: undefined })
    if (this.#walks.size > WALKS_MAX) {
      for (const oldest of this.#walks.keys()) {
        this.#walks.delete(oldest)
        break
      }
    }
    // Whoever lists a directory may be content with it; whoever has come here from another one goes on.
    const isWithin = this.#walks.get(parent)?.places.has(directory) === true
    return isWithin ? distinct([listed.slice(0, 1), named.slice(0, 1)]) : []
  }

  /** A directory has been opened. @returns what may be opened next, most likely first */
  opened(directory: InodeNumber, parent: InodeNumber): readonly InodeNumber[] {
    const walk = this.#walks.get(parent)
    const places = walk?.places.get(directory)
    if (walk === undefined || places === undefined) return []
    this.#walks.delete(parent)
    this.#walks.set(parent, walk)
    const before = walk.last === undefined ? undefined : walk.places.get(walk.last)
    walk.last = directory
    const follows = (order: 0 | 1): boolean => before?.[order] === places[order] - 1
    const next = (order: 0 | 1, count: number): readonly InodeNumber[] =>
      walk.orders[order].slice(places[order] + 1, places[order] + 1 + count)
    if (follows(0)) return next(0, AHEAD_COUNT)
    if (follows(1)) return next(1, AHEAD_COUNT)
    return distinct([next(0, AHEAD_COUNT / 2), next(1, AHEAD_COUNT / 2)])
  }
}

function distinct(lists: readonly (readonly InodeNumber[])[]): readonly InodeNumber[] {
  return [...new Set(lists.flat())]
}
