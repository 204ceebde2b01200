// How chunks become regions, and regions batches.

import { BATCH_REGIONS_MAX } from '../native/data-path.ts'
import {
  BLOCK_PAGE_BYTES,
  FINGERPRINT_BYTES,
  REGION_CHUNKS_MAX,
  REGION_RAW_BYTES_MAX,
  type NewChunk,
} from './block-store.ts'

/**
 * Regions that one native job seals and appends. A full write buffer makes two jobs, so that both processors have some of
 * it: 5 % faster than one job of 8; with 2 in each, what a job costs itself is felt (docs/decisions/0018).
 */
const BATCH_REGIONS = 4
if (BATCH_REGIONS > BATCH_REGIONS_MAX) throw new RangeError('a native job takes fewer regions')

export const REGION_HEADER_BYTES = 128
export const TABLE_ENTRY_BYTES = 36

/** A run of the chunks of one append. */
export interface Batch {
  readonly first: number
  /** chunks in each of its regions */
  readonly counts: number[]
  /** what it takes in the file if nothing shrinks */
  readonly worstBytes: number
  readonly rawBytes: number
}

/** What a region takes in the file when its data didn't shrink. */
export function regionBytes(chunkCount: number, rawBytes: number): number {
  const used = REGION_HEADER_BYTES + chunkCount * TABLE_ENTRY_BYTES + rawBytes
  return Math.ceil(used / BLOCK_PAGE_BYTES) * BLOCK_PAGE_BYTES
}

interface Region {
  readonly count: number
  readonly rawBytes: number
}

/**
 * Regions of about equal size, as few as the limit allows: a full one followed by a tiny rest would compress and read
 * worse than two halves.
 */
function packRegions(chunks: readonly NewChunk[]): Region[] {
  let rest = 0
  for (const chunk of chunks) rest += chunk.data.length
  const regions: Region[] = []
  let count = 0
  let rawBytes = 0
  let target = targetOf(rest)
  for (const chunk of chunks) {
    const length = chunk.data.length
    const isTooMuch = rawBytes + length > REGION_RAW_BYTES_MAX || count === REGION_CHUNKS_MAX
    // The chunk that crosses the target goes to the side that it lies on more.
    if (count > 0 && (isTooMuch || rawBytes + length / 2 > target)) {
      regions.push({ count, rawBytes })
      rest -= rawBytes
      target = targetOf(rest)
      count = 0
      rawBytes = 0
    }
    count += 1
    rawBytes += length
  }
  if (count > 0) regions.push({ count, rawBytes })
  return regions
}

function targetOf(rest: number): number {
  return rest / Math.max(1, Math.ceil(rest / REGION_RAW_BYTES_MAX))
}

/** The chunks in order, packed into regions, so many regions to a batch as one native job is given. */
export function packBatches(chunks: readonly NewChunk[]): Batch[] {
  const regions = packRegions(chunks)
  const batches: Batch[] = []
  let first = 0
  for (let index = 0; index < regions.length; index += BATCH_REGIONS) {
    const counts: number[] = []
    let worstBytes = 0
    let rawBytes = 0
    let chunkCount = 0
    for (const region of regions.slice(index, index + BATCH_REGIONS)) {
      counts.push(region.count)
      worstBytes += regionBytes(region.count, region.rawBytes)
      rawBytes += region.rawBytes
      chunkCount += region.count
    }
    batches.push({ first, counts, worstBytes, rawBytes })
    first += chunkCount
  }
  return batches
}

/** The chunks as the addon takes them. */
export function chunkLists(chunks: readonly NewChunk[]): {
  datas: Uint8Array[]
  fingerprints: Uint8Array
} {
  const datas: Uint8Array[] = []
  const fingerprints = new Uint8Array(chunks.length * FINGERPRINT_BYTES)
  for (const [index, { data, fingerprint }] of chunks.entries()) {
    datas.push(data)
    fingerprints.set(fingerprint, index * FINGERPRINT_BYTES)
  }
  return { datas, fingerprints }
}
