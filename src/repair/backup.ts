// Copies of the records that a repair changes, as they lay in LevelDB, whole or not: one file for each round of a repair,
// written before the round begins.
//
//   0  8  COFRREPR     8  2 version (1)   10  2 zero   12  4 number of records   16  8 repair   24  8 seconds since 1970
//   then per record: 2 length of the key · 4 length of the value (all ones: there was no record) · key · value with its frame
//   at the end: 32 SHA-256 of everything before

import { createHash } from 'node:crypto'
import { StoreError } from '../errors.ts'

const MAGIC = Buffer.from('COFRREPR')
const VERSION = 1
const HEAD_BYTES = 32
const RECORD_HEAD_BYTES = 6
const DIGEST_BYTES = 32
const ABSENT = 0xff_ff_ff_ff

export interface RepairBackup {
  readonly repair: number
  readonly seconds: number
  readonly records: readonly BackedUpRecord[]
}

export interface BackedUpRecord {
  readonly key: Buffer
  /** with its frame; null when there was no record */
  readonly frame: Buffer | null
}

/** Names sort by time. */
export function backupName(repair: number, round: number, seconds: number): string {
  const time = new Date(seconds * 1000).toISOString().replace(/[-:]|\.\d+/g, '')
  return `${time}-${repair}-${round}.backup`
}

export function packBackup({ repair, seconds, records }: RepairBackup): Buffer {
  const head = Buffer.alloc(HEAD_BYTES)
  MAGIC.copy(head)
  head.writeUInt16LE(VERSION, 8)
  head.writeUInt32LE(records.length, 12)
  head.writeBigUInt64LE(BigInt(repair), 16)
  head.writeBigUInt64LE(BigInt(seconds), 24)
  const pieces: Buffer[] = [head]
  for (const { key, frame } of records) {
    const lengths = Buffer.alloc(RECORD_HEAD_BYTES)
    lengths.writeUInt16LE(key.length, 0)
    lengths.writeUInt32LE(frame?.length ?? ABSENT, 2)
    pieces.push(lengths, key)
    if (frame !== null) pieces.push(frame)
  }
  const content = Buffer.concat(pieces)
  return Buffer.concat([content, createHash('sha256').update(content).digest()])
}

/** @throws StoreError UNKNOWN_VERSION, BACKUP_DAMAGED */
export function parseBackup(bytes: Buffer): RepairBackup {
  if (bytes.length < HEAD_BYTES + DIGEST_BYTES || !bytes.subarray(0, 8).equals(MAGIC)) {
    throw damaged()
  }
  const version = bytes.readUInt16LE(8)
  if (version !== VERSION) {
    throw new StoreError('UNKNOWN_VERSION', `The backup of a repair has version ${version}.`)
  }
  const content = bytes.subarray(0, bytes.length - DIGEST_BYTES)
  const digest = createHash('sha256').update(content).digest()
  if (!digest.equals(bytes.subarray(content.length))) throw damaged()
  const records: BackedUpRecord[] = []
  let at = HEAD_BYTES
  for (let count = bytes.readUInt32LE(12); count > 0; count--) {
    if (at + RECORD_HEAD_BYTES > content.length) throw damaged()
    const keyEnd = at + RECORD_HEAD_BYTES + content.readUInt16LE(at)
    const length = content.readUInt32LE(at + 2)
    const end = length === ABSENT ? keyEnd : keyEnd + length
    if (end > content.length) throw damaged()
    const key = content.subarray(at + RECORD_HEAD_BYTES, keyEnd)
    records.push({ key, frame: length === ABSENT ? null : content.subarray(keyEnd, end) })
    at = end
  }
  if (at !== content.length) throw damaged()
  const repair = Number(bytes.readBigUInt64LE(16))
  return { repair, seconds: Number(bytes.readBigUInt64LE(24)), records }
}

function damaged(): StoreError {
  return new StoreError('BACKUP_DAMAGED', 'The backup of a repair is damaged.')
}
