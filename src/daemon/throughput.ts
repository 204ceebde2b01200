// Throughput from growing counters: the difference over the last seconds, minute and hour. One sample a second in a ring
// that never grows.

/** An hour, and the sample before its first second. */
const SAMPLES_MAX = 3601
const NOW_MS = 10_000
const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
/** A timer of a second may come some milliseconds late each time. */
const SLACK_MS = 500

export interface Rates {
  readonly writeBytesPerSecond: number
  readonly readBytesPerSecond: number
}

export class Throughput {
  readonly #atMs = new Float64Array(SAMPLES_MAX)
  readonly #writtenBytes = new Float64Array(SAMPLES_MAX)
  readonly #readBytes = new Float64Array(SAMPLES_MAX)
  /** samples so far; the newest is at (count - 1) modulo the ring's size */
  #count = 0

  /** Call about once a second. */
  sample(atMs: number, writtenBytes: number, readBytes: number): void {
    const place = this.#count % SAMPLES_MAX
    this.#atMs[place] = atMs
    this.#writtenBytes[place] = writtenBytes
    this.#readBytes[place] = readBytes
    this.#count++
  }

  /** Of a daemon that is younger than a span: since its start. */
  summary(): { readonly now: Rates; readonly minute: Rates; readonly hour: Rates } {
    return { now: this.#over(NOW_MS), minute: this.#over(MINUTE_MS), hour: this.#over(HOUR_MS) }
  }

  #over(spanMs: number): Rates {
    const last = this.#count - 1
    const first = this.#firstWithin(last, spanMs + SLACK_MS)
    const seconds = (at(this.#atMs, last) - at(this.#atMs, first)) / 1000
    if (last <= first || seconds <= 0) return { writeBytesPerSecond: 0, readBytesPerSecond: 0 }
    const rate = (counter: Float64Array): number =>
      Math.max(0, (at(counter, last) - at(counter, first)) / seconds)
    return {
      writeBytesPerSecond: rate(this.#writtenBytes),
      readBytesPerSecond: rate(this.#readBytes),
    }
  }

  /** The oldest sample that is no older than the span before the newest: by halving, as times only grow. */
  #firstWithin(last: number, spanMs: number): number {
    const fromMs = at(this.#atMs, last) - spanMs
    let low = Math.max(0, this.#count - SAMPLES_MAX)
    let high = last
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (at(this.#atMs, middle) < fromMs) low = middle + 1
      else high = middle
    }
    return low
  }
}

function at(ring: Float64Array, sample: number): number {
  return ring[sample % SAMPLES_MAX] ?? 0
}
