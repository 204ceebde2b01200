// Copies a range of a file by letting the target's extents point at the source's chunks: no byte is read or stored. Where
// source and target lie alike within their pages of extents, whole pages are copied as the records that they are, which
// is some forty times as fast.

import { setImmediate as nextTurn } from 'node:timers/promises'
import { EXTENT_PAGE_BYTES } from './extent.ts'
import type { ExtentMap } from './extent-map.ts'
import type { FileStream } from './file-stream.ts'

/** What one slice copies extent by extent: some hundred of them, about a millisecond. */
const SLICE_BYTES = 32 * 1024 * 1024
/** And page by page, in about the same time. */
const SLICE_PAGES = 64

/** What is copied from where to where; offsets in bytes. */
export interface ShareRange {
  readonly source: FileStream
  readonly sourceStartBytes: number
  readonly target: FileStream
  readonly targetStartBytes: number
  readonly lengthBytes: number
}

/** The source's range must lie inside the source. @throws ENOSPC, EIO, EFBIG */
export async function shareRange(extents: ExtentMap, range: ShareRange): Promise<void> {
  const { source, target } = range
  await source.flush()
  // What is missing would become a hole of the target's, which nobody could tell from others.
  await source.checkWhole()
  const share = new Share(extents, range)
  for (;;) {
    // What the target has on its way would be stored over what comes now, though it is older.
    while (target.hasUnflushedData) await target.flush()
    if (!share.step()) return
    await nextTurn()
  }
}

/** One copy under way. All that a step looks at and does happens in one turn. */
class Share {
  readonly #extents: ExtentMap
  readonly #source: FileStream
  readonly #target: FileStream
  readonly #endBytes: number
  readonly #shiftBytes: number
  #atBytes: number

  constructor(extents: ExtentMap, range: ShareRange) {
    this.#extents = extents
    this.#source = range.source
    this.#target = range.target
    this.#endBytes = range.sourceStartBytes + range.lengthBytes
    this.#shiftBytes = range.targetStartBytes - range.sourceStartBytes
    this.#atBytes = range.sourceStartBytes
  }

  /** Copies a slice. @returns whether there is more */
  step(): boolean {
    const isAligned = this.#shiftBytes % EXTENT_PAGE_BYTES === 0
    if (!isAligned || !this.#sharePages()) this.#shareExtents(isAligned)
    return this.#atBytes < this.#endBytes
  }

  /** Whole pages from here on. @returns whether there was one */
  #sharePages(): boolean {
    const [extents, source, target] = [this.#extents, this.#source, this.#target]
    const firstPage = Math.floor(this.#atBytes / EXTENT_PAGE_BYTES)
    if (this.#atBytes !== extents.ownStartBytes(source.inode, firstPage)) return false
    // What the page holds before the range (the target's own, or written while we copy) would go with the page.
    const pageStartBytes = firstPage * EXTENT_PAGE_BYTES + this.#shiftBytes
    const before = extents.overlapping(
      target.inode,
      pageStartBytes,
      this.#atBytes + this.#shiftBytes,
    )
    if (before.some(extent => extent.startBytes >= pageStartBytes)) return false
    let endPage = Math.min(firstPage + SLICE_PAGES, Math.floor(this.#endBytes / EXTENT_PAGE_BYTES))
    if (endPage <= firstPage) return false
    let endBytes = extents.ownStartBytes(source.inode, endPage)
    if (endBytes > this.#endBytes) {
      endPage--
      if (endPage <= firstPage) return false
      endBytes = extents.ownStartBytes(source.inode, endPage)
    }
    target.adoptPages(source.inode, firstPage, endPage, this.#shiftBytes / EXTENT_PAGE_BYTES)
    this.#atBytes = endBytes
    return true
  }

  /** Extent by extent, up to where whole pages can go on. */
  #shareExtents(isAligned: boolean): void {
    const [extents, source, target] = [this.#extents, this.#source, this.#target]
    const startBytes = this.#atBytes
    let endBytes = Math.min(startBytes + SLICE_BYTES, this.#endBytes)
    if (isAligned) endBytes = Math.min(endBytes, this.#nextOwnStartBytes())
    const shiftBytes = this.#shiftBytes
    const shifted = extents.overlapping(source.inode, startBytes, endBytes).map(extent => {
      const from = Math.max(extent.startBytes, startBytes)
      const to = Math.min(extent.startBytes + extent.lengthBytes, endBytes)
      return {
        ...extent,
        startBytes: from + shiftBytes,
        lengthBytes: to - from,
        chunkOffsetBytes: extent.chunkOffsetBytes + (from - extent.startBytes),
      }
    })
    target.adopt(startBytes + shiftBytes, endBytes + shiftBytes, shifted)
    this.#atBytes = endBytes
  }

  /** The next place behind this one at which a page's own extents begin. */
  #nextOwnStartBytes(): number {
    const page = Math.floor(this.#atBytes / EXTENT_PAGE_BYTES)
    const own = this.#extents.ownStartBytes(this.#source.inode, page)
    return own > this.#atBytes ? own : this.#extents.ownStartBytes(this.#source.inode, page + 1)
  }
}
