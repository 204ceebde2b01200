// Weekly windows over a whole year, with the days on which clocks jump: said by example, and as properties of windows at
// random.

import fc from 'fast-check'
import { DateTime } from 'luxon'
import t from 'tap'
import { localZone, nextOpening, windowAt, windowDays } from '../../src/cleaner/schedule.ts'
import type { WeeklyWindow, WindowDay, WindowSpan } from '../../src/cleaner/schedule.ts'

const ZONES = ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'America/Havana', 'UTC']
const MINUTE = 60
const HOUR = 3600
const DAY = 86_400

function window(day: WindowDay, start: string, stop: string, id = 1): WeeklyWindow {
  return { id, purpose: 'cleaner', day, startMinutes: minutes(start), stopMinutes: minutes(stop) }
}

function minutes(text: string): number {
  return Number(text.slice(0, 2)) * 60 + Number(text.slice(3))
}

function seconds(iso: string): number {
  return Date.parse(iso) / 1000
}

/** All openings whose beginning is in a span of time. */
function openings(windows: WeeklyWindow[], from: number, to: number, zone: string) {
  const found: { opens: string; lasts: number }[] = []
  let at = from - 1
  for (;;) {
    const next = nextOpening(windows, at, zone)
    if (next === undefined || next.startSeconds >= to) return found
    const opens = new Date(next.startSeconds * 1000).toISOString().slice(0, 16)
    found.push({ opens, lasts: (next.endSeconds - next.startSeconds) / MINUTE })
    at = next.startSeconds
  }
}

t.test('a window opens on its days, and is closed at its stop', async t => {
  // 2026-11-23 is a Monday.
  const monday = seconds('2026-11-23T00:00Z')
  const days = (day: WindowDay): number[] =>
    openings([window(day, '01:00', '02:00')], monday, monday + 7 * DAY, 'UTC').map(
      ({ opens }) => new Date(`${opens}Z`).getUTCDay() || 7,
    )
  t.same(windowDays.slice(0, 7).map(days), [[1], [2], [3], [4], [5], [6], [7]])
  t.same(days('daily'), [1, 2, 3, 4, 5, 6, 7])
  t.same(days('weekdays'), [1, 2, 3, 4, 5])
  t.same(days('weekend'), [6, 7])

  const windows = [window('monday', '01:00', '02:00')]
  const open = (at: number) => windowAt(windows, monday + at, 'UTC')?.endSeconds
  t.equal(open(HOUR - 1), undefined)
  t.equal(open(HOUR), monday + 2 * HOUR)
  t.equal(open(2 * HOUR - 1), monday + 2 * HOUR)
  t.equal(open(2 * HOUR), undefined)
  t.equal(open(HOUR + DAY), undefined, 'not on Tuesday')
  t.equal(nextOpening(windows, monday + HOUR, 'UTC')?.startSeconds, monday + HOUR + 7 * DAY)
  t.equal(windowAt([], monday, 'UTC'), undefined)
  t.equal(nextOpening([], monday, 'UTC'), undefined)
})

t.test('a window may pass midnight', async t => {
  const windows = [window('sunday', '22:00', '04:00')]
  const at = (iso: string) => windowAt(windows, seconds(iso), 'Europe/Berlin')
  t.equal(at('2026-11-22T20:59Z'), undefined)
  t.ok(at('2026-11-22T21:00Z'))
  t.equal(at('2026-11-23T02:59Z')?.endSeconds, seconds('2026-11-23T03:00Z'), 'Monday already')
  t.equal(at('2026-11-23T03:00Z'), undefined)
})

t.test('of windows that overlap the one that closes last is told', async t => {
  const windows = [window('daily', '01:00', '05:00', 1), window('daily', '02:00', '03:00', 2)]
  const at = (iso: string) => windowAt(windows, seconds(iso), 'UTC')?.window.id
  t.same([at('2026-11-23T01:30Z'), at('2026-11-23T02:30Z')], [1, 1])
  const after = [window('daily', '01:00', '03:00', 1), window('daily', '02:00', '05:00', 2)]
  t.equal(windowAt(after, seconds('2026-11-23T02:30Z'), 'UTC')?.window.id, 2)
})

t.test('an hour that is missing, and one that comes twice', async t => {
  const berlin = (start: string, stop: string, date: string) => {
    const from = seconds(`${date}T00:00Z`)
    return openings([window('daily', start, stop)], from, from + 12 * HOUR, 'Europe/Berlin')
  }
  // 02:00 CET is 03:00 CEST: 01:00Z.
  const spring = (start: string, stop: string) => berlin(start, stop, '2026-03-29')
  t.same(spring('02:30', '03:30'), [{ opens: '2026-03-29T01:00', lasts: 30 }])
  t.same(spring('01:30', '02:30'), [{ opens: '2026-03-29T00:30', lasts: 30 }])
  t.same(spring('02:10', '02:40'), [{ opens: '2026-03-29T01:00', lasts: 30 }], 'moved behind it')
  t.same(spring('01:30', '03:30'), [{ opens: '2026-03-29T00:30', lasts: 60 }])
  t.same(spring('03:00', '03:30'), [{ opens: '2026-03-29T01:00', lasts: 30 }])
  // 03:00 CEST is 02:00 CET: 01:00Z.
  const autumn = (start: string, stop: string) => berlin(start, stop, '2026-10-25')
  t.same(autumn('02:30', '03:30'), [{ opens: '2026-10-25T00:30', lasts: 120 }])
  t.same(autumn('02:10', '02:40'), [{ opens: '2026-10-25T00:10', lasts: 30 }], 'not again')
  t.same(autumn('01:30', '02:30'), [], 'it opened at 23:30Z of the day before')
  t.same(autumn('03:00', '03:30'), [{ opens: '2026-10-25T02:00', lasts: 30 }])
})

t.test('half an hour is enough of a jump', async t => {
  const from = seconds('2026-10-03T12:00Z')
  const spring = openings(
    [window('sunday', '02:10', '02:20'), window('sunday', '02:15', '02:45')],
    from,
    from + DAY,
    'Australia/Lord_Howe',
  )
  t.same(spring, [{ opens: '2026-10-03T15:30', lasts: 10 }])
})

const times = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 24 * 60 - 1 }) },
  // Where clocks jump.
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 4 * 60 }) },
)
const anyWindow: fc.Arbitrary<WeeklyWindow> = fc
  .record({ day: fc.constantFrom(...windowDays), startMinutes: times, stopMinutes: times })
  .filter(({ startMinutes, stopMinutes }) => startMinutes !== stopMinutes)
  .map(window => ({ ...window, id: 1, purpose: 'cleaner' as const }))

t.test('over a year every due day has exactly one opening', async t => {
  const property = fc.property(anyWindow, fc.constantFrom(...ZONES), (window, zone) => {
    const from = DateTime.fromObject({ year: 2026 }, { zone }).toUnixInteger() - 1
    const to = DateTime.fromObject({ year: 2027 }, { zone }).toUnixInteger()
    const opened: string[] = []
    let last = { startSeconds: from, endSeconds: 0 }
    for (;;) {
      const span = nextOpening([window], last.startSeconds, zone)
      if (span === undefined) throw new Error('a weekly window that never opens again')
      if (span.startSeconds >= to) break
      if (span.startSeconds < last.endSeconds) throw new Error('opens while it is open')
      checkEnds(window, span, zone)
      opened.push(DateTime.fromSeconds(span.startSeconds, { zone }).toISODate() ?? '')
      last = span
    }
    const expected: string[] = []
    for (let day = DateTime.utc(2026); day.year === 2026; day = day.plus({ days: 1 })) {
      if (isDue(window.day, day.weekday)) expected.push(day.toISODate() ?? '')
    }
    if (opened.join() !== expected.join()) throw new Error(`opens on ${opened.join()}`)
  })
  t.doesNotThrow(() => fc.assert(property, { numRuns: 60 }))
})

/** From its first second to its last, and not a second more. */
function checkEnds(window: WeeklyWindow, span: WindowSpan, zone: string): void {
  const { startSeconds, endSeconds } = span
  const opening = (at: number) => windowAt([window], at, zone)?.startSeconds
  if (opening(startSeconds) !== startSeconds) throw new Error('is not open when it opens')
  if (opening(endSeconds - 1) !== startSeconds) throw new Error('closes too early')
  if (opening(endSeconds) === startSeconds) throw new Error('does not close')
  if (opening(startSeconds - 1) === startSeconds) throw new Error('is open too early')
}

t.test('away from jumps a window is open when the wall clock says so', async t => {
  const property = fc.property(
    anyWindow,
    fc.constantFrom(...ZONES),
    fc.integer({ min: 0, max: 365 }),
    (window, zone, day) => {
      const from = seconds('2026-01-01T00:00Z') + day * DAY
      for (let at = from; at < from + 3 * DAY; at += 7 * MINUTE) {
        const wall = DateTime.fromSeconds(at, { zone })
        if (wall.minus({ hours: 26 }).offset !== wall.plus({ hours: 2 }).offset) continue
        const isOpen = windowAt([window], at, zone) !== undefined
        const isShown = showsOpen(window, wall.weekday, wall.hour * 60 + wall.minute)
        if (isShown !== isOpen) throw new Error(`${wall.toISO()}: ${isOpen ? 'open' : 'closed'}`)
      }
    },
  )
  t.doesNotThrow(() => fc.assert(property, { numRuns: 60 }))
})

t.test('the local zone is one that is known', async t => {
  t.ok(DateTime.fromSeconds(0, { zone: localZone() }).isValid)
  t.throws(() => windowAt([], 0, 'Mars/Olympus'), RangeError)
})

function showsOpen(window: WeeklyWindow, weekday: number, now: number): boolean {
  const { day, startMinutes, stopMinutes } = window
  const yesterday = weekday === 1 ? 7 : weekday - 1
  if (startMinutes < stopMinutes) {
    return isDue(day, weekday) && now >= startMinutes && now < stopMinutes
  }
  return (
    (isDue(day, weekday) && now >= startMinutes) || (isDue(day, yesterday) && now < stopMinutes)
  )
}

function isDue(day: WindowDay, weekday: number): boolean {
  if (day === 'daily') return true
  if (day === 'weekdays') return weekday <= 5
  if (day === 'weekend') return weekday >= 6
  return windowDays[weekday - 1] === day
}
