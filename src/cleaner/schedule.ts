// When weekly windows are open: the cleaner's, and those of scans. Pure: the time and the zone are parameters.
//
// A window is said in wall-clock time, which jumps. One rule covers every jump: a boundary is the first moment at which the
// clock on the wall shows its time or a later one. So a window opens once a day, whether an hour is missing or comes twice.

import { DateTime } from 'luxon'

/** What a window may be for: one weekday, or several. ISO numbers, Monday is 1. */
const WEEKDAYS = {
  monday: [1],
  tuesday: [2],
  wednesday: [3],
  thursday: [4],
  friday: [5],
  saturday: [6],
  sunday: [7],
  daily: [1, 2, 3, 4, 5, 6, 7],
  weekdays: [1, 2, 3, 4, 5],
  weekend: [6, 7],
} as const satisfies Record<string, readonly number[]>

export type WindowDay = keyof typeof WEEKDAYS

export const windowDays = [
  'monday',
  'tuesday',
  'wednesday',
  'thursday',
  'friday',
  'saturday',
  'sunday',
  'daily',
  'weekdays',
  'weekend',
] as const satisfies readonly WindowDay[]

export const MINUTES_PER_DAY = 24 * 60

/** What may go on in a window. */
export const windowPurposes = ['cleaner', 'scan'] as const
export type WindowPurpose = (typeof windowPurposes)[number]

export interface WeeklyWindow {
  readonly id: number
  readonly purpose: WindowPurpose
  /** when it opens; it may close on the next day */
  readonly day: WindowDay
  /** after midnight, below MINUTES_PER_DAY */
  readonly startMinutes: number
  /** the same; not later than the start = on the next day. Never equal to the start. */
  readonly stopMinutes: number
}

/** One opening of a window. */
export interface WindowSpan {
  readonly window: WeeklyWindow
  readonly startSeconds: number
  /** the first second at which it is closed again */
  readonly endSeconds: number
}

/** A date of the calendar, without a zone. */
interface Day {
  readonly year: number
  readonly month: number
  readonly day: number
}

const SECONDS_PER_MINUTE = 60
const SECONDS_PER_DAY = 86_400
/** A window of the day before may be open still; and a clock that is put back over midnight shows yesterday again. */
const DAYS_AROUND = [-1, 0, 1]
const DAYS_AHEAD = [-1, 0, 1, 2, 3, 4, 5, 6, 7, 8]

/**
 * The window that is open, and until when; of several the one that closes last.
 * @param zone an IANA name that localZone() has given, or another that luxon knows
 */
export function windowAt(
  windows: Iterable<WeeklyWindow>,
  nowSeconds: number,
  zone: string,
): WindowSpan | undefined {
  let found: WindowSpan | undefined
  for (const span of spans(windows, nowSeconds, zone, DAYS_AROUND)) {
    if (span.startSeconds > nowSeconds || span.endSeconds <= nowSeconds) continue
    if (found === undefined || span.endSeconds > found.endSeconds) found = span
  }
  return found
}

/** The opening that comes next, also when one is open now. */
export function nextOpening(
  windows: Iterable<WeeklyWindow>,
  nowSeconds: number,
  zone: string,
): WindowSpan | undefined {
  let found: WindowSpan | undefined
  for (const span of spans(windows, nowSeconds, zone, DAYS_AHEAD)) {
    if (span.startSeconds <= nowSeconds) continue
    if (found === undefined || span.startSeconds < found.startSeconds) found = span
  }
  return found
}

/** The zone that this machine's clock on the wall goes by. Node looks at TZ and /etc/localtime once, when it starts. */
export function localZone(): string {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions()
  // An odd TZ makes a zone that has no name; Node's own dates go by UTC then.
  return DateTime.fromSeconds(0, { zone: timeZone }).isValid ? timeZone : 'UTC'
}

function* spans(
  windows: Iterable<WeeklyWindow>,
  nowSeconds: number,
  zone: string,
  days: readonly number[],
): Iterable<WindowSpan> {
  const now = DateTime.fromSeconds(nowSeconds, { zone })
  if (!now.isValid) throw new RangeError(`no time of a known zone: ${nowSeconds} ${zone}`)
  const dates = days.map(offset => dateAfter(now, offset))
  for (const window of windows) {
    for (const { weekday, date, next } of dates) {
      if ((WEEKDAYS[window.day] as readonly number[]).includes(weekday)) {
        yield spanOn(window, date, next, zone)
      }
    }
  }
}

function dateAfter(now: DateTime, days: number): { weekday: number; date: Day; next: Day } {
  // Days are counted in UTC, where each has 24 hours and none is missing.
  const date = DateTime.utc(now.year, now.month, now.day).plus({ days })
  return { weekday: date.weekday, date, next: date.plus({ days: 1 }) }
}

function spanOn(window: WeeklyWindow, date: Day, next: Day, zone: string): WindowSpan {
  const { startMinutes, stopMinutes } = window
  const passesMidnight = stopMinutes < startMinutes
  const startSeconds = firstMoment(date, startMinutes, zone)
  const stopSeconds = firstMoment(passesMidnight ? next : date, stopMinutes, zone)
  if (stopSeconds > startSeconds) return { window, startSeconds, endSeconds: stopSeconds }
  // The whole window lies in an hour that is missing: it is moved behind it.
  const minutes = stopMinutes - startMinutes + (passesMidnight ? MINUTES_PER_DAY : 0)
  return { window, startSeconds, endSeconds: startSeconds + minutes * SECONDS_PER_MINUTE }
}

/** The first second at which the zone's clock shows this time of this date, or a later one. */
function firstMoment({ year, month, day }: Day, minutes: number, zone: string): number {
  const wall = DateTime.utc(year, month, day).toUnixInteger() + minutes * SECONDS_PER_MINUTE
  const before = offsetAt(wall - SECONDS_PER_DAY, zone)
  const after = offsetAt(wall + SECONDS_PER_DAY, zone)
  // Put back, the clock shows it twice: the greater offset's comes first.
  for (const offset of [Math.max(before, after), Math.min(before, after)]) {
    if (offsetAt(wall - offset, zone) === offset) return wall - offset
  }
  // Put forward, it never shows it: look for the moment of the jump.
  let low = wall - Math.max(before, after)
  let high = wall - Math.min(before, after)
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (middle + offsetAt(middle, zone) < wall) low = middle
    else high = middle
  }
  return high
}

function offsetAt(seconds: number, zone: string): number {
  return DateTime.fromSeconds(seconds, { zone }).offset * SECONDS_PER_MINUTE
}
