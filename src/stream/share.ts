// Copies a range of a file by letting the target's extents point at the source's chunks: no byte is read or stored.

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ExtentMap } from './extent-map.ts'
import type { FileStream } from './file-stream.ts'

/** What one slice copies: some hundred extents, about a millisecond. */
const SLICE_BYTES = 32 * 1024 * 1024

/** Offsets in bytes. The source's range must lie inside the source. @throws ENOSPC, EIO, EFBIG */
export async function shareRange(
  extents: ExtentMap,
  source: FileStream,
  sourceStartBytes: number,
  target: FileStream,
  targetStartBytes: number,
  lengthBytes: number,
): Promise<void> {
  await source.flush()
  let doneBytes = 0
  while (doneBytes < lengthBytes) {
    // What the target has on its way would be stored over what comes now, though it is older.
    while (target.hasUnflushedData) await target.flush()
    const startBytes = sourceStartBytes + doneBytes
    const sliceBytes = Math.min(SLICE_BYTES, lengthBytes - doneBytes)
    const endBytes = startBytes + sliceBytes
    const shiftBytes = targetStartBytes - sourceStartBytes
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
    doneBytes += sliceBytes
    if (doneBytes < lengthBytes) await nextTurn()
  }
}
