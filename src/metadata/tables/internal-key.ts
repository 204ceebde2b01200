// LevelDB's internal keys: a user key, then sequence number and type in eight little-endian bytes.

import { bufferOf } from '../../buffer-of.ts'

const TAG_BYTES = 8

export function isInternalKey(key: Uint8Array): boolean {
  return key.length >= TAG_BYTES
}

export function userKeyOf(key: Uint8Array): Uint8Array {
  return key.subarray(0, key.length - TAG_BYTES)
}

/** LevelDB's order: user keys ascending, and of each the newest first. */
export function compareKeys(left: Uint8Array, right: Uint8Array): number {
  const order = Buffer.compare(userKeyOf(left), userKeyOf(right))
  if (order !== 0) return order
  const leftTag = tagOf(left)
  const rightTag = tagOf(right)
  return leftTag > rightTag ? -1 : leftTag < rightTag ? 1 : 0
}

function tagOf(key: Uint8Array): bigint {
  return bufferOf(key).readBigUInt64LE(key.length - TAG_BYTES)
}
