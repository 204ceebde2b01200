// What a cut has found, as chunks to be stored, and then as extents.

import { FINGERPRINT_BYTES } from '../blocks/block-store.ts'
import type { ChunkLocation, NewChunk } from '../blocks/block-store.ts'
import type { Extent } from './extent.ts'

export interface CutResult {
  readonly lengths: Uint32Array
  /** one behind the other */
  readonly fingerprints: Uint8Array
  /** the lengths' sum */
  readonly consumedBytes: number
}

/** The chunks of `data`, which their memory stays in. */
export function chunksOf(data: Uint8Array, { lengths, fingerprints }: CutResult): NewChunk[] {
  const chunks: NewChunk[] = []
  let at = 0
  for (const [index, lengthBytes] of lengths.entries()) {
    const from = index * FINGERPRINT_BYTES
    chunks.push({
      fingerprint: fingerprints.slice(from, from + FINGERPRINT_BYTES),
      data: data.subarray(at, at + lengthBytes),
    })
    at += lengthBytes
  }
  return chunks
}

/** Of chunks that follow each other from `startBytes` on. @param locations of each */
export function extentsOf(
  startBytes: number,
  chunks: readonly NewChunk[],
  locations: readonly ChunkLocation[],
): Extent[] {
  let at = startBytes
  return chunks.map((chunk, index) => {
    const location = locations[index]
    if (location === undefined) throw new Error('a chunk has no location')
    const extent = {
      startBytes: at,
      lengthBytes: chunk.data.length,
      chunkOffsetBytes: 0,
      chunkLengthBytes: chunk.data.length,
      fingerprint: chunk.fingerprint,
      location,
    }
    at += chunk.data.length
    return extent
  })
}
