// Fields of a record one after another, big-endian. Every record begins with a version byte; a reader that runs past
// the end or meets a version it doesn't know refuses the record, it never guesses.

import { StoreError } from '../../errors.ts'
import type { ByteString, Timestamp } from '../types.ts'
import { bufferOf } from '../../buffer-of.ts'

const WORD = 2 ** 32
const NANOSECONDS = 1e9

/** bytes of one timestamp: seconds i64, nanoseconds u32 */
export const TIMESTAMP_BYTES = 12

export class RecordWriter {
  readonly #bytes: Buffer
  #at = 0

  /** @param sizeBytes exactly what will be written */
  constructor(sizeBytes: number, version: number) {
    this.#bytes = Buffer.allocUnsafe(sizeBytes)
    this.u8(version)
  }

  u8(value: number): void {
    this.#at = this.#bytes.writeUInt8(value, this.#at)
  }

  u16(value: number): void {
    this.#at = this.#bytes.writeUInt16BE(value, this.#at)
  }

  u32(value: number): void {
    this.#at = this.#bytes.writeUInt32BE(value, this.#at)
  }

  /** an integer within ±2^53, in two's complement */
  i64(value: number): void {
    const high = Math.floor(value / WORD)
    this.#at = this.#bytes.writeInt32BE(high, this.#at)
    this.#at = this.#bytes.writeUInt32BE(value - high * WORD, this.#at)
  }

  timestamp(value: Timestamp): void {
    this.i64(value.seconds)
    this.u32(value.nanoseconds)
  }

  text(value: ByteString): void {
    this.#at += this.#bytes.write(value, this.#at, 'latin1')
  }

  raw(value: Uint8Array): void {
    this.#bytes.set(value, this.#at)
    this.#at += value.length
  }

  finish(): Uint8Array {
    if (this.#at !== this.#bytes.length)
      throw new RangeError('a record of another size than stated')
    return this.#bytes
  }
}

export class RecordReader {
  readonly #bytes: Buffer
  readonly #what: string
  #at = 0

  /** @param what names the record in errors */
  constructor(bytes: Uint8Array, version: number, what: string) {
    this.#bytes = bufferOf(bytes)
    this.#what = what
    const found = this.u8()
    if (found !== version) {
      throw new StoreError(
        'RECORD_VERSION_UNKNOWN',
        `The ${what} has version ${found}, and this program knows only ${version}.`,
      )
    }
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#take(1))
  }

  u16(): number {
    return this.#bytes.readUInt16BE(this.#take(2))
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#take(4))
  }

  i64(): number {
    const at = this.#take(8)
    const value = this.#bytes.readInt32BE(at) * WORD + this.#bytes.readUInt32BE(at + 4)
    // Beyond these two numbers are rounded into each other.
    if (!Number.isSafeInteger(value)) this.damaged('holds a number that is too large')
    return value
  }

  /** an i64 that is a size, a count or an inode's number, and so not negative */
  natural(): number {
    const value = this.i64()
    if (value < 0) this.damaged('holds a negative number')
    return value
  }

  /** a byte of flags. @param known what this program understands: another bit may change what the rest means */
  flags(known: number): number {
    const value = this.u8()
    if ((value & ~known) !== 0) this.damaged('has a flag that is not known')
    return value
  }

  timestamp(): Timestamp {
    const time = { seconds: this.i64(), nanoseconds: this.u32() }
    if (time.nanoseconds >= NANOSECONDS) this.damaged('holds no time')
    return time
  }

  text(length: number): ByteString {
    const at = this.#take(length)
    return this.#bytes.toString('latin1', at, at + length)
  }

  /** a copy, so that the record itself may go */
  raw(length: number): Uint8Array {
    const at = this.#take(length)
    return new Uint8Array(this.#bytes.subarray(at, at + length))
  }

  /** checks that nothing is left over */
  end(): void {
    if (this.#at !== this.#bytes.length) this.damaged('is longer than its fields')
  }

  #take(length: number): number {
    const at = this.#at
    if (at + length > this.#bytes.length) this.damaged('is cut short')
    this.#at = at + length
    return at
  }

  damaged(how: string): never {
    throw new StoreError('RECORD_DAMAGED', `The ${this.#what} ${how}.`)
  }
}
