// Append and read back, in every way of sealing.

import t from 'tap'
import { randomBytes, randomInt } from 'node:crypto'
import {
  chunkOf,
  CLEAR,
  COMPRESSIONS,
  KEYED,
  openStore,
  randomChunk,
  readsBack,
  temporaryDirectory,
  textChunk,
} from './helpers.ts'
import { BLOCK_CHUNKS_MAX, BLOCK_FILE_BYTES_MAX, type NewChunk } from '../../src/blocks/index.ts'

for (const compression of COMPRESSIONS) {
  for (const policy of [CLEAR, KEYED]) {
    t.test(`compression ${compression}, key ${policy.keyId}`, async t => {
      const directory = await temporaryDirectory(t)
      const store = await openStore(directory)
      const chunks = [
        ...Array.from({ length: 60 }, (_, index) => textChunk(1 + randomInt(100_000), index + 1)),
        ...Array.from({ length: 60 }, () => randomChunk(1 + randomInt(256 * 1024))),
        ...Array.from({ length: 3000 }, () => randomChunk(1 + randomInt(20))),
        // As cut from a stream: one behind the other in memory, with gaps where chunks were known.
        ...inARow(textChunk(2 ** 20, 9).data),
        ...inARow(randomBytes(2 ** 20)).filter((_, index) => index % 7 !== 3),
      ]
      const locations = await store.append({ ...policy, compression }, chunks, 5)
      t.ok(await readsBack(store, chunks, locations), 'reads back while open')
      await store.sync()
      const records = store.collectRecords()
      t.equal(records.length, 1)
      t.equal(records[0]?.chunkCount, chunks.length)
      t.equal(
        records[0]?.rawBytes,
        chunks.reduce((sum, chunk) => sum + chunk.data.length, 0),
      )
      t.equal(store.collectRecords().length, 0)
      await store.close()
      const again = await openStore(directory, { records, committedSequence: 5 })
      t.same(
        again.collectRecords().map(record => record.isClosed),
        [true],
      )
      t.ok(await readsBack(again, chunks, locations), 'reads back after reopening')
      await again.close()
    })
  }
}

t.test('many appends at once fill several block files, none too large', async t => {
  const directory = await temporaryDirectory(t)
  const store = await openStore(directory)
  const chunks = Array.from({ length: 64 }, () => randomChunk(64 * 1024))
  const appends = Array.from({ length: 40 }, () => store.append(CLEAR, chunks, 1))
  const locations = (await Promise.all(appends)).flat()
  await Promise.all([store.sync(), store.sync(), store.sync()])
  const records = store.collectRecords()
  t.ok(records.length >= 3)
  t.ok(records.every(record => record.lengthBytes <= BLOCK_FILE_BYTES_MAX))
  t.equal(records.filter(record => !record.isClosed).length, 1)
  t.equal(
    new Set(locations.map(({ block, page, ordinal }) => `${block}:${page}:${ordinal}`)).size,
    64 * 40,
  )
  const last = locations.slice(-64)
  t.ok(await readsBack(store, chunks, last))
  await store.close()
  t.ok(store.collectRecords().every(record => record.isClosed))
})

t.test('the source may change once the append has settled', async t => {
  const store = await openStore(await temporaryDirectory(t))
  const chunk = randomChunk(100_000)
  const copy = { fingerprint: Buffer.from(chunk.fingerprint), data: Buffer.from(chunk.data) }
  const locations = await store.append(CLEAR, [chunk], 1)
  chunk.data.fill(0)
  chunk.fingerprint.fill(0)
  t.ok(await readsBack(store, [copy], locations))
  await store.close()
})

t.test('ordinals count the chunks of a block file, whatever region they are in', async t => {
  const directory = await temporaryDirectory(t)
  const store = await openStore(directory)
  const first = await store.append(
    CLEAR,
    Array.from({ length: 40 }, () => randomChunk(20_000)),
    0,
  )
  const second = await store.append(CLEAR, [randomChunk(10), randomChunk(10)], 0)
  const ordinals = [...first, ...second].map(({ ordinal }) => ordinal)
  t.strictSame(
    ordinals,
    Array.from({ length: 42 }, (_, index) => index),
  )
  t.ok(new Set(first.map(({ page }) => page)).size > 1, 'several regions')
  await store.close()
})

t.test('a block file holds no more chunks than there are ordinals', async t => {
  const directory = await temporaryDirectory(t)
  const store = await openStore(directory)
  const chunk = randomChunk(1)
  const few = await store.append(
    CLEAR,
    Array.from({ length: 70_000 }, () => chunk),
    0,
  )
  t.equal(new Set(few.map(({ block }) => block)).size, 2)
  t.ok(few.every(({ ordinal }) => ordinal < BLOCK_CHUNKS_MAX))
  t.equal(new Set(few.map(({ block, ordinal }) => `${block}:${ordinal}`)).size, few.length)
  await store.close()
})

function inARow(data: Uint8Array): NewChunk[] {
  const chunks: NewChunk[] = []
  for (let at = 0; at < data.length;) {
    const end = Math.min(data.length, at + 1 + randomInt(60_000))
    chunks.push(chunkOf(data.subarray(at, end)))
    at = end
  }
  return chunks
}
