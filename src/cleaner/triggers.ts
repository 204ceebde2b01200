// When a pass begins that nobody asked for.

import type { PassKind, PassReport } from './pass-book.ts'

/** QoreStor's: no writes for two minutes. */
const IDLE_SECONDS = 120
/** After a pass that left something undone, the next one that nobody asked for waits. */
const RETRY_SECONDS = 600
const FORCED_RETRY_SECONDS = 60
/** A pass looks at the whole store, however little there is to do: idle ones take so small a part of the time. */
const REST_FACTOR = 20
/** Whether there is something to do costs a look at all block records. */
const WORK_CHECK_SECONDS = 10

export interface TriggerOptions {
  readonly isWindowOpen: (nowSeconds: number) => boolean
  readonly isSpaceLow: () => boolean
  /** the administrator wants no pass that nobody asked for */
  readonly isHeld: () => boolean
  /** there is something to clean */
  readonly hasWork: () => boolean
}

export class Triggers {
  readonly #options: TriggerOptions
  #lastWritten = -1
  #lastWriteSeconds: number
  #lastUndoneSeconds = -Infinity
  #idleNotBeforeSeconds = -Infinity
  #work: { readonly seconds: number; readonly hasSome: boolean } | undefined

  constructor(options: TriggerOptions, nowSeconds: number) {
    this.#options = options
    this.#lastWriteSeconds = nowSeconds
  }

  /** @param written what clients have written so far */
  seen(nowSeconds: number, written: number): void {
    if (written !== this.#lastWritten) this.#lastWriteSeconds = nowSeconds
    this.#lastWritten = written
  }

  isIdle(nowSeconds: number): boolean {
    return nowSeconds - this.#lastWriteSeconds >= IDLE_SECONDS
  }

  /** The kind of pass that is due; undefined when none is. */
  due(nowSeconds: number): PassKind | undefined {
    const { isSpaceLow, isWindowOpen, isHeld } = this.#options
    const sinceUndone = nowSeconds - this.#lastUndoneSeconds
    let kind: PassKind | undefined
    if (isSpaceLow() && sinceUndone >= FORCED_RETRY_SECONDS) kind = 'forced'
    else if (isHeld() || sinceUndone < RETRY_SECONDS) return undefined
    else if (isWindowOpen(nowSeconds)) kind = 'scheduled'
    else if (this.isIdle(nowSeconds) && nowSeconds >= this.#idleNotBeforeSeconds) kind = 'idle'
    return kind !== undefined && this.hasWork(nowSeconds) ? kind : undefined
  }

  /** As of some seconds ago. */
  hasWork(nowSeconds: number): boolean {
    if (this.#work === undefined || nowSeconds - this.#work.seconds >= WORK_CHECK_SECONDS) {
      this.#work = { seconds: nowSeconds, hasSome: this.#options.hasWork() }
    }
    return this.#work.hasSome
  }

  ended({ outcome, startedSeconds, endedSeconds }: PassReport): void {
    const seconds = endedSeconds ?? startedSeconds
    this.#lastUndoneSeconds = outcome === 'complete' ? -Infinity : seconds
    this.#idleNotBeforeSeconds = seconds + REST_FACTOR * (seconds - startedSeconds)
    this.#work = undefined
  }
}
