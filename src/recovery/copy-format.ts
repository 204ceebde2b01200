// What the chains of a metadata copy hold. A generation has two: the snapshot, every record as of one commit, and the
// journal, what later commits changed. Integers are little-endian. The first byte of a piece says what it is:
//
//   1 begin   1 version (1) · 8 sequence of the commit that the generation begins with · 8 seconds since 1970
//   2 data    records one after the other, which go on in the next piece of data
//   3 mark    8 sequence · 8 seconds since 1970 · 8 records since the beginning or the last mark: they are all there
//
// A record is: 1 what (1 put, 2 delete) · 2 length of the key · 4 length of the value (put only) · key · value.
// A snapshot ends with its one mark. Of a journal, what is behind the last mark counts for nothing.

import { StoreError } from '../errors.ts'
import { TABLE } from '../metadata/index.ts'
import { bufferOf } from '../buffer-of.ts'

export type CopyPiece =
  | { readonly kind: 'begin'; readonly sequence: number; readonly seconds: number }
  | { readonly kind: 'data'; readonly records: Uint8Array }
  | {
      readonly kind: 'mark'
      readonly sequence: number
      readonly seconds: number
      readonly recordCount: number
    }

/** `value` is null for a record that was deleted. */
export interface CopyRecord {
  readonly key: Uint8Array
  readonly value: Uint8Array | null
}

const KIND = { begin: 1, data: 2, mark: 3 } as const
const VERSION = 1
const BEGIN_BYTES = 18
const MARK_BYTES = 25
const PUT = 1
const DELETE = 2
const PUT_HEADER_BYTES = 7
const DELETE_HEADER_BYTES = 3
/** Hashing one takes the event loop a tenth of a millisecond. */
const PIECE_BYTES = 128 * 1024

/** Chunk index, block records and counters of references are made again; the two keys are a running daemon's. */
const LEFT_OUT_TABLES: ReadonlySet<number> = new Set([TABLE.chunk, TABLE.block, TABLE.usage])
const LEFT_OUT_KEYS: readonly Buffer[] = [
  Buffer.of(TABLE.superblock, ...Buffer.from('sequence')),
  Buffer.of(TABLE.superblock, ...Buffer.from('blocks')),
  Buffer.of(TABLE.pass, ...Buffer.from('current')),
]

/** Whether a record belongs to a copy. */
export function isCopied(key: Uint8Array): boolean {
  const [table = 0] = key
  if (LEFT_OUT_TABLES.has(table)) return false
  if (table !== TABLE.superblock && table !== TABLE.pass) return true
  return LEFT_OUT_KEYS.every(left => left.compare(key) !== 0)
}

export function packBegin(sequence: number, seconds: number): Buffer {
  const piece = Buffer.alloc(BEGIN_BYTES)
  piece[0] = KIND.begin
  piece[1] = VERSION
  piece.writeBigUInt64LE(BigInt(sequence), 2)
  piece.writeBigUInt64LE(BigInt(seconds), 10)
  return piece
}

export function packMark(sequence: number, seconds: number, recordCount: number): Buffer {
  const piece = Buffer.alloc(MARK_BYTES)
  piece[0] = KIND.mark
  piece.writeBigUInt64LE(BigInt(sequence), 1)
  piece.writeBigUInt64LE(BigInt(seconds), 9)
  piece.writeBigUInt64LE(BigInt(recordCount), 17)
  return piece
}

/** How keys are kept where many are looked for: as text, a byte a character. */
export function nameOf(key: Uint8Array): string {
  return bufferOf(key).toString('latin1')
}

const NO_PIECES: readonly Buffer[] = []

function packRecord(target: Buffer, at: number, name: string, value: Uint8Array | null): void {
  target[at] = value === null ? DELETE : PUT
  target.writeUInt16LE(name.length, at + 1)
  if (value !== null) target.writeUInt32LE(value.length, at + 3)
  const nameAt = at + (value === null ? DELETE_HEADER_BYTES : PUT_HEADER_BYTES)
  target.write(name, nameAt, 'latin1')
  if (value !== null) target.set(value, nameAt + name.length)
}

/** Fills pieces of data with records. */
export class RecordPacker {
  #piece = Buffer.allocUnsafe(PIECE_BYTES)
  #at = 1
  #recordCount = 0

  get recordCount(): number {
    return this.#recordCount
  }

  /**
   * @param name of its key
   * @returns the pieces that are full, not to be waited for
   */
  add(name: string, value: Uint8Array | null): readonly Buffer[] {
    const headerBytes = value === null ? DELETE_HEADER_BYTES : PUT_HEADER_BYTES
    const lengthBytes = headerBytes + name.length + (value?.length ?? 0)
    this.#recordCount++
    if (lengthBytes <= PIECE_BYTES - this.#at) {
      packRecord(this.#piece, this.#at, name, value)
      this.#at += lengthBytes
      return NO_PIECES
    }
    const record = Buffer.allocUnsafe(lengthBytes)
    packRecord(record, 0, name, value)
    const full: Buffer[] = []
    this.#write(record, full)
    return full
  }

  /** The last piece, which isn't full; none when there is nothing in it. */
  end(): Buffer[] {
    return this.#at === 1 ? [] : [this.#take()]
  }

  #write(bytes: Uint8Array, full: Buffer[]): void {
    for (let from = 0; from < bytes.length;) {
      const length = Math.min(bytes.length - from, PIECE_BYTES - this.#at)
      this.#piece.set(bytes.subarray(from, from + length), this.#at)
      this.#at += length
      from += length
      if (this.#at === PIECE_BYTES) full.push(this.#take())
    }
  }

  #take(): Buffer {
    const piece = this.#piece.subarray(0, this.#at)
    piece[0] = KIND.data
    this.#piece = Buffer.allocUnsafe(PIECE_BYTES)
    this.#at = 1
    return piece
  }
}

/** @throws StoreError UNKNOWN_VERSION, COPY_DAMAGED */
export function parsePiece(bytes: Uint8Array): CopyPiece {
  const piece = bufferOf(bytes)
  const number = (at: number): number => Number(piece.readBigUInt64LE(at))
  if (piece[0] === KIND.data) return { kind: 'data', records: bytes.subarray(1) }
  if (piece[0] === KIND.mark && piece.length === MARK_BYTES) {
    return { kind: 'mark', sequence: number(1), seconds: number(9), recordCount: number(17) }
  }
  if (piece[0] === KIND.begin && piece.length === BEGIN_BYTES && piece[1] === VERSION) {
    return { kind: 'begin', sequence: number(2), seconds: number(10) }
  }
  throw new StoreError('UNKNOWN_VERSION', 'A copy of the metadata is of an unknown version.')
}

/** Takes records out of pieces of data. */
export class RecordParser {
  #rest: Buffer = Buffer.alloc(0)

  /** Whether a record has begun and isn't whole. */
  get isInside(): boolean {
    return this.#rest.length > 0
  }

  /** @returns records with memory of their own. @throws StoreError COPY_DAMAGED */
  take(records: Uint8Array): CopyRecord[] {
    const bytes = Buffer.concat([this.#rest, records])
    const found: CopyRecord[] = []
    let at = 0
    for (;;) {
      const what = bytes[at]
      if (what !== undefined && what !== PUT && what !== DELETE) throw damaged()
      const headerBytes = what === PUT ? PUT_HEADER_BYTES : DELETE_HEADER_BYTES
      if (at + headerBytes > bytes.length) break
      const keyAt = at + headerBytes
      const valueAt = keyAt + bytes.readUInt16LE(at + 1)
      const end = valueAt + (what === PUT ? bytes.readUInt32LE(at + 3) : 0)
      if (end > bytes.length) break
      const value = what === PUT ? bytes.subarray(valueAt, end) : null
      found.push({ key: bytes.subarray(keyAt, valueAt), value })
      at = end
    }
    this.#rest = bytes.subarray(at)
    return found
  }
}

function damaged(): StoreError {
  return new StoreError('COPY_DAMAGED', 'A copy of the metadata holds something that is no record.')
}
