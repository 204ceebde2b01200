// Walks a block file by its region headers, for rebuilding the index and for what a crash left behind.

import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import {
  parseBlockHeader,
  parseRegionHeader,
  type ParsedBlockHeader,
  type ParsedRegionHeader,
} from '../native/data-path.ts'
import { BLOCK_PAGE_BYTES } from './block-store.ts'

/** Garbage is crossed in pieces of this many bytes instead of page by page. */
const SCAN_WINDOW_BYTES = 64 * 1024

/** What stands in a block file's place is neither followed nor waited for. */
const READ_ONLY = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** A region as its header describes it; only opening it proves that it is whole. */
export type ScannedRegion = ParsedRegionHeader

/** The block file's header; undefined when there is none of a known version. */
export async function readBlockHeader(path: string): Promise<ParsedBlockHeader | undefined> {
  const file = await open(path, READ_ONLY)
  try {
    const page = await readAt(file, 0, BLOCK_PAGE_BYTES)
    return parseBlockHeader(page) ?? undefined
  } finally {
    await file.close()
  }
}

/**
 * The regions of a block file in the file's order, from the byte `from` on. What isn't a region is crossed
 * page by page until the next header that says that it belongs where it is.
 */
export async function* scanBlockFile(
  path: string,
  from = BLOCK_PAGE_BYTES,
): AsyncGenerator<ScannedRegion, void, undefined> {
  const file = await open(path, READ_ONLY)
  try {
    let offset = Math.max(BLOCK_PAGE_BYTES, from)
    for (;;) {
      const bytes = await readAt(file, offset, SCAN_WINDOW_BYTES)
      if (bytes.length < BLOCK_PAGE_BYTES) return
      let position = 0
      while (position + BLOCK_PAGE_BYTES <= bytes.length) {
        const header = parseRegionHeader(bytes.subarray(position))
        if (header?.page === (offset + position) / BLOCK_PAGE_BYTES) {
          yield header
          position += header.fileBytes
        } else {
          position += BLOCK_PAGE_BYTES
        }
      }
      offset += position
    }
  } finally {
    await file.close()
  }
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  const { bytesRead } = await file.read(buffer, 0, length, offset)
  return buffer.subarray(0, bytesRead)
}
