// When small appends are sent on: in a hurry at once, but one at a time; otherwise after a moment. None is left behind.

import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import type { ChunkLocation, NewChunk, SealingPolicy } from '../../src/blocks/block-store.ts'
import { secretOf } from '../helpers/secrets.ts'
import { AppendGatherer } from '../../src/dedupe/append-gatherer.ts'

const POLICY = { group: 1, compression: 'none', keyId: 0 } as unknown as SealingPolicy
/** Far more than an append may wait for company. */
const LONG_MS = 5000

/** Appends end when the test says so. */
class SlowTarget {
  readonly appends: { chunks: readonly NewChunk[]; end: () => void }[] = []

  append(_: SealingPolicy, chunks: readonly NewChunk[]): Promise<ChunkLocation[]> {
    return new Promise(resolve => {
      const end = (): void =>
        resolve(chunks.map((_, ordinal) => ({ block: this.appends.length, page: 0, ordinal })))
      this.appends.push({ chunks, end })
    })
  }
}

function chunk(name: number): NewChunk {
  return { fingerprint: new Uint8Array(32).fill(name), data: new Uint8Array(100) }
}

t.test('in a hurry one append at a time, and what comes meanwhile goes together', async t => {
  const target = new SlowTarget()
  const gatherer = new AppendGatherer(target)
  const calm = gatherer.hurry()
  const all = [1, 2, 3].map(name => gatherer.append(POLICY, [chunk(name)], 1))
  t.equal(target.appends.length, 1)
  target.appends[0]?.end()
  await all[0]
  await delay(0)
  t.equal(target.appends.length, 2)
  t.equal(target.appends[1]?.chunks.length, 2)
  target.appends[1]?.end()
  await Promise.all(all)
  calm()
})

t.test('what waited for an append is sent although the hurry is over when that ends', async t => {
  const target = new SlowTarget()
  const gatherer = new AppendGatherer(target)
  const calm = gatherer.hurry()
  const first = gatherer.append(POLICY, [chunk(1)], 1)
  const second = gatherer.append(POLICY, [chunk(2)], 1)
  calm()
  target.appends[0]?.end()
  await first
  for (let waited = 0; waited < LONG_MS && target.appends.length < 2; waited += 10) await delay(10)
  t.equal(target.appends.length, 2)
  target.appends[1]?.end()
  t.same((await second).length, 1)
})

t.test('without a hurry there is company, and an end to waiting for it', async t => {
  const target = new SlowTarget()
  const gatherer = new AppendGatherer(target)
  const all = [1, 2].map(name => gatherer.append(POLICY, [chunk(name)], 1))
  t.equal(target.appends.length, 0)
  for (let waited = 0; waited < LONG_MS && target.appends.length < 1; waited += 10) await delay(10)
  t.equal(target.appends[0]?.chunks.length, 2)
  target.appends[0]?.end()
  await Promise.all(all)
})

t.test('what comes after a group was locked and unlocked goes with its own key', async t => {
  const policies: SealingPolicy[] = []
  const gatherer = new AppendGatherer({
    append: async (policy, chunks) => {
      policies.push(policy)
      return chunks.map((_, ordinal) => ({ block: 1, page: 0, ordinal }))
    },
  })
  const before: SealingPolicy = { group: 1, compression: 'none', keyId: 1, key: secretOf(1) }
  const after: SealingPolicy = { ...before, key: secretOf(1) }
  await gatherer.append(before, [chunk(1)], 1)
  await gatherer.append(after, [chunk(2)], 1)
  const both = [gatherer.append(before, [chunk(3)], 1), gatherer.append(after, [chunk(4)], 1)]
  await Promise.all(both)
  t.strictSame(
    policies.map(({ key }) => key === after.key),
    [false, true, false, true],
  )
})
