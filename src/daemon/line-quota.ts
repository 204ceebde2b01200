// Bounds the lines of the log that one failing place may write: what fails each second would fill the store's disk.

const LINES_MAX = 10
const PERIOD_MS = 60_000
/** Places whose lines are counted; beyond, all others share one count. */
const PLACES_MAX = 200
const OTHERS = ''

interface Count {
  sinceMs: number
  lines: number
  omitted: number
}

export class LineQuota {
  readonly #counts = new Map<string, Count>()

  /** @returns how many lines of the place were left out since its last one; undefined: leave this one out, too */
  take(place: string, nowMs: number): number | undefined {
    const count = this.#countOf(place, nowMs)
    if (nowMs - count.sinceMs >= PERIOD_MS) {
      count.sinceMs = nowMs
      count.lines = 0
    }
    if (count.lines >= LINES_MAX) {
      count.omitted += 1
      return undefined
    }
    count.lines += 1
    const { omitted } = count
    count.omitted = 0
    return omitted
  }

  #countOf(place: string, nowMs: number): Count {
    const isFull = this.#counts.size >= PLACES_MAX && !this.#counts.has(place)
    const key = isFull ? OTHERS : place
    let count = this.#counts.get(key)
    if (count === undefined) {
      count = { sinceMs: nowMs, lines: 0, omitted: 0 }
      this.#counts.set(key, count)
    }
    return count
  }
}
