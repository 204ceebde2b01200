// An extent maps a range of a file to (a part of) a chunk. A hole is the absence of an extent.

import type { ChunkLocation } from '../blocks/block-store.ts'

export interface Extent {
  readonly startBytes: number
  readonly lengthBytes: number
  /** where the extent's first byte lies within its chunk */
  readonly chunkOffsetBytes: number
  /** of the whole chunk */
  readonly chunkLengthBytes: number
  readonly fingerprint: Uint8Array
  readonly location: ChunkLocation
}

/**
 * Extents are kept in pages by the place where they start. A chunk is shorter than a page, so that an offset's extent is
 * in its own page, or the last one of the page before.
 */
export const EXTENT_PAGE_BYTES = 4 * 1024 * 1024

/** As ext4's order of magnitude, and far below what an extent page's number (32 bits of 4 MiB) or a double can count. */
export const FILE_BYTES_MAX = 8 * 2 ** 40

/** The extents of one page of one file, and the storage group that their chunks belong to. */
export interface ExtentPage {
  readonly group: number
  /** ascending */
  readonly extents: readonly Extent[]
}

/** The byte of the file behind the extent's last one. */
export function endOf(extent: Extent): number {
  return extent.startBytes + extent.lengthBytes
}

/** What the extents cover together. */
export function mappedBytes(extents: readonly Extent[]): number {
  return extents.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0)
}
