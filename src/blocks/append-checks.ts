// What an append takes and gives: its arguments checked, its result as locations, its failure as a filesystem error.

import assert from 'node:assert'
import { FilesystemError } from '../errors.ts'
import type { AppendResult } from '../native/data-path.ts'
import {
  CHUNK_BYTES_MAX,
  FINGERPRINT_BYTES,
  type ChunkLocation,
  type NewChunk,
  type SealingPolicy,
} from './block-store.ts'
import { codeOf } from './errors.ts'
import type { Batch } from './packing.ts'

export function locationsOf(block: number, batch: Batch, result: AppendResult): ChunkLocation[] {
  const locations: ChunkLocation[] = []
  batch.counts.forEach((count, index) => {
    const page = result.pages[index]
    const first = result.ordinals[index]
    assert(page !== undefined && first !== undefined, 'every region has a page and an ordinal')
    for (let slot = 0; slot < count; slot++) {
      locations.push({ block, page, ordinal: first + slot })
    }
  })
  return locations
}

export function checkPolicy(policy: SealingPolicy): void {
  assert((policy.keyId === 0) === (policy.key === undefined), 'a key comes with its id')
}

export function checkChunk(chunk: NewChunk): void {
  const { length } = chunk.data
  assert(length > 0 && length <= CHUNK_BYTES_MAX, 'a chunk has 1 byte to 256 KiB')
  assert(chunk.fingerprint.length === FINGERPRINT_BYTES, 'a fingerprint has 32 bytes')
}

export function appendError(error: unknown): unknown {
  const code = codeOf(error)
  if (code === '' || error instanceof TypeError) return error
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new FilesystemError(code, code, { cause: error })
  return new FilesystemError('EIO', `Appending to a block file failed (${code}).`, { cause: error })
}
