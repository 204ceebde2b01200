// Keeps each distinct chunk of a group once: known chunks are found, new ones appended, and two writers that bring
// the same chunk at the same time share one append.

import type { ChunkLocation, NewChunk, SealingPolicy } from '../blocks/block-store.ts'
import { chunkName } from './chunk-index.ts'
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
  ): ReadonlySet<number> | Promise<ReadonlySet<number>>
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

/** A chunk among those of an append that is under way. */
interface Storing {
  readonly append: Promise<ChunkLocation[]>
  readonly place: number
}

export class Deduplicator {
  readonly #options: DeduplicatorOptions
  /** chunk's name => the append that is storing it */
  readonly #inFlight = new Map<string, Storing>()

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
    const names = chunks.map(chunk => chunkName(group, chunk.fingerprint))
    const looking = index.lookupNamed(names)
    const found = looking instanceof Promise ? await looking : looking
    // In this turn: what somebody is appending is in flight or in the index.
    const storing = this.#storeUnknown(group, chunks, names, found)
    const checking = hits.check(chunks, found)
    if (!(checking instanceof Promise) && checking.size === 0) return await storing
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
    names: readonly string[],
    found: readonly (ChunkLocation | undefined)[],
  ): Promise<ChunkLocation[]> {
    const known = [...found]
    const fresh: NewChunk[] = []
    const freshNames: string[] = []
    const freshPlaces: number[] = []
    const waiting: [place: number, storing: Storing][] = []
    const within = new Map<string, number>()
    const twins: [place: number, first: number][] = []
    for (const [place, chunk] of chunks.entries()) {
      if (known[place] !== undefined) continue
      const name = names[place] ?? ''
      const first = within.get(name)
      const elsewhere = this.#inFlight.get(name)
      if (first !== undefined) twins.push([place, first])
      else if (elsewhere !== undefined) waiting.push([place, elsewhere])
      else {
        within.set(name, place)
        fresh.push(chunk)
        freshNames.push(name)
        freshPlaces.push(place)
      }
    }
    this.#lookups += chunks.length
    this.#hits += chunks.length - fresh.length
    if (fresh.length > 0) {
      const locations = await this.#append(group, fresh, freshNames)
      for (const [index, place] of freshPlaces.entries()) known[place] = locations[index]
    }
    for (const [place, { append, place: theirs }] of waiting) known[place] = (await append)[theirs]
    for (const [place, first] of twins) known[place] = known[first]
    return known.map(location => {
      if (location === undefined) throw new Error('a stored chunk has no location')
      return location
    })
  }

  async #append(
    group: number,
    chunks: readonly NewChunk[],
    names: readonly string[],
  ): Promise<ChunkLocation[]> {
    const { blocks, index, policyOf, sequence } = this.#options
    const append = blocks.append(policyOf(group), chunks, sequence())
    // Whoever waits for it sees a failure too.
    for (const [place, name] of names.entries()) this.#inFlight.set(name, { append, place })
    try {
      const locations = await append
      for (const [place, name] of names.entries()) {
        const location = locations[place]
        if (location === undefined) throw new Error('an append returned too few locations')
        index.addNamed(name, location)
      }
      this.#chunksStored += chunks.length
      this.#options.added(chunks.length)
      return locations
    } finally {
      for (const name of names) this.#inFlight.delete(name)
    }
  }
}
