// Keeps the machine's idle processors awake while clients ask often. Whoever waits for an answer sleeps meanwhile, and on a
// virtual machine waking a processor that sleeps takes the way through the host: 25 us, as long as all of the work for a
// small request. A processor that waits awake is woken in 2 us. The kernel offers this to programs as the greatest latency
// that they can bear (pm_qos_interface in its documentation); docs/decisions/0014-awake-processors.md has what it brings
// and what it costs.

import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import createDebug from 'debug'

const log = createDebug('coffer:fuse')

const DEVICE = '/dev/cpu_dma_latency'
/** Linux on KVM uses it where the host lets go of processors that sleep. Elsewhere nothing was measured. */
const DRIVER = 'haltpoll'
const DRIVER_PATH = '/sys/devices/system/cpu/cpuidle/current_driver'

/** So long at a time is looked whether clients ask often, */
const WINDOW_MS = 10
/** which is so many times within it: a program that waits for each answer asks thousands of times a second. */
const BATCHES_MIN = 10
/** Nobody has asked often for so long: the processors may sleep. */
const CALM_MS = 30

/** Where the kernel is told. */
export interface IdleProcessors {
  keepAwake(isAwake: boolean): void
  close(): void
}

/** @returns undefined where it would bring nothing, or may not be done */
export function openIdleProcessors(): IdleProcessors | undefined {
  try {
    if (readFileSync(DRIVER_PATH, 'latin1').trim() !== DRIVER) return undefined
    const device = openSync(DEVICE, 'w')
    // A latency in microseconds, as the machine stores integers; -1: any.
    const [awake, asleep] = [Int32Array.of(0), Int32Array.of(-1)]
    return {
      keepAwake: isAwake => {
        writeSync(device, isAwake ? awake : asleep)
      },
      close: () => closeSync(device),
    }
  } catch (error) {
    log('processors are not kept awake: %O', error)
    return undefined
  }
}

/** Calls `look` with the time, monotonic, again and again. @returns what ends it */
export type Watch = (look: (nowMs: number) => void) => () => void

const watchEachCalm: Watch = look => {
  const timer = setInterval(() => look(performance.now()), CALM_MS)
  timer.unref()
  return () => clearInterval(timer)
}

/** Decides when. */
export class Wakefulness {
  readonly #processors: IdleProcessors
  readonly #watch: Watch
  #windowStartMs = -Infinity
  #batchCount = 0
  #busyMs = -Infinity
  /** ends the watch; undefined while processors may sleep */
  #unwatch: (() => void) | undefined
  #isClosed = false
  #isRefused = false

  constructor(processors: IdleProcessors, watch: Watch = watchEachCalm) {
    this.#processors = processors
    this.#watch = watch
  }

  /** Requests have come. @param nowMs monotonic */
  asked(nowMs: number): void {
    this.#batchCount += 1
    const sinceMs = nowMs - this.#windowStartMs
    if (sinceMs < WINDOW_MS) return
    const isOften = this.#batchCount >= BATCHES_MIN && sinceMs < 2 * WINDOW_MS
    this.#windowStartMs = nowMs
    this.#batchCount = 0
    if (!isOften || this.#isClosed || this.#isRefused) return
    this.#busyMs = nowMs
    if (this.#unwatch !== undefined) return
    if (!this.#tell(true)) return
    this.#unwatch = this.#watch(laterMs => {
      if (laterMs - this.#busyMs >= CALM_MS) this.#letSleep()
    })
  }

  /** Idempotent. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#letSleep()
    this.#processors.close()
  }

  #letSleep(): void {
    if (this.#unwatch === undefined) return
    this.#unwatch()
    this.#unwatch = undefined
    this.#tell(false)
  }

  /** Requests are answered either way: who can't be told is not told again. */
  #tell(isAwake: boolean): boolean {
    try {
      this.#processors.keepAwake(isAwake)
      return true
    } catch (error) {
      log('processors are not kept awake any more: %O', error)
      this.#isRefused = true
      return false
    }
  }
}
