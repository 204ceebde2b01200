// The benchmark's command line, its limits and its tables.

import t from 'tap'
import type { Group, Row } from '../../bench/groups.ts'
import { Recorder } from '../../bench/measurement.ts'
import { ProcessorClock } from '../../bench/processor-clock.ts'
import { parseOptions, type BenchOptions } from '../../bench/options.ts'
import { ownTimes } from '../../bench/profile.ts'
import { formatGroup } from '../../bench/results.ts'
import { median } from '../../bench/medians.ts'
import { formatProcessors, formatTable, summarize } from '../../bench/table.ts'
import { GROUPS } from '../../bench/workloads/index.ts'

const MINUTES_MAX = 20

function options(...args: string[]): BenchOptions {
  const parsed = parseOptions(args)
  if (parsed === undefined) throw new Error('help was not asked for')
  return parsed
}

t.test('the command line', async t => {
  const { sizes, only, runs } = options()
  t.equal(sizes.imageBytes, 4 * 2 ** 30)
  t.equal(sizes.files, 25_000)
  t.strictSame(sizes.chunks, [1e6, 10e6])
  t.equal(only, undefined)
  t.equal(runs, 5)
  const quick = options('--quick', '--files', '7', '--chunks', '0.5,100', '--only', 'tree, index')
  t.equal(quick.sizes.files, 7)
  t.strictSame(quick.sizes.chunks, [500_000, 100e6])
  t.strictSame(quick.only, ['tree', 'index'])
  t.ok(quick.sizes.imageBytes < sizes.imageBytes)
  t.strictSame(options('--trees', '/a,/b').sizes.trees, ['/a', '/b'])
  t.equal(parseOptions(['--help']), undefined)
  for (const wrong of [
    ['--runs', '0'],
    ['--size', '1.5'],
    ['--files', ''],
    ['--streams', '12'],
    ['--generations', '1'],
    ['--chunks', '1,x'],
    ['--patience', '-1'],
    ['--trees', '/a'],
    ['--unknown'],
  ]) {
    t.throws(() => options(...wrong), Error, wrong.join(' '))
  }
})

t.test('one run of all groups ends within its time', async t => {
  const seconds = GROUPS.reduce((sum, group) => sum + group.runSecondsMax, 0)
  t.ok(seconds <= MINUTES_MAX * 60, `${seconds} s`)
  for (const group of GROUPS) {
    const ids = group.rows(options().sizes).map(row => row.id)
    t.equal(new Set(ids).size, ids.length, `the rows of ${group.name} are distinct`)
    t.ok(ids.length > 0)
  }
})

const row: Row = {
  id: 'one',
  label: 'one thing',
  unit: 'MB/s',
  samples: { coffer: [100, 400, 200], sealed: [50, 100, Number.NaN], gocryptfs: [25] },
  peakBytes: { coffer: 300 * 2 ** 20, sealed: 100 * 2 ** 20 },
  processors: {
    sealed: { JavaScript: 0.6, device: 0.05, 'data path': 1.2, syncs: 0, others: 0.1 },
  },
}
const columns = ['coffer', 'sealed', 'gocryptfs']

t.test('medians and ratios are of what was measured', async t => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, Number.NaN, 2]), 3)
  t.ok(Number.isNaN(median([])))
  const { medians, ratios } = summarize(row, columns)
  t.strictSame(medians, { coffer: 200, sealed: 75, gocryptfs: 25 })
  // Of the same run each: 50 / 100 and 100 / 400; 50 / 25.
  t.strictSame(ratios, { 'encrypted / coffer': 0.375, 'encrypted / gocryptfs': 2 })
})

t.test('a table has the columns that were measured, and dashes for what failed', async t => {
  const table = formatTable([row, { ...row, label: 'none', samples: {}, peakBytes: {} }], columns)
  const cells = table.split('\n').map(line =>
    line
      .split('|')
      .slice(1, -1)
      .map(cell => cell.trim()),
  )
  t.strictSame(cells[0], [
    'workload',
    'unit',
    'coffer',
    'encrypted',
    'gocryptfs',
    'encrypted / coffer',
    'encrypted / gocryptfs',
    'peak RSS, MiB',
  ])
  t.match(cells[1]?.[1], /^-+:$/)
  t.strictSame(cells[2], ['one thing', 'MB/s', '200', '75', '25', '0.38', '2.00', '300 / 100'])
  t.strictSame(cells[3], ['none', 'MB/s', '–', '–', '–', '–', '–', '–'])
})

t.test('what failed and what was cut short is said', async t => {
  const text = formatGroup({
    name: 'group',
    title: 'A group',
    columns,
    rows: [row],
    failures: [{ row: 'one', column: 'sealed', message: 'no luck' }],
    remarks: ['a remark'],
    runs: 0,
    seconds: 12.3,
    isCutShort: true,
  })
  t.match(text, /^### A group \(`--only group`\)/)
  t.match(text, /No whole run, 12 s\./)
  t.match(text, /a remark/)
  t.match(text, /FAILED: one, sealed: no luck/)
  t.match(text, /CUT SHORT/)
  t.match(text, /one thing\s*\| encrypted \|\s+60 \|\s+5 \|\s+120 \|\s+0 \|\s+10 \|\s+195 \|/)
})

t.test('where nothing is known of processors, nothing is said', async t => {
  t.equal(formatProcessors([{ ...row, processors: {} }], columns), '')
})

t.test('the clock of processors sees the work of this process, until it is stopped', async t => {
  const clock = await ProcessorClock.start(process.pid)
  const startedMs = performance.now()
  while (performance.now() - startedMs < 300);
  const shares = await clock.stop()
  while (performance.now() - startedMs < 600);
  t.ok((shares?.JavaScript ?? 0) > 0.1, JSON.stringify(shares))
  t.equal(await clock.stop(), shares)
  clock.worked(performance.now(), performance.now())
  t.equal(await clock.stop(), undefined, 'it did not see that')
})

t.test('samples stay with their runs when one of them fails', async t => {
  const group: Group = {
    name: 'group',
    title: 'A group',
    runSecondsMax: 1,
    columns,
    rows: () => [{ id: 'one', label: 'one thing', unit: 'MB/s' }],
    run: async () => {},
  }
  const recorder = new Recorder(group, options(), () => {})
  recorder.add(0, { row: 'one', column: 'coffer', value: 1, peakBytes: 10 })
  recorder.add(1, { row: 'one', column: 'coffer', value: 2, peakBytes: 5 })
  recorder.add(1, { row: 'one', column: 'sealed', value: 3 })
  t.strictSame(recorder.rows[0]?.samples, { coffer: [1, 2], sealed: [Number.NaN, 3] })
  t.strictSame(recorder.rows[0]?.peakBytes, { coffer: 10 })
  t.throws(() => recorder.add(0, { row: 'two', column: 'coffer', value: 1 }), /no row/)
})

t.test('a profile tells the time of each function itself', async t => {
  const callFrame = (functionName: string) => ({ functionName, url: '/x/y.js', lineNumber: 9 })
  const times = ownTimes({
    nodes: [
      { id: 1, callFrame: callFrame('a') },
      { id: 2, callFrame: callFrame('b') },
      { id: 3, callFrame: callFrame('a') },
    ],
    samples: [1, 2, 2, 3],
    timeDeltas: [10, 30, 40, 5],
  })
  t.strictSame(times, [
    { name: 'b  y.js:10', microseconds: 70 },
    { name: 'a  y.js:10', microseconds: 15 },
  ])
})
