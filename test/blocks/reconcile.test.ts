// What a crash leaves behind is set right at open without deleting anything, or proves that the metadata is too old.

import t from 'tap'
import { appendFile, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  CLEAR,
  KEYED,
  openStore,
  provedDead,
  randomChunk,
  readsBack,
  temporaryDirectory,
} from './helpers.ts'
import { scanBlockFile, type BlockRecord, type ScannedRegion } from '../../src/blocks/index.ts'

async function scan(path: string): Promise<ScannedRegion[]> {
  const regions: ScannedRegion[] = []
  for await (const region of scanBlockFile(path)) regions.push(region)
  return regions
}

t.test(
  'a file that no commit knows of goes to the trash, and its id is not used again',
  async t => {
    const directory = await temporaryDirectory(t)
    const lost = await openStore(directory)
    await lost.append(CLEAR, [randomChunk(100)], 4)
    const path = String(lost.pathOf(1))
    const bytes = await readFile(path)
    const store = await openStore(directory, { committedSequence: 4 })
    await t.rejects(stat(path), { code: 'ENOENT' })
    t.same(await readFile(join(directory, 'trash', '1-00000001.blk')), bytes)
    t.equal(store.reconciled.trashedFiles, 1)
    t.match(store.trashed(), [{ block: 1, freedSeconds: 1_000_000 }])
    t.match(store.collectRecords(), [{ block: 1, freedSeconds: 1_000_000 }])
    const [location] = await store.append(CLEAR, [randomChunk(100)], 4)
    t.equal(location?.block, 2)
    await store.close()
  },
)

t.test('a file whose id was given out and that has no record is left alone', async t => {
  const directory = await temporaryDirectory(t)
  const lost = await openStore(directory)
  await lost.append(CLEAR, [randomChunk(100)], 4)
  const path = String(lost.pathOf(1))
  const bytes = await readFile(path)
  const store = await openStore(directory, { committedSequence: 4, nextBlock: 2 })
  t.same(store.reconciled.strays, [path])
  t.same(await readFile(path), bytes)
  t.same(store.trashed(), [])
  const [location] = await store.append(CLEAR, [randomChunk(100)], 4)
  t.equal(location?.block, 2)
  await store.close()
})

t.test(
  'what an open block file holds beyond its record stays, unread, and nothing is appended there',
  async t => {
    const directory = await temporaryDirectory(t)
    const first = await openStore(directory)
    const chunks = [randomChunk(9000), randomChunk(100)]
    const locations = await first.append(KEYED, chunks, 1)
    const records = first.collectRecords()
    await first.append(KEYED, [randomChunk(5000)], 2)
    const path = String(first.pathOf(1))
    const bytes = await readFile(path)
    const store = await openStore(directory, { records, committedSequence: 2, nextBlock: 2 })
    t.same(await readFile(path), bytes)
    t.ok(await readsBack(store, chunks, locations))
    const [next] = await store.append(KEYED, [randomChunk(10)], 2)
    t.equal(next?.block, 2)
    t.same(
      store.collectRecords().map(({ block, isClosed }) => [block, isClosed]),
      [
        [1, true],
        [2, false],
      ],
    )
    await store.close()
  },
)

t.test('a record is there as soon as an id is given out', async t => {
  const directory = await temporaryDirectory(t)
  const store = await openStore(directory)
  const appending = store.append(CLEAR, [randomChunk(100)], 1)
  t.match(store.collectRecords(), [{ block: 1, regionCount: 0, isClosed: false }])
  await appending
  await store.close()
})

/** A closed block file with one chunk, and its record. */
async function closedBlock(directory: string): Promise<{ record: BlockRecord; path: string }> {
  const store = await openStore(directory)
  await store.append(CLEAR, [randomChunk(3000)], 1)
  await store.close()
  const [record] = store.collectRecords()
  if (record === undefined) throw new Error('a block file was written')
  return { record, path: String(store.pathOf(1)) }
}

t.test('a start ends what a crash cut off between a commit and the moves of files', async t => {
  const directory = await temporaryDirectory(t)
  const { record, path } = await closedBlock(directory)
  const inTrash = join(directory, 'trash', '1-00000001.blk')
  const freed = { ...record, freedSeconds: 5 }

  const moved = await openStore(directory, { records: [freed], nextBlock: 2, committedSequence: 1 })
  await t.rejects(stat(path), { code: 'ENOENT' })
  t.ok(await stat(inTrash), 'freed, and still in its place: it goes to the trash')
  t.same([...moved.records()], [])
  await moved.close()

  const back = await openStore(directory, { records: [record], nextBlock: 2, committedSequence: 1 })
  await t.rejects(stat(inTrash), { code: 'ENOENT' })
  t.ok(await stat(path), 'part of the store, and in the trash: it comes back')
  await back.close()

  await rm(path)
  const gone = await openStore(directory, { records: [freed], nextBlock: 2, committedSequence: 1 })
  t.same(gone.collectForgotten(), [1], 'in neither place: it had been deleted')
  t.same(gone.trashed(), [])
  await gone.close()
})

t.test('a file in the trash without a record is kept, and has one from then on', async t => {
  const directory = await temporaryDirectory(t)
  const { record, path } = await closedBlock(directory)
  await mkdir(join(directory, 'trash'), { recursive: true })
  await rename(path, join(directory, 'trash', '1-00000001.blk'))
  const store = await openStore(directory, { nextBlock: 2, committedSequence: 1 })
  const { lengthBytes } = record
  t.match(store.collectRecords(), [{ block: 1, group: 1, freedSeconds: 1_000_000, lengthBytes }])
  await store.close()
})

t.test(
  'of two files of one block file the one at its place counts, and none is touched',
  async t => {
    const directory = await temporaryDirectory(t)
    const { record, path } = await closedBlock(directory)
    const inTrash = join(directory, 'trash', '1-00000001.blk')
    await writeFile(inTrash, 'another')
    for (const freedSeconds of [null, 7]) {
      const records = [{ ...record, freedSeconds }]
      const store = await openStore(directory, { records, nextBlock: 2, committedSequence: 1 })
      t.ok(await stat(path))
      t.equal(await readFile(inTrash, 'utf8'), 'another')
      await store.close()
    }
  },
)

t.test('only the file that a record means leaves the trash for good', async t => {
  const directory = await temporaryDirectory(t)
  const { record } = await closedBlock(directory)
  const records = [{ ...record, freedSeconds: 5 }]
  const store = await openStore(directory, { records, nextBlock: 2, committedSequence: 1 })
  const inTrash = join(directory, 'trash', '1-00000001.blk')
  const bytes = await readFile(inTrash)
  await writeFile(inTrash, Buffer.alloc(bytes.length, 7))
  t.match(await store.deleteTrashed([provedDead(1)]), { deleted: [], foreign: [1] })
  t.ok(await stat(inTrash))
  await writeFile(inTrash, bytes)
  t.match(await store.deleteTrashed([provedDead(1)]), { deleted: [1], foreign: [] })
  await t.rejects(stat(inTrash), { code: 'ENOENT' })
  t.same(store.collectForgotten(), [1])
  await store.close()
})

t.test('what was freed can come back', async t => {
  const directory = await temporaryDirectory(t)
  const first = await openStore(directory)
  const chunks = [randomChunk(3000)]
  const locations = await first.append(CLEAR, chunks, 1)
  first.closeFiles(() => true)
  await first.sync()
  first.free([provedDead(1)], 9)
  first.collectRecords()
  await first.settleFreed()
  t.notOk(first.hasBlock(1))
  t.same(await first.restoreTrashed([1, 2]), [1])
  t.match(first.collectRecords(), [{ block: 1, freedSeconds: null }])
  t.ok(await readsBack(first, chunks, locations))
  await first.close()
})

t.test('moves to the trash and back come one after the other', async t => {
  const directory = await temporaryDirectory(t)
  const store = await openStore(directory)
  const chunks = [randomChunk(3000)]
  const locations = await store.append(CLEAR, chunks, 1)
  store.closeFiles(() => true)
  await store.sync()
  for (let round = 0; round < 20; round++) {
    store.free([provedDead(1)], 9)
    store.collectRecords()
    // Two callers move, as a pass and a tick may; a third brings back before they have ended.
    const moving = [store.settleFreed(), store.settleFreed()]
    if (round % 2 === 0) await Promise.all(moving)
    t.same(await store.restoreTrashed([1]), [1])
    await Promise.all([...moving, store.settleFreed()])
    t.same(store.collectForgotten(), [])
    t.ok(await stat(String(store.pathOf(1))))
    t.ok(await readsBack(store, chunks, locations))
  }
  await store.close()
})

t.test('metadata that is behind is noticed, and nothing touched', async t => {
  const directory = await temporaryDirectory(t)
  const first = await openStore(directory)
  await first.append(CLEAR, [randomChunk(9000)], 1)
  const records = first.collectRecords()
  await first.append(CLEAR, [randomChunk(5000)], 8)
  const path = String(first.pathOf(1))
  const before = await readFile(path)
  await t.rejects(openStore(directory, { records, committedSequence: 7 }), {
    code: 'METADATA_BEHIND',
  })
  await t.rejects(openStore(directory, { committedSequence: 7 }), { code: 'METADATA_BEHIND' })
  t.same(await readFile(path), before)
})

t.test('a scan finds the regions around garbage', async t => {
  const directory = await temporaryDirectory(t)
  const store = await openStore(directory)
  await store.append(CLEAR, [randomChunk(200_000), randomChunk(200_000), randomChunk(200_000)], 3)
  const path = String(store.pathOf(1))
  await store.close()
  const regions = await scan(path)
  t.equal(regions.length, 2)
  t.equal(
    regions.reduce((sum, region) => sum + region.chunkCount, 0),
    3,
  )
  t.ok(regions.every(region => region.sequence === 3 && region.block === 1 && region.group === 1))
  const bytes = await readFile(path)
  bytes.fill(0xaa, 4096, 4196)
  await writeFile(path, bytes)
  await appendFile(path, Buffer.alloc(5000, 1))
  t.same(await scan(path), regions.slice(1))
})
