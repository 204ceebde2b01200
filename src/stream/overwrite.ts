// How much of what a file holds is cut again with new data that begins or ends inside of a chunk. The first time nothing:
// the chunk is split into what is left of it before and behind the new data, which spares reading, cutting and storing
// ten times of what was written. The second time everything up to the next whole chunks, which makes one of the pieces
// again. So hardly a chunk is ever in more than three pieces (docs/decisions/0013-overwrites.md).

import { CHUNK_BYTES_MAX } from '../blocks/block-store.ts'
import { endOf, type Extent } from './extent.ts'

/** Of the file, from the first byte to behind the last one. */
export interface ByteRange {
  readonly startBytes: number
  readonly endBytes: number
}

/** What there is to cut: at a side where other new data adjoins, nothing stored does. */
export interface NewData extends ByteRange {
  readonly isStart: boolean
  readonly isEnd: boolean
}

/** The extent that covers a byte of the file. */
export type ExtentAt = (offsetBytes: number) => Extent | undefined

/** A chunk stays whole on the disk as long as a piece of it is used: no more than this part of it may be dead weight. */
const DEAD_SHARE_MAX = 0.5

/** The range that is to be cut: the data, and what must be read to either side of it, less than a chunk can have. */
export function rangeToCut(data: NewData, extentAt: ExtentAt): ByteRange {
  const { startBytes, endBytes, isStart, isEnd } = data
  const before = isStart && startBytes > 0 ? extentAt(startBytes - 1) : undefined
  const after = isEnd ? extentAt(endBytes) : undefined
  const first = before !== undefined && endOf(before) > startBytes ? before : undefined
  const last = after !== undefined && after.startBytes < endBytes ? after : undefined
  // Where the file ended when it was flushed last, the end of the chunk was no choice of the content.
  const isAppended =
    before !== undefined && first === undefined && extentAt(startBytes) === undefined
  const maySplit = [first, last].every(extent => extent === undefined || isSplitWell(extent, data))
  if (maySplit && !isAppended) return { startBytes, endBytes }
  return {
    startBytes: isStart ? wholeFrom(startBytes, isAppended, extentAt) : startBytes,
    endBytes: isEnd ? wholeUntil(endBytes, extentAt) : endBytes,
  }
}

/** Whether the extent is a whole chunk, most of which stays in use. */
function isSplitWell(extent: Extent, { startBytes, endBytes }: ByteRange): boolean {
  const from = Math.max(startBytes, extent.startBytes)
  const deadBytes = Math.min(endBytes, endOf(extent)) - from
  return (
    beginsChunk(extent) && endsChunk(extent) && deadBytes <= DEAD_SHARE_MAX * extent.lengthBytes
  )
}

/** Back to where one chunk ends and another one begins, as far as there is room. */
function wholeFrom(startBytes: number, isAppended: boolean, extentAt: ExtentAt): number {
  let at = startBytes
  let next = extentAt(startBytes)
  for (;;) {
    const extent = at > 0 ? extentAt(at - 1) : undefined
    if (extent === undefined) return at
    const isWhole = next === undefined ? !isAppended : beginsChunk(next)
    if (endOf(extent) === at && endsChunk(extent) && isWhole) return at
    if (startBytes - extent.startBytes >= CHUNK_BYTES_MAX) return at
    at = extent.startBytes
    next = extent
  }
}

/** The same onwards. */
function wholeUntil(endBytes: number, extentAt: ExtentAt): number {
  let at = endBytes
  let previous = extentAt(endBytes - 1)
  for (;;) {
    const extent = extentAt(at)
    if (extent === undefined) return at
    const isWhole = previous === undefined || endsChunk(previous)
    if (extent.startBytes === at && beginsChunk(extent) && isWhole) return at
    if (endOf(extent) - endBytes >= CHUNK_BYTES_MAX) return at
    at = endOf(extent)
    previous = extent
  }
}

function beginsChunk(extent: Extent): boolean {
  return extent.chunkOffsetBytes === 0
}

function endsChunk(extent: Extent): boolean {
  return extent.chunkOffsetBytes + extent.lengthBytes === extent.chunkLengthBytes
}
