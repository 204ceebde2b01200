// How fast a pass goes: it lets go of the event loop, leaves the disk to clients while they are active, and stops when it
// is told to.

import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'

/** A slice of the event loop: promise 11 allows 20 ms, and there is work of others in each turn. */
const SLICE_MS = 8
/** While clients are active, so many times as long as the cleaner worked is left to them: a quarter of the disk. */
const REST_FACTOR = 3
/** One rest at most, so that a long job isn't followed by a standstill. */
const REST_MS_MAX = 2000
const IDLE_CHECK_MS = 1000

/** The pass was told to stop; nothing is wrong. */
export class PassStopped extends Error {
  constructor() {
    super('The pass was stopped.')
  }
}

export interface PaceOptions {
  /** bytes that clients have read and written so far */
  readonly clientBytes: () => number
  /** space is short: clients wait for what the cleaner frees */
  readonly isUrgent: boolean
  /** the pass may go on with another window now; an idle pass waits while clients write */
  readonly mayGoOn: () => boolean
}

export class Pace {
  readonly #options: PaceOptions
  readonly #abort = new AbortController()
  #sliceStartMs = performance.now()
  #clientBytes: number

  constructor(options: PaceOptions) {
    this.#options = options
    this.#clientBytes = options.clientBytes()
  }

  get isStopped(): boolean {
    return this.#abort.signal.aborted
  }

  stop(): void {
    this.#abort.abort()
  }

  /** Called in loops of small steps. @throws PassStopped */
  async step(): Promise<void> {
    this.check()
    await this.breathe()
  }

  /** The same for what has to be finished, stopped or not. */
  async breathe(): Promise<void> {
    if (performance.now() - this.#sliceStartMs < SLICE_MS) return
    await nextTurn()
    this.#sliceStartMs = performance.now()
  }

  /** After `workMs` of disk work. @throws PassStopped */
  async rest(workMs: number): Promise<void> {
    this.check()
    const clientBytes = this.#options.clientBytes()
    const isActive = clientBytes !== this.#clientBytes
    this.#clientBytes = clientBytes
    if (isActive && !this.#options.isUrgent) {
      await this.#sleep(Math.min(workMs * REST_FACTOR, REST_MS_MAX))
    }
  }

  /** Waits until `bytes`, which took `workMs`, are no more than so many a millisecond. @throws PassStopped */
  async atMost(bytesPerMs: number, bytes: number, workMs: number): Promise<void> {
    this.check()
    const waitMs = Math.min(bytes / bytesPerMs - workMs, REST_MS_MAX)
    if (waitMs >= 1) await this.#sleep(waitMs)
  }

  /** Between windows, when nothing is condemned. @throws PassStopped */
  async pauseBetween(): Promise<void> {
    this.check()
    while (!this.#options.mayGoOn()) await this.#sleep(IDLE_CHECK_MS)
  }

  /** @throws PassStopped */
  check(): void {
    if (this.isStopped) throw new PassStopped()
  }

  async #sleep(ms: number): Promise<void> {
    try {
      await sleep(ms, undefined, { signal: this.#abort.signal })
    } catch {
      // Only the signal ends a sleep early.
      throw new PassStopped()
    }
  }
}
