// What listings have just read, for the lookups that follow: whoever lists a directory asks for its names next, and the
// kernel asks for all of them itself.

import type { Dentry } from './records/dentry-record.ts'
import type { ByteString, DirectoryEntry, InodeNumber } from './types.ts'

/** Directories, a window of each: a walk is in few at a time. A window has at most some 500 KiB. */
const DIRECTORIES_MAX = 8

export class ListedNames {
  /** the one listed last is the last */
  readonly #directories = new Map<InodeNumber, ReadonlyMap<ByteString, Dentry>>()
  #commitCount = 0

  /** What is here may be old: names in records have changed. Until then changed names were found elsewhere first. */
  committed(): void {
    this.#commitCount++
    this.#directories.clear()
  }

  /** A listing begins to read. @returns what takes its entries: they count unless there has been a commit since */
  reading(parent: InodeNumber): (entries: readonly DirectoryEntry[]) => void {
    const before = this.#commitCount
    return entries => {
      if (before !== this.#commitCount) return
      this.#directories.delete(parent)
      this.#directories.set(parent, new Map(entries.map(entry => [entry.name, entry])))
      if (this.#directories.size <= DIRECTORIES_MAX) return
      for (const oldest of this.#directories.keys()) {
        this.#directories.delete(oldest)
        return
      }
    }
  }

  /** undefined: not known here */
  find(parent: InodeNumber, name: ByteString): Dentry | undefined {
    return this.#directories.get(parent)?.get(name)
  }
}
