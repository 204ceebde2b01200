import t from 'tap'
import { RecentChunks } from '../../src/stream/index.ts'

const MEBIBYTE = 2 ** 20
const fingerprintOf = (number: number): Uint8Array => new Uint8Array(32).fill(number)
const dataOf = (number: number, length: number): Uint8Array => new Uint8Array(length).fill(number)

t.test('a chunk is found as it was, whatever becomes of the memory that it came from', async t => {
  const recent = new RecentChunks()
  const data = dataOf(7, 100)
  recent.add(fingerprintOf(1), data)
  data.fill(0)
  t.same(recent.find(fingerprintOf(1)), dataOf(7, 100))
  t.equal(recent.find(fingerprintOf(2)), undefined)
})

t.test('they never take more than two megabytes, and the oldest go first', async t => {
  const recent = new RecentChunks()
  for (let number = 0; number < 20; number++) {
    recent.add(fingerprintOf(number), dataOf(number, MEBIBYTE / 4))
    // again: it is kept once, and becomes the newest
    if (number >= 3) recent.add(fingerprintOf(3), dataOf(3, MEBIBYTE / 4))
  }
  const found = Array.from({ length: 20 }, (_, number) => number).filter(
    number => recent.find(fingerprintOf(number)) !== undefined,
  )
  t.same(found, [3, 13, 14, 15, 16, 17, 18, 19])
})

t.test('a wipe leaves nothing, not even in memory that somebody still sees', async t => {
  const recent = new RecentChunks()
  recent.add(fingerprintOf(1), dataOf(1, 100))
  const seen = recent.find(fingerprintOf(1))
  recent.wipe()
  t.equal(recent.find(fingerprintOf(1)), undefined)
  t.same(seen, dataOf(0, 100))
})
