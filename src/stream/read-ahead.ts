// Decides how far to read ahead of one file's reader: a window that doubles as long as reads follow each other.

const WINDOW_BYTES_FIRST = 512 * 1024
/** Reached by any reads that follow each other. */
const WINDOW_BYTES_USUAL = 4 * 1024 * 1024
/** Reached by who has read as much: chunks of old backups lie in many regions, and a disk gives more when asked early. */
export const WINDOW_BYTES_MAX = 16 * 1024 * 1024

export interface ByteRange {
  readonly startBytes: number
  readonly lengthBytes: number
}

export class ReadAhead {
  #sequentialStartBytes = 0
  #sequentialEndBytes = 0
  #windowBytes = 0
  #coveredEndBytes = 0

  /**
   * A read of that range was served.
   * @param shareBytes so much may be fetched ahead, if it is more than the usual window
   * @returns what to fetch now, if anything
   */
  after(
    startBytes: number,
    endBytes: number,
    fileBytes: number,
    shareBytes: number,
  ): ByteRange | undefined {
    if (startBytes === this.#sequentialEndBytes) {
      const doubled = Math.max(this.#windowBytes * 2, WINDOW_BYTES_FIRST)
      const earned = Math.min(endBytes - this.#sequentialStartBytes, shareBytes, WINDOW_BYTES_MAX)
      this.#windowBytes = Math.min(doubled, Math.max(earned, WINDOW_BYTES_USUAL))
    } else {
      this.#sequentialStartBytes = startBytes
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
