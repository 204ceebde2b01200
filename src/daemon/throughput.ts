// Recent throughput from growing counters: the difference over the last few seconds.

const WINDOW_SAMPLES = 10

interface Sample {
  readonly atMs: number
  readonly writtenBytes: number
  readonly readBytes: number
}

export class Throughput {
  readonly #samples: Sample[] = []

  /** Call about once a second. */
  sample(atMs: number, writtenBytes: number, readBytes: number): void {
    this.#samples.push({ atMs, writtenBytes, readBytes })
    if (this.#samples.length > WINDOW_SAMPLES) this.#samples.shift()
  }

  recent(): { writeBytesPerSecond: number; readBytesPerSecond: number } {
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined || last.atMs <= first.atMs) {
      return { writeBytesPerSecond: 0, readBytesPerSecond: 0 }
    }
    const seconds = (last.atMs - first.atMs) / 1000
    return {
      writeBytesPerSecond: Math.max(0, (last.writtenBytes - first.writtenBytes) / seconds),
      readBytesPerSecond: Math.max(0, (last.readBytes - first.readBytes) / seconds),
    }
  }
}
