// The number of a commit, as the store's own record has it: eight bytes, little-endian, without a version.

import { StoreError } from '../errors.ts'
import { bufferOf } from '../buffer-of.ts'

const SEQUENCE_BYTES = 8

export function packSequence(sequence: number): Buffer {
  const record = Buffer.alloc(SEQUENCE_BYTES)
  record.writeBigUInt64LE(BigInt(sequence))
  return record
}

/** @throws StoreError RECORD_DAMAGED */
export function parseSequence(record: Uint8Array): number {
  const bytes = bufferOf(record)
  const sequence = bytes.length === SEQUENCE_BYTES ? Number(bytes.readBigUInt64LE(0)) : NaN
  if (Number.isSafeInteger(sequence)) return sequence
  throw new StoreError('RECORD_DAMAGED', 'The record of the last commit is damaged.')
}
