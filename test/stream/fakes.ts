// Fakes of everything below the stream layer: chunks are cut after bytes below a bound and kept in a map.

import { createHash } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import type { ChunkLocation, NewChunk, OpenRegion } from '../../src/blocks/block-store.ts'
import {
  ExtentMap,
  RecentChunks,
  StoredReader,
  StreamBuffers,
  StreamStore,
} from '../../src/stream/index.ts'
import type { CutResult, FileStream } from '../../src/stream/index.ts'
import { MemoryMetadata } from '../helpers/memory-metadata.ts'

const CHUNK_MAX = 8 * 1024
const CHUNK_MIN = 64

function cut(data: Uint8Array, isEnd: boolean): CutResult {
  const lengths: number[] = []
  let start = 0
  for (let at = 0; at < data.length; at++) {
    const length = at + 1 - start
    if (length >= CHUNK_MAX || (length >= CHUNK_MIN && (data[at] ?? 0) < 2)) {
      lengths.push(length)
      start = at + 1
    }
  }
  if (isEnd && start < data.length) {
    lengths.push(data.length - start)
    start = data.length
  }
  const prints: Buffer[] = []
  let from = 0
  for (const length of lengths) {
    prints.push(
      createHash('sha256')
        .update(data.subarray(from, from + length))
        .digest(),
    )
    from += length
  }
  return {
    lengths: Uint32Array.from(lengths),
    fingerprints: Buffer.concat(prints),
    consumedBytes: start,
  }
}

/** Chunks in memory: one region a chunk. */
/** Sees no changes of extents. */
export const NO_OBSERVER = { changed: () => undefined }

export class FakeChunks {
  readonly #locations = new Map<string, ChunkLocation>()
  readonly #chunks: NewChunk[] = []
  failure: Error | undefined
  /** the same of what comes before */
  cutFailure: Error | undefined
  pinned = 0
  /** regions that were asked for */
  reads = 0

  async store(chunks: readonly NewChunk[]): Promise<ChunkLocation[]> {
    await turn()
    if (this.failure !== undefined) throw this.failure
    return chunks.map(chunk => {
      const key = Buffer.from(chunk.fingerprint).toString('hex')
      const known = this.#locations.get(key)
      if (known !== undefined) return known
      this.#chunks.push({ fingerprint: chunk.fingerprint, data: chunk.data.slice() })
      const location = { block: this.#chunks.length, page: 1, ordinal: 0 }
      this.#locations.set(key, location)
      return location
    })
  }

  async readRegion(block: number): Promise<OpenRegion> {
    await turn()
    this.reads++
    const chunk = this.#chunks[block - 1]
    if (chunk === undefined) throw new Error('no such block')
    this.pinned++
    return {
      chunkCount: 1,
      firstOrdinal: 0,
      fingerprintAt: () => chunk.fingerprint,
      chunkAt: () => chunk.data,
      retain: () => {
        this.pinned++
      },
      release: () => {
        this.pinned--
      },
    }
  }
}

/** Stores that wait for company: until there are enough of them, or somebody is in a hurry. */
export class Company {
  readonly #enough: number
  #waiting: (() => void)[] = []
  #hurried = 0
  waitingMax = 0

  constructor(enough: number) {
    this.#enough = enough
  }

  async join(): Promise<void> {
    await new Promise<void>(resolve => {
      this.#waiting.push(resolve)
      this.waitingMax = Math.max(this.waitingMax, this.#waiting.length)
      if (this.#hurried > 0 || this.#waiting.length >= this.#enough) this.#leave()
    })
  }

  hurry(): () => void {
    this.#hurried++
    this.#leave()
    return () => {
      this.#hurried--
    }
  }

  #leave(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

export function setUp(company = new Company(1), metadata = new MemoryMetadata()) {
  const extents = new ExtentMap(metadata, NO_OBSERVER)
  metadata.participants.push(extents)
  const chunks = new FakeChunks()
  const damages: string[] = []
  const lost: number[] = []
  const recent = new RecentChunks()
  const reader = new StoredReader({
    extents,
    recent,
    pinnedRegionsMax: 4,
    regions: {
      readRegion: block => chunks.readRegion(block),
      cachedRegion: () => undefined,
      hasBlock: () => true,
    },
    suspected: () => {},
    heal: async () => false,
    damaged: (inode, block, error) => damages.push(`${inode} ${block} ${error.message}`),
  })
  const buffers = new StreamBuffers(new Uint8Array(32 * 1024 * 1024))
  const free = [buffers.large.freeCount, buffers.small.freeCount, buffers.bench.freeCount]
  const store = new StreamStore({
    buffers,
    extents,
    reader,
    recent,
    cut: async (_group, data, isEnd) => {
      await turn()
      if (chunks.cutFailure !== undefined) throw chunks.cutFailure
      return cut(data, isEnd)
    },
    store: async (_group, list) => {
      await company.join()
      return chunks.store(list)
    },
    beginStore: () => () => {},
    beginRead: () => () => {},
    hurry: () => company.hurry(),
    readStored: (inode, startBytes, target) => reader.copy(inode, startBytes, target),
    checkAccess: () => {},
    reserve: () => {},
    lost: inode => lost.push(inode),
    commit: () => metadata.commit(),
  })
  const isIdle = () =>
    [buffers.large.freeCount, buffers.small.freeCount, buffers.bench.freeCount].every(
      (count, index) => count === free[index],
    ) && chunks.pinned === 0
  return { metadata, extents, buffers, chunks, damages, lost, recent, store, isIdle }
}

export async function readAll(
  stream: FileStream,
  offset = 0,
  length = stream.sizeBytes,
): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let at = offset; at < offset + length;) {
    const read = await stream.read(at, Math.min(100_000, offset + length - at))
    const bytes = Buffer.concat(read.pieces)
    read.release()
    if (bytes.length === 0) break
    parts.push(bytes)
    at += bytes.length
  }
  return Buffer.concat(parts)
}

/** Whoever has a file open, and doesn't care. */
export const NOBODY = { changed() {}, failed() {} }

export function fill(bytes: Uint8Array, seed: number): void {
  let state = seed * 2654435761 + 1
  for (let at = 0; at < bytes.length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[at] = state >>> 24
  }
}
