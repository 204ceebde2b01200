// Throughput over spans of a ring: each span sees its own samples, and what is older than an hour is forgotten.

import t from 'tap'
import { Throughput } from '../../src/daemon/throughput.ts'

const SECONDS_PER_HOUR = 3600

t.test('nothing yet is nothing', t => {
  const throughput = new Throughput()
  const none = { writeBytesPerSecond: 0, readBytesPerSecond: 0 }
  t.same(throughput.summary(), { now: none, minute: none, hour: none })
  throughput.sample(5, 100, 100)
  t.same(throughput.summary().now, none, 'one sample is no difference')
  t.end()
})

t.test('a young daemon: all spans reach to its start', t => {
  const throughput = new Throughput()
  throughput.sample(0, 0, 0)
  throughput.sample(2000, 1000, 500)
  const rates = { writeBytesPerSecond: 500, readBytesPerSecond: 250 }
  t.same(throughput.summary(), { now: rates, minute: rates, hour: rates })
  t.end()
})

t.test('each span has its own mean, also after the ring has gone round', t => {
  const throughput = new Throughput()
  let written = 0
  const run = (fromSecond: number, toSecond: number, bytesPerSecond: number): void => {
    for (let second = fromSecond; second < toSecond; second++) {
      throughput.sample(second * 1000, written, 0)
      written += bytesPerSecond
    }
  }
  run(0, 2 * SECONDS_PER_HOUR, 1e9)
  run(2 * SECONDS_PER_HOUR, 3 * SECONDS_PER_HOUR - 60, 100)
  run(3 * SECONDS_PER_HOUR - 60, 3 * SECONDS_PER_HOUR - 10, 700)
  run(3 * SECONDS_PER_HOUR - 10, 3 * SECONDS_PER_HOUR + 1, 1000)
  const { now, minute, hour } = throughput.summary()
  t.equal(now.writeBytesPerSecond, 1000)
  t.equal(minute.writeBytesPerSecond, (50 * 700 + 10 * 1000) / 60)
  const expected = ((SECONDS_PER_HOUR - 60) * 100 + 50 * 700 + 10 * 1000) / SECONDS_PER_HOUR
  t.ok(Math.abs(hour.writeBytesPerSecond - expected) < 1e-9)
  t.end()
})
