// Shares the event loop between requests of control clients and everything else, which is the mount above all: whoever
// floods the socket gets a part of the loop, whatever he asks for.

/** Requests run on for so long before the rest of the loop has its turn; the loop as a whole may be held for 20 ms. */
const SLICE_MS = 2
/**
 * After work of one millisecond the socket rests for so many: floods get a sixth of the loop, with which a writer beside
 * them keeps more than half of its speed (bench/abuse.ts).
 */
const REST_FACTOR = 5
/** Timers are no finer; shorter rests add up until they are worth one. */
const REST_MS_MIN = 1

export class Turns {
  readonly #waiting: (() => void)[] = []
  #debtMs = 0
  #isResting = false

  /**
   * Runs `work` now, or when what came before has had its turn.
   * @param work must not throw; what it does after an await is charged by `charge`
   */
  take(work: () => void): void {
    this.#waiting.push(work)
    if (!this.#isResting) this.#run()
  }

  /** Does something at once that counts as the socket's work. */
  charge<Result>(work: () => Result): Result {
    const startedMs = performance.now()
    try {
      return work()
    } finally {
      this.#debtMs += performance.now() - startedMs
    }
  }

  #run(): void {
    while (this.#debtMs < SLICE_MS) {
      const work = this.#waiting.shift()
      if (work === undefined) break
      this.charge(work)
    }
    const restMs = this.#debtMs * REST_FACTOR
    if (restMs < REST_MS_MIN) return
    this.#debtMs = 0
    this.#isResting = true
    setTimeout(() => {
      this.#isResting = false
      this.#run()
    }, restMs)
  }
}
