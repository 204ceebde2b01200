// The conditions that are found by looking: when they begin, that they don't flutter, when they end.

import t from 'tap'
import {
  ClockWatch,
  MassDeleteWatch,
  SpaceWatch,
  StallWatch,
  type AlertRaiser,
} from '../../src/alerts/index.ts'

class Raised implements AlertRaiser {
  readonly ids: string[] = []

  raise(code: string, _text: string, subject: string | null = null): void {
    this.clear(code, subject)
    this.ids.push(subject === null ? code : `${code} ${subject}`)
  }

  clear(code: string, subject: string | null = null): void {
    const at = this.ids.indexOf(subject === null ? code : `${code} ${subject}`)
    if (at >= 0) this.ids.splice(at, 1)
  }
}

t.test('space: low, critical, and a margin before either ends', async t => {
  const raised = new Raised()
  const watch = new SpaceWatch(raised)
  const steps: [freePercent: number, expected: string[]][] = [
    [50, []],
    [9.9, ['SPACE_LOW']],
    [11, ['SPACE_LOW']],
    [3.9, ['SPACE_CRITICAL']],
    [5, ['SPACE_CRITICAL']],
    [7, ['SPACE_LOW']],
    [12.1, []],
    [11, []],
  ]
  for (const [freePercent, expected] of steps) {
    watch.look({ totalBytes: 1000, freeBytes: freePercent * 10 })
    t.strictSame(raised.ids, expected, `${freePercent} % free`)
  }
})

t.test('clock: a step back is an alert until the old time is reached again', async t => {
  const raised = new Raised()
  const watch = new ClockWatch(raised, 10_000)
  watch.look(9_970)
  t.strictSame(raised.ids, [], 'small steps are a time service at work')
  watch.look(9_000)
  t.strictSame(raised.ids, ['CLOCK_JUMPED_BACK'])
  watch.look(9_999)
  t.strictSame(raised.ids, ['CLOCK_JUMPED_BACK'])
  watch.look(10_000)
  t.strictSame(raised.ids, [])
})

t.test('stall: beyond a second, over after ten quiet minutes', async t => {
  const raised = new Raised()
  const watch = new StallWatch(raised)
  watch.look(0, 999)
  t.strictSame(raised.ids, [])
  watch.look(1000, 1001)
  t.strictSame(raised.ids, ['EVENT_LOOP_STALL'])
  watch.look(601_000, 20)
  t.strictSame(raised.ids, ['EVENT_LOOP_STALL'])
  watch.look(601_001, 20)
  t.strictSame(raised.ids, [])
})

t.test('mass delete: a share within an hour, with a minimum of files', async t => {
  const raised = new Raised()
  const watch = new MassDeleteWatch(raised)
  const minute = 60_000
  const look = (minutes: number, files: number, removedFiles: number): string[] => {
    watch.look(minutes * minute, [{ name: 'c', files, removedFiles }])
    return [...raised.ids]
  }
  t.strictSame(look(0, 1000, 0), [])
  t.strictSame(look(1, 600, 400), [], '40 %')
  t.strictSame(look(30, 500, 500), ['MASS_DELETE c'], '50 % within half an hour')
  t.strictSame(look(59, 500, 500), ['MASS_DELETE c'])
  t.strictSame(look(62, 500, 500), [], 'the first 400 are an hour ago')
  t.strictSame(look(200, 10, 990), ['MASS_DELETE c'])
  watch.look(201 * minute, [])
  t.strictSame(raised.ids, [], 'the container is gone')

  watch.look(300 * minute, [{ name: 'd', files: 1, removedFiles: 99 }])
  t.strictSame(raised.ids, [], 'too few to matter')
})

t.test('mass delete: what an earlier run of the daemon raised stands for an hour', async t => {
  const raised = new Raised()
  raised.raise('MASS_DELETE', '', 'c')
  const watch = new MassDeleteWatch(raised)
  watch.look(0, [{ name: 'c', files: 5, removedFiles: 0 }])
  t.strictSame(raised.ids, ['MASS_DELETE c'])
  watch.look(3_600_000, [{ name: 'c', files: 5, removedFiles: 0 }])
  t.strictSame(raised.ids, [])
})
