// The cache of opened regions under pressure, and a disk that fails.

import t from 'tap'
import { setTimeout as delay } from 'node:timers/promises'
import { CLEAR, KEYED, openStore, randomChunk, readsBack, temporaryDirectory } from './helpers.ts'

t.test('a small cache serves many readers, held regions stay as they are', async t => {
  const store = await openStore(await temporaryDirectory(t), { cacheBytes: 1 })
  const chunks = Array.from({ length: 100 }, () => randomChunk(100_000))
  const locations = await store.append(CLEAR, chunks, 1)
  const first = locations[0]
  t.ok(first)
  if (!first) return
  const held = await store.readRegion(first.block, first.page)
  const readers = Array.from({ length: 8 }, () => readsBack(store, chunks, locations))
  t.same(await Promise.all(readers), Array(8).fill(true))
  t.same(Buffer.from(held.chunkAt(0)), chunks[0]?.data)
  t.same(Buffer.from(held.fingerprintAt(0)), chunks[0]?.fingerprint)
  held.release()
  t.throws(() => held.release(), 'released once too often')
  await store.close()
})

t.test('a hint of where a region ends may be wrong either way', async t => {
  const directory = await temporaryDirectory(t)
  const store = await openStore(directory)
  const chunk = randomChunk(200_000)
  const [location] = await store.append(CLEAR, [chunk], 1)
  t.ok(location)
  if (!location) return
  const { block, page } = location
  for (const endPage of [page + 1, page + 20, page + 49, page + 1000]) {
    const region = await store.readRegion(block, page, endPage)
    t.same(Buffer.from(region.chunkAt(0)), chunk.data, `${endPage - page} pages`)
    region.release()
    store.uncache(block)
  }
  await store.close()
})

t.test('when every slot is held, readers wait', async t => {
  const store = await openStore(await temporaryDirectory(t), { cacheBytes: 1 })
  const chunks = Array.from({ length: 6 }, () => randomChunk(1000))
  const pages: number[] = []
  for (const chunk of chunks) {
    const [location] = await store.append(CLEAR, [chunk], 1)
    if (location) pages.push(location.page)
  }
  const held = await Promise.all(pages.slice(0, 4).map(page => store.readRegion(1, page)))
  let isDone = false
  const waiting = store.readRegion(1, Number(pages[4])).then(region => {
    isDone = true
    return region
  })
  await delay(30)
  t.notOk(isDone)
  held[2]?.release()
  const region = await waiting
  t.same(Buffer.from(region.chunkAt(0)), chunks[4]?.data)
  t.equal(store.cachedRegion(1, Number(pages[2])), undefined)
  const again = store.cachedRegion(1, Number(pages[4]))
  t.equal(again, region)
  await store.close()
})

t.test('a failed load leaves the slot free and is tried again', async t => {
  const store = await openStore(await temporaryDirectory(t), { cacheBytes: 1 })
  await store.append(CLEAR, [randomChunk(1000)], 1)
  for (let run = 0; run < 20; run++) {
    await t.rejects(store.readRegion(1, 50), { code: 'DAMAGED_REGION', reason: 'truncated' })
  }
  const region = await store.readRegion(1, 1)
  region.release()
  await store.close()
})

t.test('a group that is forgotten leaves nothing in memory', async t => {
  const store = await openStore(await temporaryDirectory(t))
  const chunk = randomChunk(100_000)
  const [location] = await store.append(KEYED, [chunk], 1)
  if (location === undefined) throw new Error('a chunk has a location')
  const region = await store.readRegion(location.block, location.page)
  const memory = region.chunkAt(0)
  t.ok(Buffer.from(memory).equals(chunk.data))
  region.release()
  await store.forgetGroup(1)
  t.ok(
    memory.every(byte => byte === 0),
    'overwritten',
  )
  t.ok(await readsBack(store, [chunk], [location]), 'read anew')
  await store.close()
})
