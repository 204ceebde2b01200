// LevelDB's log format, of which logs and manifests are made. Blocks of 32 KiB hold physical records, and none crosses a
// block's end; a record is one of them, or several.
//
//   0  4  masked CRC-32C over type and payload, little-endian
//   4  2  payload bytes
//   6  1  type: 1 whole record, 2 first part, 3 middle part, 4 last part
//   7  …  payload

import { maskedCrc32c } from '../../native/leveldb.ts'
import { mayBeBatch } from './write-batch.ts'

const BLOCK_BYTES = 32 * 1024
const HEADER_BYTES = 7
const TYPE = { full: 1, first: 2, middle: 3, last: 4 } as const

export interface LogDamage {
  /** where the first record begins that is not whole */
  readonly at: number
  readonly what: string
  /** no record begins behind it: the last write may have been cut short */
  readonly isAtEnd: boolean
}

export interface LogContent {
  /** the whole records up to the first damage */
  readonly records: readonly Buffer[]
  readonly damage?: LogDamage
}

interface Part {
  readonly type: number
  readonly payload: Buffer
  readonly endBytes: number
}

/** @param holdsBatches whether it is a log of write batches, rather than a manifest */
export function readLog(file: Buffer, holdsBatches: boolean): LogContent {
  const records: Buffer[] = []
  let parts: Buffer[] = []
  let start = 0
  for (let at = 0; at < file.length;) {
    const left = BLOCK_BYTES - (at % BLOCK_BYTES)
    if (left < HEADER_BYTES) {
      at += left
      continue
    }
    const part = partAt(file, at)
    const what = typeof part === 'string' ? part : misplaced(part.type, parts.length > 0)
    if (parts.length === 0) start = at
    if (typeof part === 'string' || what !== undefined) {
      const isAtEnd = !hasLaterRecord(file, at + 1, holdsBatches ? records.at(-1) : null)
      return { records, damage: { at: start, what: what ?? 'is damaged', isAtEnd } }
    }
    parts.push(part.payload)
    at = part.endBytes
    if (part.type === TYPE.first || part.type === TYPE.middle) continue
    records.push(parts.length === 1 ? part.payload : Buffer.concat(parts))
    parts = []
  }
  if (parts.length === 0) return { records }
  return { records, damage: { at: start, what: 'ends within a record', isAtEnd: true } }
}

/** The physical record at a place, or what is wrong there. */
function partAt(file: Buffer, at: number): Part | string {
  if (file.length - at < HEADER_BYTES) return 'ends within a record'
  const bytes = file.readUInt16LE(at + 4)
  const type = file[at + 6] ?? 0
  const endBytes = at + HEADER_BYTES + bytes
  if (endBytes > (Math.floor(at / BLOCK_BYTES) + 1) * BLOCK_BYTES) return 'has a wrong length'
  if (endBytes > file.length) return 'ends within a record'
  if (type < TYPE.full || type > TYPE.last) return 'has a record of an unknown type'
  if (file.readUInt32LE(at) !== maskedCrc32c(file.subarray(at + 6, endBytes))) {
    return 'has a record with a wrong checksum'
  }
  return { type, payload: file.subarray(at + HEADER_BYTES, endBytes), endBytes }
}

function misplaced(type: number, isWithinRecord: boolean): string | undefined {
  const continues = type === TYPE.middle || type === TYPE.last
  return continues === isWithinRecord ? undefined : 'lacks a part of a record'
}

/** Half a second's work. What still looks like records then counts as damage, and nothing is cut. */
const SUMMED_BYTES_MAX = 64 * 1024 * 1024

/**
 * Whether a record begins behind a damage. Records are written and synced one after the other, so there is none behind one
 * that was never complete. Parts that only continue a record may be the rest of the damaged one.
 *
 * Framing is lost at a damage, so each byte may begin a record, also one within a value that a client has chosen. In a log it
 * counts only if it can be a batch that follows on the last whole one.
 * @param before the last whole batch; null where any record counts
 */
function hasLaterRecord(file: Buffer, from: number, before: Buffer | null | undefined): boolean {
  let summedBytes = 0
  for (let at = from; at + HEADER_BYTES <= file.length; at++) {
    const type = file[at + 6] ?? 0
    if (type !== TYPE.full && type !== TYPE.first) continue
    const endBytes = at + HEADER_BYTES + file.readUInt16LE(at + 4)
    if (endBytes > file.length) continue
    const payload = file.subarray(at + HEADER_BYTES, endBytes)
    // What costs little first: a client may have chosen the bytes, and a checksum at each of them takes minutes.
    if (before !== null && !mayBeBatch(payload, before, type === TYPE.full)) continue
    summedBytes += payload.length
    if (summedBytes > SUMMED_BYTES_MAX) return true
    if (typeof partAt(file, at) !== 'string') return true
  }
  return false
}
