// What could not be stored of one file, for those who ask: every handle hears of each failure once, whoever else has heard of
// it already, and who opens the file later hears of one that nobody has heard of yet. So Linux does since errseq_t
// (LWN, "Improved block-layer error handling", 2017): when the first fsync took the error away, the second one of another
// program promised what was lost.

export class FailureLog {
  #count = 0
  #heardCount = 0
  #last: Error | undefined

  record(error: Error): void {
    this.#count++
    this.#last = error
  }

  /** Where a handle begins to listen that is opened now. */
  get mark(): number {
    return this.#heardCount
  }

  /** Where one goes on that has heard everything. */
  get end(): number {
    return this.#count
  }

  /** @returns the last failure after the mark, which counts as heard from now on */
  since(mark: number): Error | undefined {
    if (mark >= this.#count) return undefined
    this.#heardCount = this.#count
    return this.#last
  }
}
