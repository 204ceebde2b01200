// Counters that survive restarts: they add up, they are written only when they differ, and a real store keeps them.

import t from 'tap'
import { LifetimeCounters } from '../../src/daemon/lifetime-counters.ts'
import { MemoryMetadata } from '../helpers/memory-metadata.ts'
import { contentOf, OpenStore } from '../helpers/open-store.ts'

const SOME = {
  bytesWritten: 2 ** 40,
  bytesRead: 5,
  operations: 7,
  lookups: 10,
  hits: 4,
  chunksStored: 6,
}
const NONE = {
  bytesWritten: 0,
  bytesRead: 0,
  operations: 0,
  lookups: 0,
  hits: 0,
  chunksStored: 0,
}

function open(metadata: MemoryMetadata, nowSeconds: number, current = () => SOME) {
  const counters = new LifetimeCounters(metadata, nowSeconds, current)
  metadata.participants.splice(0, 1, counters)
  return counters
}

t.test('every run adds to what was before, and the beginning stays', async t => {
  const metadata = new MemoryMetadata()
  t.same(open(metadata, 1000).lifetime(), SOME)
  await metadata.commit()
  const later = open(metadata, 2000)
  t.equal(later.sinceSeconds, 1000)
  t.same(later.sinceStart(), SOME)
  t.match(later.lifetime(), { bytesWritten: 2 ** 41, hits: 8, chunksStored: 12 })
  await metadata.commit()
  t.match(open(metadata, 3000, () => NONE).lifetime(), { bytesWritten: 2 ** 41, lookups: 20 })
})

t.test('a commit that changes no figure writes no record', t => {
  const metadata = new MemoryMetadata()
  let current = NONE
  const counters = open(metadata, 1000, () => current)
  let puts = 0
  const batch = { put: () => void puts++, delete() {} }
  counters.collect(batch)
  t.equal(puts, 1, 'the first: since when they count')
  counters.collect(batch)
  t.equal(puts, 1)
  current = { ...NONE, bytesRead: 1 }
  counters.collect(batch)
  counters.collect(batch)
  t.equal(puts, 2)
  t.end()
})

t.test('a record of an unknown version is refused', async t => {
  const metadata = new MemoryMetadata()
  open(metadata, 1000)
  await metadata.commit()
  for (const record of metadata.records.values()) record[0] = 2
  t.throws(() => open(metadata, 1000), { code: 'UNKNOWN_VERSION' })
})

t.test('a store keeps them over a restart, and commits nothing for them', async t => {
  const directory = t.testdir()
  const first = await OpenStore.open(directory)
  first.addContainer('a')
  const data = contentOf(1, 3 * 2 ** 20)
  await first.write('a/one', data)
  await first.write('a/two', data)
  await first.sync()
  const { lookups, hits, chunksStored } = first.storage.counters.lifetime()
  t.ok(chunksStored > 0 && hits >= chunksStored - 1, `${hits} of ${lookups} were hits`)
  t.equal(lookups, hits + chunksStored)
  t.equal(first.storage.indexEntriesAdded, chunksStored)
  await first.close()

  const second = await OpenStore.open(directory)
  t.match(second.storage.counters.sinceStart(), { lookups: 0, bytesWritten: 0 })
  t.match(second.storage.counters.lifetime(), { lookups, bytesWritten: 2 * data.length })
  await second.close()
})
