// Keeps each distinct chunk of a group once: known chunks are found, new ones appended, and two writers that bring
// the same chunk at the same time share one append.

import type { ChunkLocation, NewChunk, SealingPolicy } from '../blocks/block-store.ts'
import type { ChunkIndex } from './chunk-index.ts'

/** What dedupe needs of the block layer. */
export interface ChunkAppender {
  append(
    policy: SealingPolicy,
    chunks: readonly NewChunk[],
    sequence: number,
  ): Promise<ChunkLocation[]>
}

/** Looks whether hits are what they are said to be. */
export interface HitChecker {
  /** @returns block files that can't be relied on, and take no hits any more; never rejects */
  check(
    chunks: readonly NewChunk[],
    found: readonly (ChunkLocation | undefined)[],
  ): Promise<ReadonlySet<number>>
}

export interface DeduplicatorOptions {
  readonly index: ChunkIndex
  readonly blocks: ChunkAppender
  readonly hits: HitChecker
  /** how a group's new regions are sealed now */
  readonly policyOf: (group: number) => SealingPolicy
  /** number of the last durable commit */
  readonly sequence: () => number
  /** so many chunks are new in the index and want to be committed */
  readonly added: (chunkCount: number) => void
}

export interface DedupeCounts {
  /** chunks that were looked up */
  readonly lookups: number
  /** of these, those that were there, or on their way */
  readonly hits: number
  /** appended anew */
  readonly chunksStored: number
}

export class Deduplicator {
  readonly #options: DeduplicatorOptions
  /** group and fingerprint => the append that is storing the chunk */
  readonly #inFlight = new Map<string, Promise<ChunkLocation>>()

  #lookups = 0
  #hits = 0
  #chunksStored = 0

  constructor(options: DeduplicatorOptions) {
    this.#options = options
  }

  /** Since the start. */
  get counts(): DedupeCounts {
    return { lookups: this.#lookups, hits: this.#hits, chunksStored: this.#chunksStored }
  }

  /**
   * Locations of all chunks, in order. The chunks' memory is frozen until the promise settles. A chunk that somebody
   * else is storing is waited for: a hit on something that can still fail would be no hit.
   * @throws FilesystemError ENOSPC, EIO
   */
  async store(group: number, chunks: readonly NewChunk[]): Promise<ChunkLocation[]> {
    const { index, hits } = this.#options
    const found = await index.lookup(
      group,
      chunks.map(chunk => chunk.fingerprint),
    )
    // In this turn: what somebody is appending is in flight or in the index.
    const storing = this.#storeUnknown(group, chunks, found)
    const checking = hits.check(chunks, found)
    // Both have ended before the chunks' memory goes back.
    const [locations, damaged] = await storing.then(
      async stored => [stored, await checking] as const,
      async (error: unknown) => {
        await checking
        throw error
      },
    )
    if (damaged.size > 0) await this.#storeAgain(group, chunks, found, damaged, locations)
    return locations
  }

  /** Hits in damaged block files were none: these chunks get a new place, in `locations` and in the index. */
  async #storeAgain(
    group: number,
    chunks: readonly NewChunk[],
    found: readonly (ChunkLocation | undefined)[],
    damaged: ReadonlySet<number>,
    locations: ChunkLocation[],
  ): Promise<void> {
    const places: number[] = []
    const again: NewChunk[] = []
    for (const [place, chunk] of chunks.entries()) {
      const location = found[place]
      if (location === undefined || !damaged.has(location.block)) continue
      places.push(place)
      again.push(chunk)
    }
    this.#lookups -= again.length
    this.#hits -= again.length
    // Each time some block file takes hits no longer, so that this ends.
    const stored = await this.store(group, again)
    for (const [index, place] of places.entries()) {
      const location = stored[index]
      if (location !== undefined) locations[place] = location
    }
  }

  async #storeUnknown(
    group: number,
    chunks: readonly NewChunk[],
    found: readonly (ChunkLocation | undefined)[],
  ): Promise<ChunkLocation[]> {
    const known = [...found]
    const fresh: NewChunk[] = []
    const freshKeys: string[] = []
    const freshPlaces: number[] = []
    const waiting: [place: number, location: Promise<ChunkLocation>][] = []
    const within = new Map<string, number>()
    const twins: [place: number, first: number][] = []
    for (const [place, chunk] of chunks.entries()) {
      if (known[place] !== undefined) continue
      const key = `${group}:${Buffer.from(chunk.fingerprint).toString('latin1')}`
      const first = within.get(key)
      const elsewhere = this.#inFlight.get(key)
      if (first !== undefined) twins.push([place, first])
      else if (elsewhere !== undefined) waiting.push([place, elsewhere])
      else {
        within.set(key, place)
        fresh.push(chunk)
        freshKeys.push(key)
        freshPlaces.push(place)
      }
    }
    this.#lookups += chunks.length
    this.#hits += chunks.length - fresh.length
    if (fresh.length > 0) {
      const locations = await this.#append(group, fresh, freshKeys)
      for (const [index, place] of freshPlaces.entries()) known[place] = locations[index]
    }
    for (const [place, location] of waiting) known[place] = await location
    for (const [place, first] of twins) known[place] = known[first]
    return known.map(location => {
      if (location === undefined) throw new Error('a stored chunk has no location')
      return location
    })
  }

  async #append(group: number, chunks: NewChunk[], keys: string[]): Promise<ChunkLocation[]> {
    const { blocks, index, policyOf, sequence } = this.#options
    const appended = blocks.append(policyOf(group), chunks, sequence())
    for (const [place, key] of keys.entries()) {
      const location = appended.then(locations => {
        const own = locations[place]
        if (own === undefined) throw new Error('an append returned too few locations')
        return own
      })
      // Whoever waits for it sees the failure; nobody waiting is no unhandled rejection.
      location.catch(() => {})
      this.#inFlight.set(key, location)
    }
    try {
      const locations = await appended
      for (const [place, chunk] of chunks.entries()) {
        const location = locations[place]
        if (location !== undefined) index.add(group, chunk.fingerprint, location)
      }
      this.#chunksStored += chunks.length
      this.#options.added(chunks.length)
      return locations
    } finally {
      for (const key of keys) this.#inFlight.delete(key)
    }
  }
}
