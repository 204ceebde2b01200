// The chunk index of all groups: (group, fingerprint) → location. New entries wait in memory for the next commit;
// everything else is in LevelDB.

import { StoreError } from '../errors.ts'
import { PendingMap, prefixEnd, TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'
import type { ChunkLocation } from '../blocks/block-store.ts'
import { bufferOf } from '../buffer-of.ts'

/**
 * A call that goes to another thread and back takes the event loop 46 us, a lookup on it 2 to 7. Small files ask for one
 * or two chunks.
 */
const SYNCHRONOUS_KEYS_MAX = 4

/** About a millisecond's work. */
const SWEEP_SLICE_ENTRIES = 1000

const VALUE_VERSION = 2
//   0 1 version   1 4 block   5 2 page   7 2 ordinal     little-endian
const VALUE_BYTES = 9

/** Of chunks in the order asked; unknown = undefined. */
export type Located = readonly (ChunkLocation | undefined)[]

/** Knows of most chunks that the index doesn't have that it doesn't. */
export interface ChunkDoubter {
  /** false: the index doesn't have it, unless it is about to be committed */
  mayHave(name: string): boolean
  /** A name goes into the index. */
  add(name: string): void
  /** A name leaves the index. */
  removed(): void
}

const NO_DOUBT: ChunkDoubter = {
  mayHave: () => true,
  add: () => undefined,
  removed: () => undefined,
}

export class ChunkIndex implements CommitParticipant {
  readonly #metadata: MetadataReader
  readonly #isUsable: (block: number) => boolean
  readonly #filter: ChunkDoubter
  readonly #pending = new PendingMap<string, ChunkLocation>()
  #addedCount = 0
  #refusedCount = 0

  /**
   * @param isUsable false for a block file that has no record or is about to be deleted: what lies there is no hit, and
   *   is stored again
   * @param filter spares LevelDB most questions about chunks that are new
   */
  constructor(
    metadata: MetadataReader,
    isUsable: (block: number) => boolean = () => true,
    filter: ChunkDoubter = NO_DOUBT,
  ) {
    this.#metadata = metadata
    this.#isUsable = isUsable
    this.#filter = filter
  }

  /** How often an entry was written since the start: for chunks that were stored, and for those that were moved. */
  get addedCount(): number {
    return this.#addedCount
  }

  /** How often a chunk that is known was no hit, since its block file takes none: it is being stored again. */
  get refusedCount(): number {
    return this.#refusedCount
  }

  /**
   * The locations of known chunks in usable block files, in the order asked; unknown = undefined. Whether a block file is
   * usable is asked in the same turn of the event loop in which the caller gets the answer.
   * @throws StoreError RECORD_DAMAGED
   */
  async lookup(group: number, fingerprints: readonly Uint8Array[]): Promise<Located> {
    return await this.lookupNamed(fingerprints.map(fingerprint => chunkName(group, fingerprint)))
  }

  /** The same for the names of chunks. Few of them are looked up in this turn. */
  lookupNamed(names: readonly string[]): Located | Promise<Located> {
    const found = this.#locateNamed(names, name => this.#filter.mayHave(name))
    return found instanceof Promise
      ? found.then(located => this.#usable(located))
      : this.#usable(found)
  }

  #usable(found: Located): Located {
    return found.map(location => {
      if (location === undefined || this.#isUsable(location.block)) return location
      this.#refusedCount++
      return undefined
    })
  }

  /** Where the index says that chunks are, whether or not their block file is still usable. */
  async locate(group: number, fingerprints: readonly Uint8Array[]): Promise<Located> {
    // A filter that is wrong may cost room, but must not make a file unreadable.
    const names = fingerprints.map(fingerprint => chunkName(group, fingerprint))
    return await this.#locateNamed(names, () => true)
  }

  #locateNamed(
    names: readonly string[],
    isAsked: (name: string) => boolean,
  ): Located | Promise<Located> {
    const found: (ChunkLocation | undefined)[] = []
    const askedKeys: Buffer[] = []
    const askedPlaces: number[] = []
    for (let place = 0; place < names.length; place++) {
      const name = names[place] ?? ''
      const pending = this.#pending.get(name)
      found.push(pending ?? undefined)
      if (pending === undefined && isAsked(name)) {
        askedKeys.push(Buffer.from(name, 'latin1'))
        askedPlaces.push(place)
      }
    }
    const fill = (values: readonly (Uint8Array | undefined)[]): Located => {
      for (const [index, value] of values.entries()) {
        const place = askedPlaces[index]
        if (value !== undefined && place !== undefined) found[place] = parseLocation(value)
      }
      return found
    }
    if (askedKeys.length === 0) return found
    if (askedKeys.length > SYNCHRONOUS_KEYS_MAX) return this.#metadata.getMany(askedKeys).then(fill)
    return fill(askedKeys.map(key => this.#metadata.get(key)))
  }

  /** A chunk whose bytes have been written; the entry goes into the next commit, which syncs the bytes first. */
  add(group: number, fingerprint: Uint8Array, location: ChunkLocation): void {
    this.addNamed(chunkName(group, fingerprint), location)
  }

  /** The same by its name. */
  addNamed(name: string, location: ChunkLocation): void {
    this.#pending.set(name, location)
    this.#addedCount++
  }

  /** As `locate`, but a record that is damaged counts as none: it is about to be replaced. */
  async locateWhole(group: number, fingerprints: readonly Uint8Array[]): Promise<Located> {
    try {
      return await this.locate(group, fingerprints)
    } catch (error) {
      if (!isDamage(error)) throw error
      return fingerprints.map(fingerprint => this.#current(group, fingerprint) ?? undefined)
    }
  }

  /**
   * Deletes an entry that says that the chunk lies there; one that says something else by now stays.
   * @param location undefined: an entry that is damaged
   * @returns whether there was one
   */
  drop(group: number, fingerprint: Uint8Array, location: ChunkLocation | undefined): boolean {
    const current = this.#current(group, fingerprint)
    const isMeant =
      location === undefined
        ? current === undefined
        : current !== undefined && current !== null && isSamePlace(current, location)
    if (isMeant) this.#pending.delete(chunkName(group, fingerprint))
    return isMeant
  }

  /** What is said now: null when nothing is, undefined when the record is damaged. */
  #current(group: number, fingerprint: Uint8Array): ChunkLocation | null | undefined {
    const key = indexKey(group, fingerprint)
    const pending = this.#pending.get(key.toString('latin1'))
    if (pending !== undefined) return pending
    try {
      const value = this.#metadata.get(key)
      return value === undefined ? null : parseLocation(value)
    } catch (error) {
      if (isDamage(error)) return undefined
      throw error
    }
  }

  /** The entries of a group as of the last commit, in no particular order; without a location where they are damaged. */
  async *entries(
    group: number,
  ): AsyncIterable<{ readonly fingerprint: Uint8Array; readonly location?: ChunkLocation }> {
    const prefix = indexKey(group, new Uint8Array(0))
    const damaged: Uint8Array[] = []
    const range = this.#metadata.range(prefix, prefixEnd(prefix), key => damaged.push(key))
    for await (const { key, value } of range) {
      yield { fingerprint: key.subarray(prefix.length), location: parseLocation(value) }
    }
    for (const key of damaged) yield { fingerprint: key.subarray(prefix.length) }
  }

  /**
   * Deletes the entries of chunks whose block file is not part of the store any more. They are misses already; this is
   * about the room that they take.
   * @param hasBlock whether the block file is part of the store
   * @param pause called now and then with how many have been deleted since, so that nobody else has to wait
   * @returns how many there were
   */
  async sweep(
    hasBlock: (block: number) => boolean,
    pause: (deletedCount: number) => Promise<void>,
  ): Promise<number> {
    const prefix = Buffer.from([TABLE.chunk])
    let count = 0
    let told = 0
    let seen = 0
    for await (const { key, value } of this.#metadata.range(prefix, prefixEnd(prefix))) {
      if (++seen % SWEEP_SLICE_ENTRIES === 0) {
        await pause(count - told)
        told = count
      }
      if (hasBlock(parseLocation(value).block)) continue
      const name = Buffer.from(key).toString('latin1')
      if (this.#pending.get(name) !== undefined) continue
      // The scan shows how it was when it began.
      const current = this.#metadata.get(key)
      if (current === undefined || hasBlock(parseLocation(current).block)) continue
      this.#pending.delete(name)
      count++
    }
    return count
  }

  collect(batch: MetadataWriter): void {
    for (const [key, location] of this.#pending.collect()) {
      const bytes = Buffer.from(key, 'latin1')
      if (location === null) {
        this.#filter.removed()
        batch.delete(bytes)
      } else {
        // Before it is committed, and before it leaves what is pending.
        this.#filter.add(key)
        batch.put(bytes, packLocation(location))
      }
    }
  }

  settled(): void {
    this.#pending.settled()
  }
}

/**
 * What tells a chunk from all others, as a text for maps: the bytes of its key in the index. Made once for each chunk that
 * is stored, since making and hashing it costs more than the look into a map.
 */
export function chunkName(group: number, fingerprint: Uint8Array): string {
  return indexKey(group, fingerprint).toString('latin1')
}

function indexKey(group: number, fingerprint: Uint8Array): Buffer {
  const key = Buffer.allocUnsafe(3 + fingerprint.length)
  key[0] = TABLE.chunk
  key.writeUInt16BE(group, 1)
  key.set(fingerprint, 3)
  return key
}

/** From the first key of any group's entries to the first behind them. */
export function indexRange(): { from: Uint8Array; to: Uint8Array } {
  const from = Buffer.from([TABLE.chunk])
  return { from, to: prefixEnd(from) }
}

/** The key and the record of an entry, for whoever makes an index from nothing. */
export function indexEntry(
  group: number,
  fingerprint: Uint8Array,
  location: ChunkLocation,
): { key: Buffer; value: Buffer } {
  return { key: indexKey(group, fingerprint), value: packLocation(location) }
}

function isDamage(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'RECORD_DAMAGED'
}

function isSamePlace(a: ChunkLocation, b: ChunkLocation): boolean {
  return a.block === b.block && a.page === b.page && a.ordinal === b.ordinal
}

function packLocation(location: ChunkLocation): Buffer {
  const value = Buffer.allocUnsafe(VALUE_BYTES)
  value[0] = VALUE_VERSION
  value.writeUInt32LE(location.block, 1)
  value.writeUInt16LE(location.page, 5)
  value.writeUInt16LE(location.ordinal, 7)
  return value
}

/** @throws StoreError UNKNOWN_VERSION */
export function parseLocation(value: Uint8Array): ChunkLocation {
  if (value.length !== VALUE_BYTES || value[0] !== VALUE_VERSION) {
    throw new StoreError('UNKNOWN_VERSION', 'A chunk index record has an unknown version.')
  }
  const view = bufferOf(value)
  return {
    block: view.readUInt32LE(1),
    page: view.readUInt16LE(5),
    ordinal: view.readUInt16LE(7),
  }
}
