// The bounded cache of opened regions: slots of one arena, least recently used first out, a slot that someone holds
// never reused.

import assert from 'node:assert'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { allocateArena, type ReadResult } from '../native/data-path.ts'
import {
  FINGERPRINT_BYTES,
  REGION_CHUNKS_MAX,
  REGION_RAW_BYTES_MAX,
  type OpenRegion,
} from './block-store.ts'
import { TABLE_ENTRY_BYTES } from './packing.ts'

/** The largest table and the largest raw data; a multiple of the page size. */
export const REGION_SLOT_BYTES = REGION_CHUNKS_MAX * TABLE_ENTRY_BYTES + REGION_RAW_BYTES_MAX

/** Fewer would make two files that are read side by side wait for each other. */
const SLOTS_MIN = 4
/** Overwriting one takes some 50 us. */
const WIPED_SLOTS_PER_TURN = 64

/** Fills a slot with a region's table and data. */
export type LoadRegion = (slot: Uint8Array) => Promise<ReadResult>

class CachedRegion implements OpenRegion {
  readonly key: number
  readonly memory: Uint8Array
  readonly chunkCount: number
  readonly firstOrdinal: number
  readonly #starts: Uint32Array
  readonly #onIdle: () => void
  holders = 0

  constructor(key: number, memory: Uint8Array, read: ReadResult, onIdle: () => void) {
    const { chunkCount, firstOrdinal } = read
    this.key = key
    this.memory = memory
    this.chunkCount = chunkCount
    this.firstOrdinal = firstOrdinal
    this.#onIdle = onIdle
    this.#starts = new Uint32Array(chunkCount + 1)
    const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength)
    let start = chunkCount * TABLE_ENTRY_BYTES
    for (let slot = 0; slot < chunkCount; slot++) {
      this.#starts[slot] = start
      start += view.getUint32(slot * TABLE_ENTRY_BYTES + FINGERPRINT_BYTES, true)
    }
    this.#starts[chunkCount] = start
  }

  fingerprintAt(slot: number): Uint8Array {
    this.#check(slot)
    const start = slot * TABLE_ENTRY_BYTES
    return this.memory.subarray(start, start + FINGERPRINT_BYTES)
  }

  chunkAt(slot: number): Uint8Array {
    this.#check(slot)
    return this.memory.subarray(this.#starts[slot], this.#starts[slot + 1])
  }

  retain(): void {
    this.holders += 1
  }

  release(): void {
    assert(this.holders > 0, 'a region is released once per holder')
    this.holders -= 1
    if (this.holders === 0) this.#onIdle()
  }

  #check(slot: number): void {
    assert(this.holders > 0, 'a region is used while it is held')
    assert(Number.isInteger(slot) && slot >= 0 && slot < this.chunkCount, 'no such chunk')
  }
}

/** Memory for one region outside the cache. */
export function regionSlot(): Uint8Array {
  return new Uint8Array(allocateArena(REGION_SLOT_BYTES))
}

/** A region that was read into such memory: it is the caller's, and nothing else knows of it. */
export function regionIn(slot: Uint8Array, read: ReadResult): OpenRegion {
  const region = new CachedRegion(0, slot, read, () => undefined)
  region.retain()
  return region
}

export class RegionCache {
  readonly #free: Uint8Array[] = []
  /** in the order of use, the latest last */
  readonly #regions = new Map<number, CachedRegion>()
  readonly #loading = new Map<number, Promise<CachedRegion>>()
  readonly #waiting: ((slot: Uint8Array) => void)[] = []
  /** keys whose load must not enter the cache, since the block file went away meanwhile */
  readonly #stale = new Set<number>()
  /** slots that have had data in them */
  readonly #used = new Set<Uint8Array>()

  constructor(cacheBytes: number) {
    const count = Math.max(SLOTS_MIN, Math.floor(cacheBytes / REGION_SLOT_BYTES))
    const arena = allocateArena(count * REGION_SLOT_BYTES)
    // Taken from the end, so that a store that needs few slots touches only the first ones.
    for (let index = count - 1; index >= 0; index--) {
      this.#free.push(new Uint8Array(arena, index * REGION_SLOT_BYTES, REGION_SLOT_BYTES))
    }
  }

  /** The region, held once more, if it is here. */
  get(key: number): OpenRegion | undefined {
    const region = this.#regions.get(key)
    if (!region) return undefined
    this.#regions.delete(key)
    this.#regions.set(key, region)
    region.retain()
    return region
  }

  /** The region, held once more; `load` runs once however many ask. */
  async getOrLoad(key: number, load: LoadRegion): Promise<OpenRegion> {
    const cached = this.get(key)
    if (cached) return cached
    let loading = this.#loading.get(key)
    if (!loading) {
      loading = this.#load(key, load)
      this.#loading.set(key, loading)
    }
    const region = await loading
    // The load itself holds the region until everyone who waited has had this turn.
    region.retain()
    return region
  }

  /** Forgets regions, for instance those of a block file that is being deleted. */
  drop(isDropped: (key: number) => boolean): void {
    for (const key of this.#loading.keys()) if (isDropped(key)) this.#stale.add(key)
    for (const [key, region] of this.#regions) {
      if (!isDropped(key)) continue
      this.#regions.delete(key)
      if (region.holders === 0) this.#giveBack(region.memory)
    }
  }

  /**
   * Forgets regions, and overwrites what they and others before them have left in memory that nobody uses. What is held
   * must have been let go of before.
   */
  async wipe(isDropped: (key: number) => boolean): Promise<void> {
    this.drop(isDropped)
    let count = 0
    for (const slot of this.#used) {
      // Another turn may have taken it.
      if (!this.#free.includes(slot)) continue
      slot.fill(0)
      this.#used.delete(slot)
      if (++count % WIPED_SLOTS_PER_TURN === 0) await nextTurn()
    }
  }

  async #load(key: number, load: LoadRegion): Promise<CachedRegion> {
    const memory = await this.#takeSlot()
    try {
      const read = await load(memory)
      const region: CachedRegion = new CachedRegion(key, memory, read, () => {
        this.#onIdle(region)
      })
      region.retain()
      // After the continuations of those who wait for this promise.
      setImmediate(() => region.release())
      if (!this.#stale.has(key)) this.#regions.set(key, region)
      return region
    } catch (error) {
      this.#giveBack(memory)
      throw error
    } finally {
      this.#loading.delete(key)
      this.#stale.delete(key)
    }
  }

  #takeSlot(): Promise<Uint8Array> | Uint8Array {
    const free = this.#free.pop()
    if (free) {
      this.#used.add(free)
      return free
    }
    for (const [key, region] of this.#regions) {
      if (region.holders > 0) continue
      this.#regions.delete(key)
      return region.memory
    }
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  #onIdle(region: CachedRegion): void {
    const isCached = this.#regions.get(region.key) === region
    if (isCached && this.#waiting.length === 0) return
    if (isCached) this.#regions.delete(region.key)
    this.#giveBack(region.memory)
  }

  #giveBack(memory: Uint8Array): void {
    const next = this.#waiting.shift()
    if (next) next(memory)
    else this.#free.push(memory)
  }
}
