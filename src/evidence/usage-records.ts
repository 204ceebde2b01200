// Records of the counters of references.
//
//   U group(2)    0 1 version   1 8 pages   9 8 extents   17 8 bytes
//   U block(4)    0 1 version   1 8 extents   9 8 bytes                  little-endian

import { StoreError } from '../errors.ts'
import { keyNumber, TABLE } from '../metadata/index.ts'
import type { BlockUsage, GroupUsage, UsageTotals } from './contract.ts'

const RECORD_VERSION = 1
const GROUP_KEY_BYTES = 3
const BLOCK_KEY_BYTES = 5

/** A record of one of the two kinds. */
export type UsageEntry =
  | { readonly kind: 'group'; readonly group: number; readonly usage: GroupUsage }
  | { readonly kind: 'block'; readonly block: number; readonly usage: BlockUsage }

export function groupUsageKey(group: number): Buffer {
  const key = Buffer.alloc(GROUP_KEY_BYTES)
  key[0] = TABLE.usage
  key.writeUInt16BE(group, 1)
  return key
}

export function blockUsageKey(block: number): Buffer {
  const key = Buffer.alloc(BLOCK_KEY_BYTES)
  key[0] = TABLE.usage
  key.writeUInt32BE(block, 1)
  return key
}

export function packGroupUsage({ pages, extents, bytes }: GroupUsage): Buffer {
  return packNumbers(pages, extents, bytes)
}

export function packBlockUsage({ extents, bytes }: BlockUsage): Buffer {
  return packNumbers(extents, bytes)
}

/** Keys and values of all counters, for a metadata database that is made anew. */
export function* usageRecords({ blocks, groups }: UsageTotals): Iterable<{
  key: Buffer
  value: Buffer
}> {
  for (const [group, usage] of groups) {
    yield { key: groupUsageKey(group), value: packGroupUsage(usage) }
  }
  for (const [block, usage] of blocks) {
    yield { key: blockUsageKey(block), value: packBlockUsage(usage) }
  }
}

/** @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED */
export function parseUsage(key: Uint8Array, value: Uint8Array): UsageEntry {
  if (value[0] !== RECORD_VERSION) {
    throw new StoreError('UNKNOWN_VERSION', 'A counter of references has an unknown version.')
  }
  if (key.length === GROUP_KEY_BYTES) {
    const [pages, extents, bytes] = parseNumbers(value, 3)
    return { kind: 'group', group: keyNumber(key, 2), usage: { pages, extents, bytes } }
  }
  const [extents, bytes] = parseNumbers(value, 2)
  return { kind: 'block', block: keyNumber(key, 4), usage: { extents, bytes } }
}

function packNumbers(...numbers: number[]): Buffer {
  const record = Buffer.alloc(1 + numbers.length * 8)
  record[0] = RECORD_VERSION
  numbers.forEach((number, index) => record.writeBigInt64LE(BigInt(number), 1 + index * 8))
  return record
}

function parseNumbers(value: Uint8Array, count: 2): [number, number]
function parseNumbers(value: Uint8Array, count: 3): [number, number, number]
function parseNumbers(value: Uint8Array, count: number): number[] {
  const record = Buffer.from(value)
  const numbers: number[] = []
  for (let at = 1; at + 8 <= record.length; at += 8) numbers.push(Number(record.readBigInt64LE(at)))
  const isSane = record.length === 1 + count * 8 && numbers.every(Number.isSafeInteger)
  if (!isSane) throw new StoreError('RECORD_DAMAGED', 'A counter of references is damaged.')
  return numbers
}
