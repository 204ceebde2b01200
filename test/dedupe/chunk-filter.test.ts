// The filter over real files: what it was told of it never denies, most else it does.

import { randomBytes } from 'node:crypto'
import { mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { chunkName } from '../../src/dedupe/chunk-index.ts'
import { ChunkFilter } from '../../src/dedupe/chunk-filter.ts'
import { loadFilter, saveFilter } from '../../src/dedupe/filter-file.ts'

const UNUSABLE = { code: 'RECORD_DAMAGED' }
const PLENTY_BYTES = 64 * 1024 * 1024

const STRANGERS = 20_000
const CHUNKS = 700_000
const FINGERPRINT_BYTES = 32
const fingerprints = randomBytes((STRANGERS + CHUNKS) * FINGERPRINT_BYTES)

/** @param number from -20,000 on */
function name(number: number, group = 1): string {
  const at = (STRANGERS + number) * FINGERPRINT_BYTES
  return chunkName(group, fingerprints.subarray(at, at + FINGERPRINT_BYTES))
}

function whole(bytesMax = PLENTY_BYTES): ChunkFilter {
  const filter = new ChunkFilter(bytesMax)
  filter.fill().finish()
  return filter
}

const key = (number: number): Buffer => Buffer.from(name(number), 'latin1')

function strangersBelieved(filter: ChunkFilter): number {
  let count = 0
  for (let number = -STRANGERS; number < 0; number++) if (filter.mayHave(name(number))) count++
  return count
}

async function pathOf(test: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-filter-'))
  test.teardown(() => rm(directory, { recursive: true, force: true }))
  return join(directory, 'chunk-filter')
}

t.test('it denies nothing that it knows, and nearly all that it does not know', t => {
  const filter = whole()
  // More than the first layer is for: it grows.
  const count = 400_000
  for (let number = 0; number < count; number++) filter.add(name(number))
  let denied = 0
  for (let number = 0; number < count; number += 7) {
    if (!filter.mayHave(name(number))) denied++
  }
  t.equal(denied, 0)
  t.ok(strangersBelieved(filter) < 0.045 * STRANGERS, `${strangersBelieved(filter)} strangers`)
  t.equal(filter.state?.layers.length, 4)
  t.ok(filter.bytes < (count * 2 * 10) / 8, `${filter.bytes} bytes`)
  t.end()
})

t.test('equal fingerprints in two groups are two chunks', t => {
  const filter = whole()
  for (let number = 0; number < 1000; number++) filter.add(name(number, 1))
  const others = Array.from({ length: 1000 }, (_, number) => name(number, 2))
  t.ok(others.filter(other => filter.mayHave(other)).length < 30)
  t.end()
})

t.test('it says "maybe" until it is filled, and knows what came meanwhile', t => {
  const filter = new ChunkFilter(PLENTY_BYTES)
  t.ok(filter.mayHave(name(1)))
  t.equal(filter.state, undefined)
  const filling = filter.fill()
  filling.expect(10)
  filling.add(key(1))
  filter.add(name(2))
  t.ok(filter.mayHave(name(3)))
  filling.finish()
  t.ok(filter.mayHave(name(1)))
  t.ok(filter.mayHave(name(2)))
  t.notOk(filter.mayHave(name(3)))
  t.end()
})

t.test('one that is more about what is gone is stale, until it is filled again', t => {
  const filter = whole()
  const count = 60_000
  for (let number = 0; number < count; number++) filter.add(name(number))
  t.notOk(filter.isStale)
  for (let number = 0; number < count; number++) filter.removed()
  t.ok(filter.isStale)
  const again = filter.fill()
  again.expect(10)
  filter.add(name(count))
  t.ok(filter.mayHave(name(1)), 'the old one goes on meanwhile')
  again.finish()
  t.notOk(filter.isStale)
  t.notOk(filter.mayHave(name(1)))
  t.ok(filter.mayHave(name(count)))
  t.end()
})

t.test('one that has grown in many steps is stale, until it is filled in one', t => {
  const filter = whole()
  for (let number = 0; number < 600_000; number++) filter.add(name(number))
  t.equal(filter.state?.layers.length, 5)
  t.ok(filter.isStale)
  const again = filter.fill()
  again.expect(600_000)
  for (let number = 0; number < 600_000; number++) again.add(key(number))
  again.finish()
  t.equal(filter.state?.layers.length, 1)
  t.notOk(filter.isStale)
  t.ok(strangersBelieved(filter) < 0.02 * STRANGERS, `${strangersBelieved(filter)} strangers`)
  t.end()
})

t.test('filled in the order of keys into many layers, it is as good', t => {
  const filter = new ChunkFilter(PLENTY_BYTES)
  const keys = Array.from({ length: 400_000 }, (_, number) => key(number))
  keys.sort((a, b) => Buffer.compare(a, b))
  // Far too few were expected.
  const filling = filter.fill()
  filling.expect(0)
  for (const each of keys) filling.add(each)
  filling.finish()
  t.equal(filter.state?.layers.length, 4)
  t.ok(strangersBelieved(filter) < 0.045 * STRANGERS, `${strangersBelieved(filter)} strangers`)
  t.ok(keys.every(each => filter.mayHave(each.toString('latin1'))))
  t.end()
})

t.test('beyond its memory it gives up, for good', t => {
  const filter = whole(128 * 1024)
  for (let number = 0; filter.isComplete; number++) {
    if (number > 100_000) break
    filter.add(name(number))
  }
  t.notOk(filter.isComplete)
  t.equal(filter.bytes, 0)
  t.ok(filter.mayHave(name(-1)))
  const huge = filter.fill()
  huge.expect(100_000_000)
  huge.finish()
  t.notOk(filter.isComplete)
  t.end()
})

t.test('it is the same after it was kept', async t => {
  const path = await pathOf(t)
  const filter = whole()
  for (let number = 0; number < 100_000; number++) filter.add(name(number))
  filter.removed()
  const { state } = filter
  if (state === undefined) throw new Error('not complete')
  await saveFilter(path, 77, state)
  const loaded = await loadFilter(path, 77, PLENTY_BYTES)
  t.equal(loaded?.layers.length, 2)
  t.equal(loaded?.removedCount, 1)
  const again = new ChunkFilter(PLENTY_BYTES, loaded)
  let isSame = true
  for (let number = -20_000; number < 20_000; number++) {
    isSame &&= again.mayHave(name(number)) === filter.mayHave(name(number))
  }
  t.ok(isSame)
  t.same(
    loaded?.layers.map(layer => layer.count),
    state.layers.map(layer => layer.count),
  )
  await t.rejects(loadFilter(path, 78, PLENTY_BYTES), UNUSABLE)
  await t.rejects(loadFilter(path, 77, 1024), UNUSABLE)
  t.equal(await loadFilter(`${path}-none`, 77, PLENTY_BYTES), undefined)
})

t.test('a file with any byte changed, cut off or added is not believed', async t => {
  const path = await pathOf(t)
  const filter = whole()
  for (let number = 0; number < 1000; number++) filter.add(name(number))
  if (filter.state === undefined) throw new Error('not complete')
  await saveFilter(path, 5, filter.state)
  const good = await readFile(path)
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
      const file = await open(path, 'r+')
      try {
        await file.write(Buffer.of((good[at] ?? 0) ^ by), 0, 1, at)
      } finally {
        await file.close()
      }
      await t.rejects(loadFilter(path, 5, PLENTY_BYTES), UNUSABLE)
      await writeFile(path, good)
    }),
    { examples: Array.from({ length: 48 }, (_, at) => [at, 1]) },
  )
  await truncate(path, good.length - 1)
  await t.rejects(loadFilter(path, 5, PLENTY_BYTES), UNUSABLE)
  await writeFile(path, Buffer.concat([good, Buffer.of(0)]))
  await t.rejects(loadFilter(path, 5, PLENTY_BYTES), UNUSABLE)
  await writeFile(path, good)
  t.ok(await loadFilter(path, 5, PLENTY_BYTES))
})
