// Wrong passphrases cost time: after a few, each further one has to wait longer.

/** Typing errors are free. */
const FREE_FAILURES = 3
const WAIT_SECONDS_MAX = 60

export class Attempts {
  #failures = 0
  #notBeforeSeconds = 0

  /** Seconds until the next attempt is looked at; 0 = now. */
  waitSeconds(nowSeconds: number): number {
    // A clock that jumped back doesn't lock anybody out for longer than the longest wait.
    return Math.min(WAIT_SECONDS_MAX, Math.max(0, this.#notBeforeSeconds - nowSeconds))
  }

  failed(nowSeconds: number): void {
    this.#failures += 1
    if (this.#failures < FREE_FAILURES) return
    const waitSeconds = Math.min(WAIT_SECONDS_MAX, 2 ** (this.#failures - FREE_FAILURES))
    this.#notBeforeSeconds = nowSeconds + waitSeconds
  }

  succeeded(): void {
    this.#failures = 0
    this.#notBeforeSeconds = 0
  }
}
