// The histogram against a sorted list.

import fc from 'fast-check'
import t from 'tap'
import { Latencies } from '../../src/fuse/latencies.ts'
import { LatencyHistogram } from '../../src/fuse/latency-histogram.ts'
import { Opcode } from '../../src/fuse/protocol.ts'

const duration = fc.oneof(
  fc.double({ min: 0, max: 0.05, noNaN: true }),
  fc.double({ min: 0, max: 100, noNaN: true }),
  fc.double({ min: 0, max: 4_000_000, noNaN: true }),
  fc.integer({ min: 0, max: 31 }).map(exponent => 2 ** exponent / 1000),
)

t.test('a quantile is never too small, and at most a sixteenth too large', async t => {
  const property = fc.property(fc.array(duration, { minLength: 1 }), list => {
    const histogram = new LatencyHistogram()
    for (const milliseconds of list) histogram.record(milliseconds)
    const sorted = list.map(milliseconds => milliseconds * 1000).sort((a, b) => a - b)
    for (const share of [0, 0.5, 0.95, 0.99, 1]) {
      const exact = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0
      const found = histogram.quantileMicroseconds(share)
      if (found < exact || found > exact * (1 + 1 / 16) + 1) {
        throw new Error(`${share}: ${found} for ${exact}`)
      }
    }
    const { count, maxMicroseconds } = histogram.summary()
    if (count !== list.length || maxMicroseconds !== Math.ceil(sorted.at(-1) ?? 0)) {
      throw new Error('count or maximum')
    }
    for (let bound = 16; bound < 2 ** 33; bound *= 2) {
      const below = sorted.filter(microseconds => microseconds < bound).length
      if (histogram.countBelow(bound) !== below) throw new Error(`below ${bound}`)
    }
  })
  t.doesNotThrow(() => fc.assert(property, { numRuns: 500 }))
})

t.test('none, and one that lasts for days', async t => {
  const histogram = new LatencyHistogram()
  t.same(histogram.summary(), {
    count: 0,
    p50Microseconds: 0,
    p95Microseconds: 0,
    p99Microseconds: 0,
    maxMicroseconds: 0,
  })
  histogram.record(1e9)
  t.equal(histogram.maxMicroseconds, 1e12)
  t.equal(histogram.sumSeconds, 1e6)
  t.equal(histogram.quantileMicroseconds(0.5), 2 ** 32)
})

t.test('opcodes go to their families', async t => {
  const latencies = new Latencies()
  const opcodes = [Opcode.READ, Opcode.WRITE, Opcode.FSYNC, Opcode.FSYNCDIR, Opcode.MKDIR]
  for (const opcode of [...opcodes, Opcode.LOOKUP, Opcode.GETATTR, 4096]) {
    latencies.record(opcode, 1)
  }
  const { read, write, fsync, create, lookup, other } = latencies
  t.same(
    [read, write, fsync, create, lookup, other].map(({ count }) => count),
    [1, 1, 2, 1, 1, 2],
  )
})
