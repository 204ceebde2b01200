// Which bytes of our own sources have run, as V8 counts them: what tells an input that is worth keeping from the rest.

import { Session } from 'node:inspector/promises'

/** Only what is tested counts, not the tests. */
const OWN = /\/dist\/src\//

interface Range {
  readonly startOffset: number
  readonly endOffset: number
  readonly count: number
}

export class Coverage {
  readonly #session = new Session()
  /** places that have run, as script and offset */
  readonly #reached = new Set<string>()

  async start(): Promise<void> {
    this.#session.connect()
    await this.#session.post('Profiler.enable')
    await this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** @returns the places that have run for the first time */
  async takeNew(): Promise<Set<string>> {
    const found = new Set<string>()
    for (const place of await this.#take()) if (!this.#reached.has(place)) found.add(place)
    for (const place of found) this.#reached.add(place)
    return found
  }

  /** Whether any of the places has run since the last look. */
  async ranAny(places: ReadonlySet<string>): Promise<boolean> {
    for (const place of await this.#take()) if (places.has(place)) return true
    return false
  }

  get reachedCount(): number {
    return this.#reached.size
  }

  async #take(): Promise<Set<string>> {
    const { result } = await this.#session.post('Profiler.takePreciseCoverage')
    const places = new Set<string>()
    for (const { scriptId, url, functions } of result) {
      if (!OWN.test(url)) continue
      for (const { ranges } of functions) {
        forEachRun(ranges, offset => void places.add(`${scriptId}:${offset}`))
      }
    }
    return places
  }

  stop(): void {
    this.#session.disconnect()
  }
}

/**
 * The beginnings of pieces of one function that have run: V8 tells ranges that lie in each other, the outer ones first,
 * and an inner one only where its count differs.
 */
function forEachRun(ranges: readonly Range[], visit: (offset: number) => void): void {
  const [outer] = ranges
  if (outer === undefined || outer.count === 0) return
  const edges = new Set<number>()
  for (const { startOffset, endOffset } of ranges) edges.add(startOffset).add(endOffset)
  edges.delete(outer.endOffset)
  for (const edge of edges) {
    let count = 0
    for (const range of ranges) {
      if (range.startOffset <= edge && edge < range.endOffset) ({ count } = range)
    }
    if (count > 0) visit(edge)
  }
}
