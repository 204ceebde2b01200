// The sample of dedupe hits that is read again: how much of them it reads, what it finds, and what is stored then. Over
// a real block store where bytes on disk matter.

import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { openBlockStore, REGION_RAW_BYTES_MAX } from '../../src/blocks/index.ts'
import type { ChunkLocation, NewChunk, SealingPolicy } from '../../src/blocks/index.ts'
import { CHECKED_SHARE, ChunkIndex, Deduplicator, HitCheck } from '../../src/dedupe/index.ts'
import { contentOf } from '../helpers/open-store.ts'
import { MemoryMetadata } from '../helpers/memory-metadata.ts'

const CHUNK_BYTES = 32 * 1024
/** Equal steps of luck, fine enough for the smallest chance that is asked about. */
const DRAWS = 4096
const policyOf = (group: number): SealingPolicy => ({ group, compression: 'none', keyId: 0 })

function chunksOf(seed: number, count: number): NewChunk[] {
  const bytes = contentOf(seed, count * CHUNK_BYTES)
  return Array.from({ length: count }, (_, at) => {
    const data = bytes.subarray(at * CHUNK_BYTES, (at + 1) * CHUNK_BYTES)
    return { data, fingerprint: createHash('sha256').update(data).digest() }
  })
}

/** A deduplicator over block files in a directory of its own, whose luck the test decides. */
async function setUp(t: Test, random: () => number) {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-hits-'))
  const blocks = await openBlockStore({
    directory,
    records: [],
    committedSequence: 0,
    nextBlock: 1,
    nowSeconds: () => 1,
    lookupKey: () => undefined,
    cacheBytes: 0,
  })
  t.teardown(async () => {
    await blocks.close()
    await rm(directory, { recursive: true, force: true })
  })
  const quarantined = new Set<number>()
  const reads: number[] = []
  const index = new ChunkIndex(new MemoryMetadata(), block => !quarantined.has(block))
  const dedupe = new Deduplicator({
    index,
    blocks,
    policyOf,
    sequence: () => 1,
    added: () => {},
    hits: new HitCheck({
      readRegion: (block, page) => {
        reads.push(page)
        return blocks.readRegion(block, page)
      },
      damaged: block => {
        quarantined.add(block)
        blocks.closeFiles(record => record.block === block)
      },
      random,
    }),
  })
  return { blocks, dedupe, index, quarantined, reads }
}

t.test('hits that are whole stay hits, and a region is read once for all of its hits', async t => {
  const { dedupe, quarantined, reads } = await setUp(t, () => 0)
  const chunks = chunksOf(1, 64)
  const first = await dedupe.store(1, chunks)
  t.same(reads, [], 'what is new is no hit')
  t.same(await dedupe.store(1, chunks), first)
  t.equal(reads.length, new Set(first.map(({ page }) => page)).size)
  t.equal(quarantined.size, 0)
  t.same(dedupe.counts, { lookups: 128, hits: 64, chunksStored: 64 })
})

t.test('without luck nothing is read', async t => {
  const { dedupe, reads } = await setUp(t, () => 0.999)
  const chunks = chunksOf(1, 64)
  await dedupe.store(1, chunks)
  await dedupe.store(1, chunks)
  t.same(reads, [])
})

t.test('the sample is a share of the bytes, whether they come together or one by one', async t => {
  const chunks = chunksOf(2, 64)
  const found = chunks.map((_, at): ChunkLocation => {
    return { block: 1 + Math.floor(at / 16), page: 1, ordinal: at }
  })
  for (const together of [64, 16, 1]) {
    let reads = 0
    for (let draw = 0; draw < DRAWS; draw++) {
      const check = new HitCheck({
        readRegion: () => {
          reads++
          return Promise.reject(new Error('only counted'))
        },
        damaged: () => {},
        random: () => draw / DRAWS,
      })
      for (let at = 0; at < chunks.length; at += together) {
        await check.check(chunks.slice(at, at + together), found.slice(at, at + together))
      }
    }
    const share = (reads / DRAWS) * (REGION_RAW_BYTES_MAX / (chunks.length * CHUNK_BYTES))
    t.ok(Math.abs(share - CHECKED_SHARE) < 0.002, `${together} chunks a store: ${share}`)
  }
})

for (const [what, damage] of [
  ['that can not be read', (bytes: Buffer): Buffer => bytes.fill(0xff, 20_000, 20_100)],
  ['whose block file is empty', (): Buffer => Buffer.alloc(0)],
] as const) {
  t.test(`hits ${what} are stored again, and all others of that block file too`, async t => {
    const { blocks, dedupe, index, quarantined } = await setUp(t, () => 0)
    const chunks = chunksOf(3, 64)
    const first = await dedupe.store(1, chunks)
    await blocks.sync()
    const path = blocks.pathOf(1) ?? ''
    await writeFile(path, damage(await readFile(path)))
    const again = await dedupe.store(1, [...chunks, ...chunksOf(4, 2)])
    t.same([...quarantined], [1])
    t.ok(again.slice(0, 64).every(({ block }) => block !== 1))
    const prints = chunks.map(({ fingerprint }) => fingerprint)
    t.same(
      await index.lookup(1, prints),
      again.slice(0, 64),
      'the index points to the fresh copies',
    )
    for (const [place, { block, page, ordinal }] of again.slice(0, 64).entries()) {
      const region = await blocks.readRegion(block, page)
      const bytes = region.chunkAt(ordinal - region.firstOrdinal)
      t.ok(Buffer.compare(bytes, chunks[place]?.data ?? Buffer.alloc(0)) === 0)
      region.release()
    }
    t.equal(first.length, 64)
    t.same(dedupe.counts, { lookups: 130, hits: 0, chunksStored: 130 }, 'they were no hits')
  })
}

t.test('a region that is whole and holds other bytes than the fingerprint says', async t => {
  const { dedupe, quarantined } = await setUp(t, () => 0)
  const [chunk, other] = chunksOf(5, 2)
  if (chunk === undefined || other === undefined) throw new Error('two chunks')
  await dedupe.store(1, [{ ...chunk, data: other.data }])
  const [place] = await dedupe.store(1, [chunk])
  t.same([...quarantined], [1])
  t.equal(place?.block, 2)
})

t.test(
  'a store that fails waits for the check: the memory of its chunks is given back',
  async t => {
    let release = (): void => {}
    const gate = new Promise<void>(resolve => {
      release = resolve
    })
    const dedupe = new Deduplicator({
      index: new ChunkIndex(new MemoryMetadata()),
      blocks: { append: () => Promise.reject(new Error('ENOSPC')) },
      policyOf,
      sequence: () => 1,
      added: () => {},
      hits: {
        check: async () => {
          await gate
          return new Set()
        },
      },
    })
    let isSettled = false
    const storing = dedupe.store(1, chunksOf(6, 1)).finally(() => {
      isSettled = true
    })
    const failing = t.rejects(storing, { message: 'ENOSPC' })
    await new Promise(done => setTimeout(done, 20))
    t.equal(isSettled, false)
    release()
    await failing
  },
)
