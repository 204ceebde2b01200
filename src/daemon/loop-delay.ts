// How late the event loop is: what a timer that ought to fire regularly finds. Apart from the lookout's, which forgets
// every second.

import { monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 20
const NANOSECONDS_PER_MICROSECOND = 1000

export class LoopDelay {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })

  constructor() {
    this.#histogram.enable()
  }

  stop(): void {
    this.#histogram.disable()
  }

  /** Since the start. */
  summary(): { eventLoopDelayP99Microseconds: number; eventLoopDelayMaxMicroseconds: number } {
    return {
      eventLoopDelayP99Microseconds: lateness(this.#histogram.percentile(99)),
      eventLoopDelayMaxMicroseconds: lateness(this.#histogram.max),
    }
  }
}

/** Node counts from one firing to the next, and so its interval too. */
function lateness(nanoseconds: number): number {
  return Math.max(0, Math.round(nanoseconds / NANOSECONDS_PER_MICROSECOND - RESOLUTION_MS * 1000))
}
