// What a crash leaves behind is cleared at open, or proves that the metadata is too old.

import t from 'tap'
import { appendFile, readFile, stat, writeFile } from 'node:fs/promises'
import { CLEAR, KEYED, openStore, randomChunk, readsBack, temporaryDirectory } from './helpers.ts'
import { scanBlockFile, type ScannedRegion } from '../../src/blocks/index.ts'

async function scan(path: string): Promise<ScannedRegion[]> {
  const regions: ScannedRegion[] = []
  for await (const region of scanBlockFile(path)) regions.push(region)
  return regions
}

t.test('a file without a record goes, its id is not used again', async t => {
  const directory = await temporaryDirectory(t)
  const lost = await openStore(directory)
  await lost.append(CLEAR, [randomChunk(100)], 4)
  const path = String(lost.pathOf(1))
  const store = await openStore(directory, { committedSequence: 4 })
  await t.rejects(stat(path), { code: 'ENOENT' })
  t.equal(store.leftovers.deletedFiles, 1)
  const [location] = await store.append(CLEAR, [randomChunk(100)], 4)
  t.equal(location?.block, 2)
  await store.close()
})

t.test('a tail goes, what was committed stays, nothing is appended there again', async t => {
  const directory = await temporaryDirectory(t)
  const first = await openStore(directory)
  const chunks = [randomChunk(9000), randomChunk(100)]
  const locations = await first.append(KEYED, chunks, 1)
  const records = first.collectRecords()
  await first.append(KEYED, [randomChunk(5000)], 2)
  const path = String(first.pathOf(1))
  const store = await openStore(directory, { records, committedSequence: 2 })
  t.equal(store.leftovers.truncatedFiles, 1)
  t.equal((await stat(path)).size, records[0]?.lengthBytes)
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
