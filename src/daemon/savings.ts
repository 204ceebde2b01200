// The savings chain, as QoreStor prints it: Current → Post Dedupe → Post Compression → Post Encryption.

import type { BlockRecord } from '../blocks/index.ts'

export interface Savings {
  readonly currentBytes: number
  readonly postDedupeBytes: number
  readonly postCompressionBytes: number
  readonly postEncryptionBytes: number
  readonly dedupePercent: number
  readonly compressionPercent: number
  readonly totalPercent: number
}

export interface BlockTotals {
  readonly blocks: number
  readonly chunks: number
  readonly rawBytes: number
  readonly compressedBytes: number
  /** what the block files take, headers, tables and padding included */
  readonly fileBytes: number
}

export function sumBlocks(records: Iterable<BlockRecord>): BlockTotals {
  let blocks = 0
  let chunks = 0
  let rawBytes = 0
  let compressedBytes = 0
  let fileBytes = 0
  for (const record of records) {
    blocks++
    chunks += record.chunkCount
    rawBytes += record.rawBytes
    compressedBytes += record.compressedBytes
    fileBytes += record.lengthBytes
  }
  return { blocks, chunks, rawBytes, compressedBytes, fileBytes }
}

/**
 * The formulas of the QoreStor guide; two decimals. Sealing adds headers, tables and padding. What no file refers to any more
 * counts as stored until the cleaner frees it, so more may be stored than clients see: then nothing is saved, which is 0.
 */
export function savingsOf(currentBytes: number, totals: BlockTotals): Savings {
  return {
    currentBytes,
    postDedupeBytes: totals.rawBytes,
    postCompressionBytes: totals.compressedBytes,
    postEncryptionBytes: totals.fileBytes,
    dedupePercent: percentSaved(totals.rawBytes, currentBytes),
    compressionPercent: percentSaved(totals.compressedBytes, totals.rawBytes),
    totalPercent: percentSaved(totals.compressedBytes, currentBytes),
  }
}

function percentSaved(partBytes: number, wholeBytes: number): number {
  if (partBytes >= wholeBytes) return 0
  return Math.round((1 - partBytes / wholeBytes) * 10_000) / 100
}
