// Says of most chunks that the index doesn't have that it doesn't, without asking LevelDB. That is more than speed: each
// question that LevelDB passes on from one table to the next counts as a reason to merge those tables, and a big index that is
// asked for new chunks is rewritten over and over (docs/decisions/0015-chunk-filter.md).

import { BLOCKS_MAX, BloomLayer, HASH_WORDS, type ChunkHash } from './bloom-layer.ts'

/** A filter begins with 80 KiB. */
const CHUNKS_MIN = 2 ** 16
/** Each layer is one more access to memory, and one more chance to be wrong. */
const LAYERS_WANTED_MAX = 4
/**
 * A chunk's name is its key in the index: table, group, fingerprint. The fingerprint's first bytes are left out: a filter is filled
 * in the order of the keys, and where it takes more than one layer, each would get a stretch of them, into a stretch of its
 * blocks.
 */
const GROUP_AT = 1
const HASHED_AT = 3 + 8
/** The golden ratio: equal fingerprints in two groups get places far from each other. */
const GROUP_FACTOR = 0x9e3779b1

/** A set of chunks that grows: where one layer is full, the next one begins. */
class Layers {
  readonly list: BloomLayer[]
  /** names that have left the index since; their bits stay */
  removedCount: number
  /** how many the index had when it was filled from it */
  filledCount = 0

  constructor(list: BloomLayer[], removedCount = 0) {
    this.list = list
    this.removedCount = removedCount
  }

  get count(): number {
    return this.list.reduce((sum, layer) => sum + layer.count, 0)
  }

  get bytes(): number {
    return this.list.reduce((sum, layer) => sum + layer.bytes, 0)
  }

  mayHave(hash: ChunkHash): boolean {
    for (const layer of this.list) if (layer.mayHave(hash)) return true
    return false
  }

  /** @returns false: it would have to grow beyond `bytesMax` */
  add(hash: ChunkHash, bytesMax: number): boolean {
    if (this.mayHave(hash)) return true
    let last = this.list.at(-1)
    if (last === undefined || last.isFull) {
      last = BloomLayer.for(Math.max(CHUNKS_MIN, this.count))
      if (this.bytes + last.bytes > bytesMax) return false
      this.list.push(last)
    }
    last.addNew(hash)
    return true
  }
}

/** What is kept of a filter between two runs. */
export interface FilterState {
  readonly layers: readonly BloomLayer[]
  readonly removedCount: number
}

/** A new filter that is being filled from the index, while the old one, if there is any, goes on. */
export interface Filling {
  /** So many are going to be added, about. */
  expect(chunkCount: number): void
  /** a key of the index, which is the bytes of a name */
  add(key: Uint8Array): void
  /** All of the index has been added: from now on this is the filter. */
  finish(): void
  abandon(): void
}

export class ChunkFilter {
  readonly #bytesMax: number
  readonly #hash: ChunkHash = new Uint32Array(HASH_WORDS)
  /** undefined: not known to hold the whole index, so nothing is said */
  #current: Layers | undefined
  #next: Layers | undefined

  /**
   * @param bytesMax beyond it the filter gives up, and says "maybe" of everything
   * @param state as it was saved, of the index as it is now
   */
  constructor(bytesMax: number, state?: FilterState) {
    this.#bytesMax = bytesMax
    if (state !== undefined) this.#current = new Layers([...state.layers], state.removedCount)
  }

  /** @returns false: the index doesn't have it, except for what isn't committed yet */
  mayHave(name: string): boolean {
    if (this.#current === undefined) return true
    this.#hashOf(name)
    return this.#current.mayHave(this.#hash)
  }

  /** For every name that goes into the index, before it does. */
  add(name: string): void {
    if (this.#current === undefined && this.#next === undefined) return
    this.#hashOf(name)
    // One that is too big must not be thought whole later.
    if (this.#current?.add(this.#hash, this.#bytesMax) === false) this.#current = undefined
    if (this.#next?.add(this.#hash, this.#bytesMax) === false) this.#next = undefined
  }

  /** For every name that leaves the index. */
  removed(): void {
    if (this.#current !== undefined) this.#current.removedCount++
  }

  /** It knows of every chunk of the index. */
  get isComplete(): boolean {
    return this.#current !== undefined
  }

  /** More of it is about what is gone than about what is there, or it has grown in too many steps. */
  get isStale(): boolean {
    if (this.#current === undefined) return false
    const { removedCount, count, list, filledCount } = this.#current
    const isOfThePast = removedCount > CHUNKS_MIN / 2 && removedCount > count / 2
    // Filled again it would be no better if the index has hardly grown since.
    const couldBeOne = count > 2 * filledCount && (list[0]?.blockCount ?? BLOCKS_MAX) < BLOCKS_MAX
    return isOfThePast || (couldBeOne && list.length > LAYERS_WANTED_MAX)
  }

  get bytes(): number {
    return (this.#current?.bytes ?? 0) + (this.#next?.bytes ?? 0)
  }

  /** What to save; undefined when it isn't complete. */
  get state(): FilterState | undefined {
    const current = this.#current
    return current && { layers: current.list, removedCount: current.removedCount }
  }

  /** From this moment on, what goes into the index goes into the new filter as well. What went there before must be found there. */
  fill(): Filling {
    const next = new Layers([])
    this.#next = next
    return {
      expect: chunkCount => {
        const layer = BloomLayer.for(Math.max(CHUNKS_MIN, chunkCount))
        if (next.bytes + layer.bytes <= this.#bytesMax) next.list.push(layer)
        else if (this.#next === next) this.#next = undefined
      },
      add: key => {
        if (this.#next !== next) return
        this.#hashOfKey(key)
        if (!next.add(this.#hash, this.#bytesMax)) this.#next = undefined
      },
      finish: () => {
        if (this.#next !== next) return
        next.filledCount = next.count
        this.#current = next
        this.#next = undefined
      },
      abandon: () => {
        if (this.#next === next) this.#next = undefined
      },
    }
  }

  #hashOf(name: string): void {
    const group = (name.charCodeAt(GROUP_AT) << 8) | name.charCodeAt(GROUP_AT + 1)
    this.#hash[0] = wordAt(name, HASHED_AT) ^ Math.imul(group, GROUP_FACTOR)
    this.#hash[1] = wordAt(name, HASHED_AT + 4)
    this.#hash[2] = wordAt(name, HASHED_AT + 8)
  }

  /** The same without making a text of it: there may be a thousand million. */
  #hashOfKey(key: Uint8Array): void {
    const view = new DataView(key.buffer, key.byteOffset, key.byteLength)
    const group = view.getUint16(GROUP_AT)
    this.#hash[0] = view.getUint32(HASHED_AT) ^ Math.imul(group, GROUP_FACTOR)
    this.#hash[1] = view.getUint32(HASHED_AT + 4)
    this.#hash[2] = view.getUint32(HASHED_AT + 8)
  }
}

/** Fingerprints are as good as random. */
function wordAt(name: string, at: number): number {
  return (
    (name.charCodeAt(at) << 24) |
    (name.charCodeAt(at + 1) << 16) |
    (name.charCodeAt(at + 2) << 8) |
    name.charCodeAt(at + 3)
  )
}
