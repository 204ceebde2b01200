// Whether a hole is one. It is the absence of an extent, and LevelDB, which checks no checksums of its tables when it reads,
// passes over a damaged key in silence: a page of extents that is lost that way must not be read as zeros. The inode's
// record says how many bytes the extents cover, so that they can be counted before the first hole is believed.

import { setImmediate as nextTurn } from 'node:timers/promises'
import { EXTENT_PAGE_BYTES, FILE_BYTES_MAX } from './extent.ts'

/** Looking at one takes some 15 us: these hold the event loop for a millisecond. */
const SLICE_PAGES = 64
/** The holes of larger files are believed: to look at all of their extents would take seconds. */
const CHECKED_BYTES_MAX = 16 * 2 ** 30

/** The file as it is at the moment. */
export interface CheckedFile {
  readonly inode: number
  readonly sizeBytes: number
  readonly mappedBytes: number
  readonly hasUnflushedData: boolean
  /** how often its extents have changed */
  readonly changeCount: number
}

/** What is asked of the extents. @throws StoreError RECORD_DAMAGED */
export interface CountedExtents {
  /** what those cover that start in some pages of a file */
  coveredBytes(inode: number, firstPage: number, endPage: number): number
  /** where the next page that has some begins, of those in a range */
  nextOverlapBytes(inode: number, startBytes: number, endBytes: number): Promise<number | undefined>
}

export class HoleCheck {
  readonly #extents: CountedExtents
  #isPassed = false

  constructor(extents: CountedExtents) {
    this.#extents = extents
  }

  /** Whether a hole that was met is to be believed. */
  async passes(file: CheckedFile): Promise<boolean> {
    // Extents don't overlap, so that as many mapped bytes as the file has leave no room for a hole.
    if (!file.hasUnflushedData && file.mappedBytes === file.sizeBytes) return false
    return this.isWhole(file)
  }

  /** A file that changes meanwhile is believed, and counted again the next time. @returns false when extents are missing */
  async isWhole(file: CheckedFile): Promise<boolean> {
    if (file.hasUnflushedData || this.#isPassed || file.sizeBytes > CHECKED_BYTES_MAX) return true
    const { inode, changeCount } = file
    const endPage = Math.ceil(file.sizeBytes / EXTENT_PAGE_BYTES)
    let coveredBytes = 0
    for (let page = 0; page < endPage; page += SLICE_PAGES) {
      if (page > 0) await nextTurn()
      if (file.changeCount !== changeCount || file.hasUnflushedData) return true
      coveredBytes += this.#extents.coveredBytes(inode, page, Math.min(page + SLICE_PAGES, endPage))
    }
    // Extents behind the end harm nobody, and their absence within it must not be taken from them.
    if (coveredBytes < file.mappedBytes) coveredBytes += await this.#coveredBehind(inode, endPage)
    if (file.changeCount !== changeCount || file.hasUnflushedData) return true
    if (coveredBytes !== file.mappedBytes) return false
    this.#isPassed = true
    return true
  }

  async #coveredBehind(inode: number, endPage: number): Promise<number> {
    let coveredBytes = 0
    let page = endPage
    for (;;) {
      const next = await this.#extents.nextOverlapBytes(
        inode,
        page * EXTENT_PAGE_BYTES,
        FILE_BYTES_MAX,
      )
      if (next === undefined) return coveredBytes
      page = next / EXTENT_PAGE_BYTES + 1
      coveredBytes += this.#extents.coveredBytes(inode, page - 1, page)
    }
  }
}
