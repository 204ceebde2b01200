// What is lost of files: ranges that refer to what can't be read. Bounded, with a count of everything.

/** Files that are told of. */
export const LOST_FILES_MAX = 500
/** Ranges of each. */
export const LOST_RANGES_MAX = 8

export interface LostRange {
  readonly startBytes: number
  readonly lengthBytes: number
}

export interface LostFile {
  readonly inode: number
  /** ranges of it, the first ones, ascending; neighbours are one */
  readonly ranges: readonly LostRange[]
  readonly rangeCount: number
  readonly lostBytes: number
  /** a block file that one of them refers to; 0 when the extents themselves can't be read */
  readonly block: number
}

interface OpenLostFile {
  inode: number
  ranges: { startBytes: number; lengthBytes: number }[]
  rangeCount: number
  endBytes: number
  lostBytes: number
  block: number
}

export class LostFiles {
  readonly #files: LostFile[] = []
  #current: OpenLostFile | undefined
  #fileCount = 0
  #lostBytes = 0

  /** Files and their ranges come in ascending order. */
  add(inode: number, startBytes: number, lengthBytes: number, block: number): void {
    if (this.#current?.inode !== inode) {
      this.#finish()
      this.#fileCount++
      this.#current = { inode, ranges: [], rangeCount: 0, endBytes: -1, lostBytes: 0, block }
    }
    const file = this.#current
    this.#lostBytes += lengthBytes
    file.lostBytes += lengthBytes
    if (startBytes === file.endBytes) {
      const last = file.ranges.at(-1)
      if (last !== undefined && file.rangeCount === file.ranges.length) {
        last.lengthBytes += lengthBytes
      }
    } else {
      file.rangeCount++
      if (file.ranges.length < LOST_RANGES_MAX) file.ranges.push({ startBytes, lengthBytes })
    }
    file.endBytes = startBytes + lengthBytes
  }

  /** All of them, also those that are not in the list. */
  get fileCount(): number {
    return this.#fileCount
  }

  get lostBytes(): number {
    return this.#lostBytes
  }

  list(): LostFile[] {
    this.#finish()
    return this.#files
  }

  #finish(): void {
    const file = this.#current
    this.#current = undefined
    if (file === undefined || this.#files.length >= LOST_FILES_MAX) return
    const { inode, ranges, rangeCount, lostBytes, block } = file
    this.#files.push({ inode, ranges, rangeCount, lostBytes, block })
  }
}
