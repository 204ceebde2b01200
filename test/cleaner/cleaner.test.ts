// When passes begin and end without being asked for: idle, in windows, when space is low, after a restart; and the debt.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Cleaner, PassBook } from '../../src/cleaner/index.ts'
import type { CleanerOptions, PassParts, PassReport } from '../../src/cleaner/index.ts'
import { MemoryMetadata } from '../helpers/memory-metadata.ts'
import { contentOf, OpenStore } from '../helpers/open-store.ts'

const HOUR = 3600
const DAY = 24 * HOUR

interface World {
  readonly store: OpenStore
  readonly bookMetadata: MemoryMetadata
  readonly ended: PassReport[]
  readonly alerts: Map<string, string>
  now: number
  written: number
  isWindowOpen: boolean
  isSpaceLow: boolean
  isHeld: boolean
  hasStaleBlocks: boolean
  /** a cleaner as a new daemon would have it */
  cleaner: () => Cleaner
}

async function makeWorld(t: { teardown(handler: () => Promise<void>): void }): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-runner-'))
  const late: { parts?: PassParts } = {}
  const store = await OpenStore.open(directory, {
    instrument: parts => {
      late.parts = parts
      return parts
    },
  })
  t.teardown(async () => {
    await store.close()
    await rm(directory, { recursive: true, force: true })
  })
  store.addContainer('a')
  const { parts } = late
  if (parts === undefined) throw new Error('the store is open')
  const world: World = {
    store,
    bookMetadata: new MemoryMetadata(),
    ended: [],
    alerts: new Map(),
    now: 1_000_000,
    written: 0,
    isWindowOpen: false,
    isSpaceLow: false,
    isHeld: false,
    hasStaleBlocks: false,
    cleaner: () => new Cleaner(optionsOf(world, parts)),
  }
  return world
}

function optionsOf(world: World, parts: PassParts): CleanerOptions {
  const book = new PassBook(world.bookMetadata)
  world.bookMetadata.participants.splice(0, 1, book)
  return {
    ...parts,
    book,
    nowSeconds: () => world.now,
    clientBytes: () => ({ read: 0, written: world.written }),
    isWindowOpen: () => world.isWindowOpen,
    isSpaceLow: () => world.isSpaceLow,
    isHeld: () => world.isHeld,
    hasStaleBlocks: () => world.hasStaleBlocks,
    alerts: {
      raise: (code, text) => void world.alerts.set(code, text),
      clear: code => void world.alerts.delete(code),
    },
    begun: () => undefined,
    ended: report => world.ended.push(report),
  }
}

/** Looks once, and waits for what that has begun. */
async function look(world: World, cleaner: Cleaner): Promise<string[]> {
  const before = world.ended.length
  cleaner.tick()
  while (cleaner.running !== undefined) await new Promise(setImmediate)
  return world.ended.slice(before).map(({ kind, outcome }) => `${kind} ${outcome}`)
}

t.test('after two minutes without writes, when there is something to clean', async t => {
  const world = await makeWorld(t)
  const cleaner = world.cleaner()
  t.same(await look(world, cleaner), [], 'not at once')
  world.now += 119
  t.same(await look(world, cleaner), [])
  world.now += 1
  t.same(await look(world, cleaner), ['idle complete'], 'a start knows nothing, so it looks')
  world.now += DAY
  t.same(await look(world, cleaner), [], 'there is nothing to clean')
  await world.store.write('a/f', contentOf(1, 100_000), true)
  world.written += 100_000
  t.same(await look(world, cleaner), [])
  world.store.remove('a/f')
  await world.store.storage.vfs.deletionsDone()
  world.now += 60
  world.written += 1
  t.same(await look(world, cleaner), [], 'a write begins the two minutes anew')
  world.now += 119
  t.same(await look(world, cleaner), [])
  world.now += 1
  t.same(await look(world, cleaner), ['idle complete'])
  world.hasStaleBlocks = true
  world.now += HOUR
  t.same(await look(world, cleaner), ['idle complete'], 'so is what is to be encrypted')
})

t.test('in a window, and no longer', async t => {
  const world = await makeWorld(t)
  const cleaner = world.cleaner()
  world.isWindowOpen = true
  t.same(await look(world, cleaner), ['scheduled complete'])
  t.same(await look(world, cleaner), [], 'once')
  world.hasStaleBlocks = true
  world.now += 60
  cleaner.tick()
  t.equal(cleaner.running?.report.kind, 'scheduled')
  world.isWindowOpen = false
  cleaner.tick()
  while (cleaner.running !== undefined) await new Promise(setImmediate)
  t.equal(world.ended.at(-1)?.outcome, 'stopped')
})

t.test('when space is low, at once', async t => {
  const world = await makeWorld(t)
  const cleaner = world.cleaner()
  world.isSpaceLow = true
  world.written++
  t.same(await look(world, cleaner), ['forced complete'])
  t.same(await look(world, cleaner), [], 'not again for nothing')
})

t.test('under a hold, only when space is low', async t => {
  const world = await makeWorld(t)
  const cleaner = world.cleaner()
  world.isHeld = true
  world.isWindowOpen = true
  world.hasStaleBlocks = true
  world.now += HOUR
  t.same(await look(world, cleaner), [], 'neither in a window nor when idle')
  world.isSpaceLow = true
  t.same(await look(world, cleaner), ['forced complete'])
  world.isSpaceLow = false
  world.isHeld = false
  world.now += HOUR
  t.same(await look(world, cleaner), ['scheduled complete'], 'and after it as ever')
})

t.test('one at a time', async t => {
  const world = await makeWorld(t)
  const cleaner = world.cleaner()
  const { report, done } = cleaner.start('manual', 1)
  t.match(report, { id: 1, kind: 'manual', group: 1, outcome: 'running' })
  t.throws(() => cleaner.start('manual'), { code: 'CLEANER_BUSY' })
  await t.rejects(cleaner.plan(), { code: 'CLEANER_BUSY' })
  t.match(await done, { outcome: 'complete' })
  t.equal(cleaner.lastFullSeconds, 0, 'one group is not all')
  t.equal(await cleaner.stop(), undefined)
})

t.test('a pass that a restart interrupts goes on', async t => {
  const world = await makeWorld(t)
  const first = world.cleaner()
  first.start('manual')
  await first.close()
  t.equal(world.ended.at(-1)?.outcome, 'stopped')
  await world.bookMetadata.commit()
  const second = world.cleaner()
  t.same(await look(world, second), ['manual complete'])
  t.same(
    second.passes.map(({ id, outcome }) => `${id} ${outcome}`),
    ['1 stopped', '2 complete'],
  )
  await world.bookMetadata.commit()
  t.same(await look(world, world.cleaner()), [], 'it is not begun a third time')
})

t.test('a week without a full pass is a debt', async t => {
  const world = await makeWorld(t)
  const cleaner = world.cleaner()
  await look(world, cleaner)
  world.now += 7 * DAY - 1
  world.written++
  await look(world, cleaner)
  t.notOk(world.alerts.has('CLEANING_DEBT'))
  world.now += 1
  world.written++
  await look(world, cleaner)
  t.match(world.alerts.get('CLEANING_DEBT'), /something to clean/)
  t.equal((await cleaner.start('manual').done).outcome, 'complete')
  await look(world, cleaner)
  t.notOk(world.alerts.has('CLEANING_DEBT'))
  t.equal(cleaner.lastFullSeconds, world.now)
})

t.test('what is written down about passes is read back, and nonsense is refused', async t => {
  const world = await makeWorld(t)
  const cleaner = world.cleaner()
  for (let count = 0; count < 60; count++) await cleaner.start('manual').done
  await world.bookMetadata.commit()
  const again = world.cleaner()
  t.equal(again.passes.length, 50, 'bounded')
  t.equal(again.passes.at(-1)?.id, 60)
  t.equal(again.lastFullSeconds, world.now)
  const [name = ''] = [...world.bookMetadata.records.keys()]
  world.bookMetadata.records.set(name, Buffer.from([9]))
  t.throws(() => world.cleaner(), { code: 'UNKNOWN_VERSION' })
  world.bookMetadata.records.set(name, Buffer.from('\u0001{"passes":3}'))
  t.throws(() => world.cleaner(), { code: 'RECORD_DAMAGED' })
})
