// How much a pass takes on at once. Until a window is through, its chunks are there twice; and the extents of the whole
// store are looked through once a window.

import type { PlannedBlock } from './plan.ts'
import type { CleanerSpace } from './contract.ts'

/** A copy that is interrupted by a crash is made again: not more than this. */
const WINDOW_LIVE_BYTES_MIN = 1024 ** 3
/** In a large store windows grow, so that its extents are looked through so often at most. */
const WINDOWS_MAX = 64
/** The metadata and the rounding of block files need some room too. */
const OVERHEAD_BYTES = 2 * 1024 * 1024
const OVERHEAD_FACTOR = 1.05
/** Never below this much of the disk, also when space is what the pass is for. */
const FLOOR_BYTES = 4 * 1024 * 1024
/** So much of the free space beyond the floor a window may take. */
const FREE_SHARE = 0.5

/** What a block file's live chunks will take when they are written again: an estimate on the safe side. */
export function rewrittenBytes({ fileBytes, gainBytes }: PlannedBlock): number {
  return (fileBytes - gainBytes) * OVERHEAD_FACTOR + OVERHEAD_BYTES
}

/**
 * The next block files to be copied, in the plan's order; empty when none of them has room.
 * Encrypting and compressing anew free little: they leave the reserve alone, which is there for what frees space.
 * @param rest what the plan still has, without `free`
 */
export function nextWindow(rest: readonly PlannedBlock[], space: CleanerSpace): PlannedBlock[] {
  const restBytes = rest.reduce((sum, { liveBytes }) => sum + liveBytes, 0)
  const liveBytesMax = Math.max(WINDOW_LIVE_BYTES_MIN, restBytes / WINDOWS_MAX)
  const [first] = rest
  if (first === undefined) return []
  const window: PlannedBlock[] = []
  let liveBytes = 0
  let takenBytes = 0
  for (const block of rest) {
    // One kind at a time, so that space comes before anything else.
    if (block.action !== (window[0] ?? block).action) break
    const floorBytes = block.action === 'compact' ? FLOOR_BYTES : space.reserveBytes + FLOOR_BYTES
    const roomBytes = space.freeBytes - floorBytes
    const needBytes = rewrittenBytes(block)
    // A single one may take all the room there is; more than one share it with clients.
    const limitBytes = window.length === 0 ? roomBytes : roomBytes * FREE_SHARE
    if (takenBytes + needBytes > limitBytes) {
      if (window.length === 0) continue
      break
    }
    if (window.length > 0 && liveBytes + block.liveBytes > liveBytesMax) break
    window.push(block)
    liveBytes += block.liveBytes
    takenBytes += needBytes
  }
  return window
}
