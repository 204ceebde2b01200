// A record of a log: one batch of writes, in as far as its place in the log depends on it.
//
//   0  8  sequence number of the first write, little-endian; each write takes one
//   8  4  how many writes
//  12  …  writes: a type (0 delete, 1 put), then key and, for a put, value, each behind its length as a varint

import { ByteReader } from './byte-reader.ts'

const HEADER_BYTES = 12
const TYPE_PUT = 1
/** Far more writes than a commit and those before it can have. */
const SEQUENCE_GAP_MAX = 2n ** 32n

/** Where the next batch's sequence numbers begin; undefined for a record that is too short to be a batch. */
export function nextSequence(batch: Buffer): bigint | undefined {
  if (batch.length < HEADER_BYTES) return undefined
  return batch.readBigUInt64LE(0) + BigInt(batch.readUInt32LE(8))
}

/** Whether a record that was found can be a batch written some time after `before`. */
export function mayBeBatch(record: Buffer, before: Buffer | undefined, isWhole: boolean): boolean {
  if (record.length < HEADER_BYTES) return false
  const sequence = record.readBigUInt64LE(0)
  const least = before === undefined ? 0n : (nextSequence(before) ?? 0n)
  if (sequence <= least) return false
  if (before !== undefined && sequence - least > SEQUENCE_GAP_MAX) return false
  return !isWhole || isSound(record)
}

/** Whether the writes of a batch are as many as it says, and end where it ends. */
export function isSound(batch: Buffer): boolean {
  if (batch.length < HEADER_BYTES) return false
  try {
    const reader = new ByteReader(batch.subarray(HEADER_BYTES))
    let count = 0
    for (; !reader.isAtEnd; count++) {
      const type = reader.byte()
      if (type > TYPE_PUT) return false
      reader.slice()
      if (type === TYPE_PUT) reader.slice()
    }
    return count === batch.readUInt32LE(8)
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}
