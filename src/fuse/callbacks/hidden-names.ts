// Files that were deleted while open. libfuse, which works by path, doesn't delete them: it renames them, and deletes the new
// name after the last close. Programs must not see that: such a name is in no listing, counts as no link and doesn't keep
// its directory from being removed. It is a real name all the same, so that whatever happens nothing is lost: what a killed
// daemon leaves behind is an ordinary file of that name.

import type { ByteString, InodeNumber } from '../filesystem.ts'
import type { Place } from './resolver.ts'

/** As libfuse 2 and 3 make them: the node's number and a counter. */
const PATTERN = /^\.fuse_hidden[0-9a-f]{16}$/

export interface HiddenName extends Place {
  readonly inode: InodeNumber
}

export class HiddenNames {
  readonly #places = new Map<InodeNumber, Place>()

  /** Whether libfuse would rename an open file like this to hide it. */
  isHiding(from: Place, to: Place): boolean {
    return from.parent === to.parent && PATTERN.test(to.name)
  }

  add(inode: InodeNumber, place: Place): void {
    this.#places.set(inode, place)
  }

  /** The name is gone or has become an ordinary one. */
  remove(inode: InodeNumber): void {
    this.#places.delete(inode)
  }

  has(inode: InodeNumber): boolean {
    return this.#places.has(inode)
  }

  isHiddenEntry(parent: InodeNumber, name: ByteString, inode: InodeNumber): boolean {
    const place = this.#places.get(inode)
    return place !== undefined && place.parent === parent && place.name === name
  }

  isNamedBy(inode: InodeNumber, path: string): boolean {
    return path.slice(path.lastIndexOf('/') + 1) === this.#places.get(inode)?.name
  }

  /** What is hidden, in one directory or everywhere. */
  list(parent?: InodeNumber): HiddenName[] {
    const found: HiddenName[] = []
    for (const [inode, place] of this.#places) {
      if (parent === undefined || place.parent === parent) found.push({ ...place, inode })
    }
    return found
  }
}
