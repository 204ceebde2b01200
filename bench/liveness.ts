// What marking costs: the extents of a store with many millions of chunks, made up, in a real LevelDB.
//
//   node --expose-gc dist/bench/liveness.js [MILLIONS_OF_CHUNKS ...]

import { randomFillSync } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Liveness, markExtents, Pace } from '../src/cleaner/index.ts'
import { UsageCounters } from '../src/evidence/index.ts'
import { inodeKey, openMetadataStore, TABLE } from '../src/metadata/index.ts'
import type { CommitParticipant, MetadataStore, MetadataWriter } from '../src/metadata/index.ts'
import { EXTENT_PAGE_BYTES, type Extent } from '../src/stream/extent.ts'
import { packExtents } from '../src/stream/extent-record.ts'

const CHUNK_BYTES = 32 * 1024
const CHUNKS_PER_BLOCK = 2048
const CHUNKS_PER_PAGE = EXTENT_PAGE_BYTES / CHUNK_BYTES
const PAGES_PER_COMMIT = 500
const MILLION = 1e6
const TEBIBYTE = 2 ** 40
const KIBIBYTE = 1024

/** Hands out the extents of one file, page after page. */
class MadeUpExtents implements CommitParticipant {
  page = 0
  readonly #pageCount: number
  readonly #usage: UsageCounters

  constructor(pageCount: number, usage: UsageCounters) {
    this.#pageCount = pageCount
    this.#usage = usage
  }

  get isDone(): boolean {
    return this.page >= this.#pageCount
  }

  collect(batch: MetadataWriter): void {
    const end = Math.min(this.#pageCount, this.page + PAGES_PER_COMMIT)
    for (; this.page < end; this.page++) {
      const key = inodeKey(TABLE.extents, 1, 4)
      key.writeUInt32BE(this.page, 9)
      const record = packExtents(0, { group: 1, extents: extentsOf(this.page) })
      this.#usage.changed(undefined, record)
      batch.put(key, record)
    }
    batch.put(inodeKey(TABLE.inode, 1), Buffer.of(1))
  }

  settled(): void {}
}

function extentsOf(page: number): Extent[] {
  return Array.from({ length: CHUNKS_PER_PAGE }, (_, index) => {
    const chunk = page * CHUNKS_PER_PAGE + index
    return {
      startBytes: index * CHUNK_BYTES,
      lengthBytes: CHUNK_BYTES,
      chunkOffsetBytes: 0,
      chunkLengthBytes: CHUNK_BYTES,
      fingerprint: randomFillSync(Buffer.alloc(32)),
      location: {
        block: 1 + Math.floor(chunk / CHUNKS_PER_BLOCK),
        page: 1 + (chunk % CHUNKS_PER_BLOCK),
        ordinal: chunk % CHUNKS_PER_BLOCK,
      },
    }
  })
}

async function fill(metadata: MetadataStore, chunkCount: number): Promise<void> {
  const usage = new UsageCounters()
  const extents = new MadeUpExtents(Math.ceil(chunkCount / CHUNKS_PER_PAGE), usage)
  metadata.addParticipant(extents)
  metadata.addParticipant(usage)
  metadata.begin()
  while (!extents.isDone) await metadata.commit()
}

/** Buffers of the metadata are let go of in a later turn than their owners. */
async function collectGarbage(): Promise<void> {
  if (globalThis.gc === undefined) throw new Error('run it with node --expose-gc')
  for (let round = 0; round < 5; round++) {
    globalThis.gc()
    await new Promise(setImmediate)
  }
}

async function measure(chunkCount: number): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-liveness-'))
  try {
    const metadata = await openMetadataStore({
      directory,
      createIfMissing: true,
      syncData: async () => {},
      flushData: async () => {},
      committed: async () => {},
      failed: error => {
        throw error
      },
    })
    await fill(metadata, chunkCount)
    const pace = new Pace({
      clientBytes: () => 0,
      isUrgent: false,
      mayGoOn: () => true,
    })
    const liveness = new Liveness()
    await collectGarbage()
    const before = process.memoryUsage()
    const startedMs = performance.now()
    // The file is one that is being deleted: what its inode says isn't compared.
    const parts = { metadata, mappedBytesOf: () => undefined }
    await markExtents(parts, liveness, () => pace.step())
    const seconds = (performance.now() - startedMs) / 1000
    await collectGarbage()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    const grownBytes = heapUsed - before.heapUsed + arrayBuffers - before.arrayBuffers
    const perTebibyte = (grownBytes / chunkCount) * (TEBIBYTE / CHUNK_BYTES)
    console.log(
      [
        `${chunkCount / MILLION} million chunks`,
        `${((seconds * MILLION) / chunkCount).toFixed(2)} s per million`,
        `bitmaps ${Math.round(liveness.memoryBytes / KIBIBYTE)} KiB`,
        `memory ${Math.round(grownBytes / KIBIBYTE)} KiB`,
        `${(perTebibyte / KIBIBYTE / KIBIBYTE).toFixed(1)} MiB per TiB of unique data`,
      ].join(', '),
    )
    await metadata.close()
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

const asked = process.argv.slice(2).map(Number)
for (const millions of asked.length > 0 ? asked : [5, 10, 20]) await measure(millions * MILLION)
