// Deduplicator and gatherer over fakes: what is stored once, what shares an append, what a failure reaches.

import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import type { ChunkLocation, NewChunk, SealingPolicy } from '../../src/blocks/block-store.ts'
import { AppendGatherer, ChunkIndex, Deduplicator } from '../../src/dedupe/index.ts'
import { FilesystemError } from '../../src/errors.ts'
import { MemoryMetadata } from '../helpers/memory-metadata.ts'

const policyOf = (group: number): SealingPolicy => ({ group, compression: 'none', keyId: 0 })

const COMMON = {
  policyOf,
  sequence: () => 1,
  added: () => {},
  hits: { check: async () => new Set<number>() },
}

function chunk(name: number, bytes = 1000): NewChunk {
  return { fingerprint: Buffer.alloc(32, name), data: new Uint8Array(bytes).fill(name) }
}

class FakeBlocks {
  readonly appends: number[][] = []
  failure: Error | undefined
  #next = 1

  async append(_policy: SealingPolicy, chunks: readonly NewChunk[]): Promise<ChunkLocation[]> {
    this.appends.push(chunks.map(each => each.data[0] ?? 0))
    await turn()
    if (this.failure !== undefined) throw this.failure
    return chunks.map(() => ({ block: this.#next++, page: 1, ordinal: 0 }))
  }
}

function setUp() {
  const metadata = new MemoryMetadata()
  const index = new ChunkIndex(metadata)
  metadata.participants.push(index)
  const blocks = new FakeBlocks()
  const dedupe = new Deduplicator({ ...COMMON, index, blocks })
  return { metadata, index, blocks, dedupe }
}

t.test(
  'a chunk is stored once: within a call, over calls, over commits, over a restart',
  async t => {
    const { metadata, blocks, dedupe } = setUp()
    const [a, b, again] = await dedupe.store(1, [chunk(1), chunk(2), chunk(1)])
    t.same(blocks.appends, [[1, 2]])
    t.same(again, a)
    t.same(await dedupe.store(1, [chunk(2)]), [b])
    await metadata.commit()
    t.same(await dedupe.store(1, [chunk(2), chunk(1)]), [b, a])
    const later = new Deduplicator({
      ...COMMON,
      index: new ChunkIndex(metadata),
      blocks,
    })
    t.same(await later.store(1, [chunk(1)]), [a])
    t.equal(blocks.appends.length, 1)
  },
)

t.test('a chunk in a block file that is not usable is no hit, and is stored again', async t => {
  const metadata = new MemoryMetadata()
  const unusable = new Set<number>()
  const index = new ChunkIndex(metadata, block => !unusable.has(block))
  metadata.participants.push(index)
  const blocks = new FakeBlocks()
  const dedupe = new Deduplicator({ ...COMMON, index, blocks })
  const [first] = await dedupe.store(1, [chunk(1)])
  if (first === undefined) throw new Error('no location')
  unusable.add(first.block)
  const [second] = await dedupe.store(1, [chunk(1)])
  t.not(second?.block, first.block, 'while it is in memory')
  await metadata.commit()
  t.same(await dedupe.store(1, [chunk(1)]), [second], 'the new place is the known one')
  unusable.add(second?.block ?? 0)
  const [third] = await dedupe.store(1, [chunk(1)])
  t.equal(blocks.appends.length, 3, 'once it is committed')
  unusable.clear()
  t.same(await index.locate(1, [chunk(1).fingerprint]), [third])
})

t.test('groups share nothing', async t => {
  const { blocks, dedupe } = setUp()
  await dedupe.store(1, [chunk(1)])
  await dedupe.store(2, [chunk(1)])
  t.equal(blocks.appends.length, 2)
})

t.test('two writers that bring the same chunk share one append, and its failure', async t => {
  const { blocks, dedupe } = setUp()
  const [[one], [other]] = await Promise.all([
    dedupe.store(1, [chunk(5)]),
    dedupe.store(1, [chunk(5)]),
  ])
  t.same(one, other)
  t.equal(blocks.appends.length, 1)
  blocks.failure = new FilesystemError('ENOSPC')
  const both = await Promise.allSettled([dedupe.store(1, [chunk(6)]), dedupe.store(1, [chunk(6)])])
  t.match(both, [
    { status: 'rejected', reason: { code: 'ENOSPC' } },
    { status: 'rejected', reason: { code: 'ENOSPC' } },
  ])
  blocks.failure = undefined
  await dedupe.store(1, [chunk(6)])
  t.same(blocks.appends.at(-1), [6], 'a failed chunk is no hit')
})

t.test('small appends wait for each other and get their own locations', async t => {
  const blocks = new FakeBlocks()
  const gatherer = new AppendGatherer(blocks)
  const [one, two] = await Promise.all([
    gatherer.append(policyOf(1), [chunk(1), chunk(2)], 3),
    gatherer.append(policyOf(1), [chunk(3)], 3),
  ])
  t.same(blocks.appends, [[1, 2, 3]])
  t.same(
    [...(one ?? []), ...(two ?? [])].map(location => location.block),
    [1, 2, 3],
  )
})

t.test('big appends do not wait, full regions do not wait, and groups stay apart', async t => {
  const blocks = new FakeBlocks()
  const gatherer = new AppendGatherer(blocks)
  await gatherer.append(policyOf(1), [chunk(1, 300_000)], 1)
  t.same(blocks.appends, [[1]])
  const waiting = [2, 3, 4].map(name => gatherer.append(policyOf(1), [chunk(name, 200_000)], 1))
  t.same(blocks.appends, [[1], [2, 3]])
  waiting.push(gatherer.append(policyOf(2), [chunk(5)], 1))
  await Promise.all(waiting)
  t.same(blocks.appends, [[1], [2, 3], [4], [5]])
})

t.test('in a hurry nothing waits, and what comes during an append goes together', async t => {
  const blocks = new FakeBlocks()
  const gatherer = new AppendGatherer(blocks)
  const early = gatherer.append(policyOf(1), [chunk(1)], 1)
  const calm = gatherer.hurry()
  t.same(blocks.appends, [[1]], 'what waited is sent at once')
  const during = [2, 3].map(name => gatherer.append(policyOf(1), [chunk(name)], 1))
  await Promise.all([early, ...during])
  t.same(blocks.appends, [[1], [2, 3]])
  calm()
  calm()
  const late = gatherer.append(policyOf(1), [chunk(4)], 1)
  await delay(5)
  t.equal(blocks.appends.length, 2, 'calm again')
  await late
})

t.test('a failed shared append fails everybody who shared it', async t => {
  const blocks = new FakeBlocks()
  blocks.failure = new FilesystemError('EIO')
  const gatherer = new AppendGatherer(blocks)
  const both = await Promise.allSettled([
    gatherer.append(policyOf(1), [chunk(1)], 1),
    gatherer.append(policyOf(1), [chunk(2)], 1),
  ])
  t.match(both, [{ reason: { code: 'EIO' } }, { reason: { code: 'EIO' } }])
})

t.test('lookups, hits and stored chunks are counted; a twin within a call is a hit', async t => {
  const { dedupe } = setUp()
  await dedupe.store(1, [chunk(1), chunk(2), chunk(1)])
  t.same(dedupe.counts, { lookups: 3, hits: 1, chunksStored: 2 })
  await Promise.all([dedupe.store(1, [chunk(3)]), dedupe.store(1, [chunk(3), chunk(2)])])
  t.same(dedupe.counts, { lookups: 6, hits: 3, chunksStored: 3 })
})

t.test('what could not be stored is no stored chunk', async t => {
  const { blocks, dedupe } = setUp()
  blocks.failure = new FilesystemError('ENOSPC')
  await t.rejects(dedupe.store(1, [chunk(1)]), { code: 'ENOSPC' })
  t.same(dedupe.counts, { lookups: 1, hits: 0, chunksStored: 0 })
})
