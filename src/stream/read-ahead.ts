// Decides how far to read ahead of one file's reader: a window that doubles as long as reads follow each other.

const WINDOW_BYTES_FIRST = 512 * 1024
const WINDOW_BYTES_MAX = 4 * 1024 * 1024

export interface ByteRange {
  readonly startBytes: number
  readonly lengthBytes: number
}

export class ReadAhead {
  #sequentialEndBytes = 0
  #windowBytes = 0
  #coveredEndBytes = 0

  /** A read of that range was served. @returns what to fetch now, if anything */
  after(startBytes: number, endBytes: number, fileBytes: number): ByteRange | undefined {
    if (startBytes === this.#sequentialEndBytes) {
      const doubled = Math.max(this.#windowBytes * 2, WINDOW_BYTES_FIRST)
      this.#windowBytes = Math.min(doubled, WINDOW_BYTES_MAX)
    } else {
      this.#windowBytes = 0
      this.#coveredEndBytes = endBytes
    }
    this.#sequentialEndBytes = endBytes
    if (this.#windowBytes === 0) return undefined
    const targetBytes = Math.min(endBytes + this.#windowBytes, fileBytes)
    const fromBytes = Math.max(this.#coveredEndBytes, endBytes)
    // In big steps: a fetch for every read would cost more than it saves.
    if (targetBytes - fromBytes < this.#windowBytes / 2) return undefined
    this.#coveredEndBytes = targetBytes
    return { startBytes: fromBytes, lengthBytes: targetBytes - fromBytes }
  }
}
