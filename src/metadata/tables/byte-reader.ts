// Takes LevelDB's numbers and byte strings from untrusted bytes, front to back.

const VARINT_SHIFT_MAX = 63

export class ByteReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  /** @throws RangeError at the end */
  byte(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw new RangeError('the bytes end early')
    this.#at++
    return byte
  }

  /** @throws RangeError at the end, or for a number that is no safe integer */
  varint(): number {
    let value = 0
    for (let shift = 0; shift <= VARINT_SHIFT_MAX; shift += 7) {
      const byte = this.byte()
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80 && Number.isSafeInteger(value)) return value
    }
    throw new RangeError('a number is too large')
  }

  /** Bytes behind their length. @throws RangeError when there are fewer */
  slice(): Buffer {
    const count = this.varint()
    if (count > this.#bytes.length - this.#at) throw new RangeError('the bytes end early')
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }
}
