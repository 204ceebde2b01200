// How long something takes, as counts in buckets that grow with the duration: fixed memory, and a quantile is at most one
// sixteenth too large.
//
//   0 … 15 µs     one bucket a microsecond
//   16 µs …       16 buckets for every power of two, up to 2^32 µs (71 minutes); what takes longer counts as that

const SUB_BITS = 4
const SUB_BUCKETS = 2 ** SUB_BITS
const EXPONENT_MAX = 31
const BUCKET_COUNT = (EXPONENT_MAX - SUB_BITS + 2) * SUB_BUCKETS
const MICROSECONDS_MAX = 2 ** (EXPONENT_MAX + 1) - 1
const MICROSECONDS_PER_MILLISECOND = 1000

export interface LatencySummary {
  readonly count: number
  readonly p50Microseconds: number
  readonly p95Microseconds: number
  readonly p99Microseconds: number
  readonly maxMicroseconds: number
}

export class LatencyHistogram {
  /** doubles: 32 bits overflow within a week of heavy use */
  readonly #buckets = new Float64Array(BUCKET_COUNT)
  #count = 0
  #sumMilliseconds = 0
  #maxMilliseconds = 0

  record(milliseconds: number): void {
    const microseconds = Math.min(milliseconds * MICROSECONDS_PER_MILLISECOND, MICROSECONDS_MAX)
    const index = bucketOf(microseconds >>> 0)
    this.#buckets[index] = (this.#buckets[index] ?? 0) + 1
    this.#count += 1
    this.#sumMilliseconds += milliseconds
    if (milliseconds > this.#maxMilliseconds) this.#maxMilliseconds = milliseconds
  }

  get count(): number {
    return this.#count
  }

  get sumSeconds(): number {
    return this.#sumMilliseconds / 1000
  }

  get maxMicroseconds(): number {
    return Math.ceil(this.#maxMilliseconds * MICROSECONDS_PER_MILLISECOND)
  }

  /** What this share of all durations (0 to 1) does not exceed; 0 when there are none. */
  quantileMicroseconds(share: number): number {
    const wanted = Math.max(1, Math.ceil(this.#count * share))
    let seen = 0
    for (const [index, count] of this.#buckets.entries()) {
      seen += count
      if (seen >= wanted) return Math.min(endOf(index), this.maxMicroseconds)
    }
    return this.maxMicroseconds
  }

  /** How many were shorter than this power of two of microseconds, from 16 on: exact, as buckets end there. */
  countBelow(powerOfTwoMicroseconds: number): number {
    let count = 0
    for (let index = 0; index < BUCKET_COUNT; index += 1) {
      if (endOf(index) > powerOfTwoMicroseconds) break
      count += this.#buckets[index] ?? 0
    }
    return count
  }

  summary(): LatencySummary {
    return {
      count: this.#count,
      p50Microseconds: this.quantileMicroseconds(0.5),
      p95Microseconds: this.quantileMicroseconds(0.95),
      p99Microseconds: this.quantileMicroseconds(0.99),
      maxMicroseconds: this.maxMicroseconds,
    }
  }
}

function bucketOf(microseconds: number): number {
  if (microseconds < SUB_BUCKETS) return microseconds
  const exponent = EXPONENT_MAX - Math.clz32(microseconds)
  const shift = exponent - SUB_BITS
  return (shift + 1) * SUB_BUCKETS + ((microseconds >>> shift) & (SUB_BUCKETS - 1))
}

/** The first microsecond that is not in the bucket any more. */
function endOf(index: number): number {
  if (index < SUB_BUCKETS) return index + 1
  const shift = Math.floor(index / SUB_BUCKETS) - 1
  return (SUB_BUCKETS + (index % SUB_BUCKETS) + 1) * 2 ** shift
}
