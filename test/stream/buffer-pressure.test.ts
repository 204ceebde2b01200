// Whose memory is taken back for writers that wait.

import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { REGION_RAW_BYTES_MAX } from '../../src/blocks/block-store.ts'
import { relieve } from '../../src/stream/buffer-pressure.ts'
import { BufferPool } from '../../src/stream/buffer-pool.ts'
import { SMALL_BUFFER_BYTES, type Run } from '../../src/stream/buffers.ts'
import { Company, fill, NOBODY, readAll, setUp } from './fakes.ts'

const MEGABYTE = 1024 * 1024
/** of the fakes */
const LARGE_COUNT = 4

/** A file that keeps what it yields, as if the pipeline were busy. */
class Holder {
  openRuns: Run[]
  readonly yielded: Run[] = []

  constructor(openRuns: Run[]) {
    this.openRuns = openRuns
  }

  yieldRun(run: Run): void {
    this.openRuns = this.openRuns.filter(other => other !== run)
    this.yielded.push(run)
  }
}

function runOf(pool: BufferPool, lengthBytes: number): Run {
  const buffer = pool.tryAcquire()
  if (buffer === undefined) throw new Error('the pool is too small')
  return { startBytes: 0, lengthBytes, capacityBytes: pool.bufferBytes, buffer, dataOffset: 0 }
}

t.test(
  'what is lacking is taken, or what fills a region, the fullest first, of the pool that is waited for',
  t => {
    const scene = fc.record({
      files: fc.array(
        fc.array(fc.integer({ min: 1, max: REGION_RAW_BYTES_MAX }), { maxLength: 4 }),
        {
          maxLength: 6,
        },
      ),
      comingCount: fc.nat(4),
      waitingCount: fc.nat(8),
    })
    fc.assert(
      fc.property(scene, ({ files, comingCount, waitingCount }) => {
        const openCount = files.flat().length
        const count = openCount + comingCount
        fc.pre(count > 0)
        const pool = new BufferPool(new Uint8Array(1000 * count), 1000)
        const other = new BufferPool(new Uint8Array(1000), 1000)
        const stranger = new Holder([runOf(other, 1000)])
        const holders = files.map(runs => new Holder(runs.map(length => runOf(pool, length))))
        for (let coming = 0; coming < comingCount; coming++) pool.tryAcquire()
        for (let waiting = 0; waiting < waitingCount; waiting++) void pool.acquire()
        relieve(pool, [stranger, ...holders])
        const yielded = holders.flatMap(holder => holder.yielded)
        const kept = holders.flatMap(holder => holder.openRuns)
        const lacking = Math.max(0, waitingCount - comingCount)
        const least = Math.min(lacking, openCount)
        if (yielded.length < least || (lacking === 0 && yielded.length > 0)) {
          throw new Error('too many or too few')
        }
        // Without the last one taken it would have been too few, or too little for a region.
        const lengths = yielded.map(run => run.lengthBytes).toSorted((a, b) => b - a)
        const bytes = lengths.slice(0, -1).reduce((sum, length) => sum + length, 0)
        if (yielded.length > least && bytes >= REGION_RAW_BYTES_MAX) throw new Error('too many')
        const allBytes = lengths.reduce((sum, length) => sum + length, 0)
        if (lacking > 0 && kept.length > 0 && allBytes < REGION_RAW_BYTES_MAX)
          throw new Error('little')
        const leastYielded = Math.min(...yielded.map(run => run.lengthBytes))
        if (kept.some(run => run.lengthBytes > leastYielded)) throw new Error('not the fullest')
        if (stranger.yielded.length > 0) throw new Error('of another pool')
        relieve(pool, [stranger, ...holders])
        if (holders.flatMap(holder => holder.yielded).length !== yielded.length) {
          throw new Error('what is on its way was asked for again')
        }
      }),
    )
    t.end()
  },
)

t.test('writers that stop anywhere never keep others waiting', async () => {
  const writers = fc.array(
    fc.record({ pauses: fc.array(fc.nat(6), { minLength: 1, maxLength: 6 }) }),
    { minLength: LARGE_COUNT + 1, maxLength: 14 },
  )
  // Small for speed, and large enough for a large buffer.
  const piece = new Uint8Array(SMALL_BUFFER_BYTES + 1)
  fill(piece, 3)
  await fc.assert(
    fc.asyncProperty(writers, async files => {
      // More than there will ever be: who waited for a buffer beside those who wait for company would wait for ever.
      const { store, isIdle } = setUp(new Company(Infinity))
      const streams = files.map((_, index) => store.open(index + 10, 1, 0, 0, NOBODY))
      // Nobody closes or syncs: open runs stay open unless they are wanted.
      await Promise.all(
        files.map(async ({ pauses }, index) => {
          for (const [number, turns] of pauses.entries()) {
            for (let waited = 0; waited < turns; waited++) await turn()
            await streams[index]?.write(number * piece.length, piece)
          }
        }),
      )
      await store.flushAll()
      for (const [index, { pauses }] of files.entries()) {
        const stream = streams[index]
        if (stream === undefined) throw new Error('no stream')
        const expected = Buffer.concat(pauses.map(() => piece))
        if (Buffer.compare(await readAll(stream), expected) !== 0) throw new Error('other contents')
      }
      if (!isIdle()) throw new Error('a buffer is lost')
    }),
    { numRuns: 30 },
  )
})

t.test('who waits for a full pipeline leaves half-filled buffers alone', async t => {
  const company = new Company(LARGE_COUNT - 1)
  const { store, isIdle } = setUp(company)
  const piece = new Uint8Array(MEGABYTE)
  const idle = store.open(9, 1, 0, 0, NOBODY)
  await idle.write(0, piece)
  // The other buffers are filled, and wait to be stored.
  const full = Array.from({ length: LARGE_COUNT - 1 }, (_, index) =>
    store.open(index + 10, 1, 0, 0, NOBODY),
  )
  for (const stream of full) {
    for (let number = 0; number < 3; number++) await stream.write(number * MEGABYTE, piece)
    stream.drain()
  }
  const late = store.open(20, 1, 0, 0, NOBODY)
  await late.write(0, piece)
  t.equal(idle.openRuns.length, 1, 'nobody needed it')
  await store.flushAll()
  t.ok(isIdle())
})
