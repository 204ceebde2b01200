// Cuts a byte stream into lines with a bound on what is kept. Works on bytes, since a chunk may end
// inside of a UTF-8 sequence.

const NEWLINE = 0x0a

/** What a line that isn't complete gets to begin with; usual ones are shorter. */
const PENDING_BYTES_MIN = 1024

export class LineSplitter {
  readonly #maxBytes: number
  /** Holds the beginning of a line; grows by doubling, so that a client that dribbles costs no more than one that doesn't. */
  #pending = Buffer.alloc(0)
  #pendingBytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The lines that `chunk` completes; undefined when a line, complete or not, is too long. */
  push(chunk: Buffer): Buffer[] | undefined {
    const lines: Buffer[] = []
    let start = 0
    let end = chunk.indexOf(NEWLINE)
    while (end !== -1) {
      const lineBytes = this.#pendingBytes + end - start
      if (lineBytes > this.#maxBytes) return undefined
      lines.push(this.#complete(chunk.subarray(start, end)))
      start = end + 1
      end = chunk.indexOf(NEWLINE, start)
    }
    const rest = chunk.subarray(start)
    if (this.#pendingBytes + rest.length > this.#maxBytes) return undefined
    this.#keep(rest)
    return lines
  }

  #complete(end: Buffer): Buffer {
    if (this.#pendingBytes === 0) return end
    const line = Buffer.concat([this.#pending.subarray(0, this.#pendingBytes), end])
    // A long line doesn't keep its room for the short ones that follow.
    this.#pending = Buffer.alloc(0)
    this.#pendingBytes = 0
    return line
  }

  #keep(bytes: Buffer): void {
    const neededBytes = this.#pendingBytes + bytes.length
    if (neededBytes > this.#pending.length) {
      const grown = Buffer.allocUnsafe(Math.max(PENDING_BYTES_MIN, 2 * neededBytes))
      this.#pending.copy(grown, 0, 0, this.#pendingBytes)
      this.#pending = grown
    }
    bytes.copy(this.#pending, this.#pendingBytes)
    this.#pendingBytes = neededBytes
  }
}
