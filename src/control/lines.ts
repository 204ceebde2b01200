// Cuts a byte stream into lines with a bound on what is kept. Works on bytes, since a chunk may end
// inside of a UTF-8 sequence.

const NEWLINE = 0x0a

export class LineSplitter {
  readonly #maxBytes: number
  #parts: Buffer[] = []
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
      this.#parts.push(chunk.subarray(start, end))
      lines.push(this.#parts.length === 1 ? chunk.subarray(start, end) : Buffer.concat(this.#parts))
      this.#parts = []
      this.#pendingBytes = 0
      start = end + 1
      end = chunk.indexOf(NEWLINE, start)
    }
    if (start < chunk.length) {
      // Copied: a slice would keep the whole 64 KiB read buffer alive for a client that dribbles.
      this.#parts.push(Buffer.from(chunk.subarray(start)))
      this.#pendingBytes += chunk.length - start
    }
    return this.#pendingBytes > this.#maxBytes ? undefined : lines
  }
}
