// The exposition as a scraper reads it: every line has its form, histograms add up, and values are those that went in.

import { readFile } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { LoopDelay } from '../../src/daemon/loop-delay.ts'
import { writePrometheus } from '../../src/daemon/prometheus.ts'
import { Latencies } from '../../src/fuse/latencies.ts'
import { Opcode } from '../../src/fuse/protocol.ts'
import { fakeTarget } from '../control/fake-target.ts'

/** who asks */
const NOBODY = { notify: () => false, gone: new AbortController().signal }

async function exposition(): Promise<string> {
  const latencies = new Latencies()
  for (const milliseconds of [0.001, 0.02, 0.02, 5, 100_000]) {
    latencies.record(Opcode.READ, milliseconds)
  }
  const { contentType, text } = await writePrometheus({
    version: '0.1.0',
    startedAt: new Date(1_700_000_000_000),
    statistics: await fakeTarget()['stats.system']({}, NOBODY),
    requestsByOpcode: { read: 5, lookup: 7 },
    latencies,
    space: { totalBytes: 1e12, freeBytes: 5e11 },
    alerts: {
      info: { open: 0, acknowledged: 0 },
      warning: { open: 2, acknowledged: 3 },
      critical: { open: 0, acknowledged: 0 },
    },
    isReadOnly: false,
  })
  t.match(contentType, 'text/plain; version=0.0.4')
  return text
}

t.test('every line has its form, and every metric its help and type', async t => {
  const text = await exposition()
  t.ok(text.endsWith('\n'))
  const types = new Map<string, string>()
  const seen = new Set<string>()
  for (const line of text.split('\n').filter(line => line !== '')) {
    const [, name, type] = /^# TYPE ([a-z_0-9]+) (counter|gauge|histogram)$/.exec(line) ?? []
    if (name !== undefined && type !== undefined) types.set(name, type)
    if (line.startsWith('#')) continue
    const [, metric = ''] =
      /^([a-z][a-z_0-9]*)(?:\{[a-z]+="[^"\\]*"(?:,[a-z]+="[^"\\]*")*\})? [0-9.e+-]+$/.exec(line) ??
      []
    t.ok(metric !== '', line)
    t.notOk(seen.has(line.replace(/ [^ ]+$/, '')), `once: ${line}`)
    seen.add(line.replace(/ [^ ]+$/, ''))
    const base = types.has(metric) ? metric : metric.replace(/_(bucket|sum|count)$/, '')
    t.equal(types.get(base) === 'counter', metric.endsWith('_total'), metric)
  }
  t.equal(types.get('coffer_operation_duration_seconds'), 'histogram')
})

t.test('the values are those that went in', async t => {
  const lines = (await exposition()).split('\n')
  for (const line of [
    'coffer_info{version="0.1.0"} 1',
    'coffer_written_bytes_total 10',
    'coffer_read_bytes_total 20',
    'coffer_requests_total{opcode="lookup"} 7',
    'coffer_physical_bytes 629145600',
    'coffer_disk_free_bytes 500000000000',
    'coffer_alerts{severity="warning"} 2',
    'coffer_alerts_acknowledged{severity="warning"} 3',
    'coffer_alerts{severity="critical"} 0',
    'coffer_event_loop_delay_p99_seconds 0.001234',
    'process_start_time_seconds 1700000000',
    'coffer_operation_duration_seconds_bucket{operation="read",le="0.000016"} 1',
    'coffer_operation_duration_seconds_bucket{operation="read",le="0.000064"} 3',
    'coffer_operation_duration_seconds_bucket{operation="read",le="0.016384"} 4',
    'coffer_operation_duration_seconds_bucket{operation="read",le="16.777216"} 4',
    'coffer_operation_duration_seconds_bucket{operation="read",le="+Inf"} 5',
    'coffer_operation_duration_seconds_count{operation="read"} 5',
    'coffer_operation_duration_seconds_count{operation="fsync"} 0',
  ]) {
    t.ok(lines.includes(line), line)
  }
})

t.test('the delay of the event loop is without the interval of its timer', async t => {
  const delay = new LoopDelay()
  const other = monitorEventLoopDelay({ resolution: 20 })
  other.enable()
  await sleep(100)
  const end = performance.now() + 200
  while (performance.now() < end);
  await sleep(100)
  delay.stop()
  const { eventLoopDelayMaxMicroseconds, eventLoopDelayP99Microseconds } = delay.summary()
  t.ok(eventLoopDelayMaxMicroseconds > 150_000, `${eventLoopDelayMaxMicroseconds} µs`)
  t.ok(eventLoopDelayP99Microseconds <= eventLoopDelayMaxMicroseconds)
  t.ok(other.max > 150e6, 'and others go on')
  other.disable()
  t.equal(new LoopDelay().summary().eventLoopDelayMaxMicroseconds, 0, 'nothing yet')
})

t.test('the document names every metric', async t => {
  const document = await readFile(new URL('../../../docs/monitoring.md', import.meta.url), 'utf8')
  const names = [...(await exposition()).matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(
    ([, name = '']) => name,
  )
  t.ok(names.length > 20)
  for (const name of names) t.ok(document.includes(`\`${name}\``), name)
})
