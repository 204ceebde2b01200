// Durations in days, as people write them.

import { UsageError } from './exit-codes.ts'

/** A year of the limit "70 years = 25,567 days": with its share of leap days, rounded down over the whole. */
const DAYS_PER_YEAR = 365.25
const daysPerUnit = new Map<string, number>([
  ['', 1],
  ['d', 1],
  ['day', 1],
  ['days', 1],
  ['w', 7],
  ['week', 7],
  ['weeks', 7],
  ['y', DAYS_PER_YEAR],
  ['year', DAYS_PER_YEAR],
  ['years', DAYS_PER_YEAR],
])

/** Whole days of `30`, `30d`, `7 days`, `70y`. @throws UsageError for anything else: a unit is never guessed */
export function parseDays(text: string): number {
  const [, digits, unit] = /^\s*(\d{1,9})\s*([a-z]*)\s*$/i.exec(text) ?? []
  const factor = daysPerUnit.get((unit ?? '').toLowerCase())
  if (digits === undefined || factor === undefined) {
    throw new UsageError(
      `${JSON.stringify(text)} is no number of days; write for example 30d or 2 years.`,
    )
  }
  return Math.floor(Number(digits) * factor)
}

const SECONDS_PER_MINUTE = 60
const SECONDS_PER_HOUR = 3600
const SECONDS_PER_DAY = 24 * SECONDS_PER_HOUR
const secondsPerUnit = new Map<string, number>([
  ['s', 1],
  ['m', SECONDS_PER_MINUTE],
  ['min', SECONDS_PER_MINUTE],
  ['h', SECONDS_PER_HOUR],
  ['hour', SECONDS_PER_HOUR],
  ['hours', SECONDS_PER_HOUR],
  ['d', SECONDS_PER_DAY],
  ['day', SECONDS_PER_DAY],
  ['days', SECONDS_PER_DAY],
  ['w', 7 * SECONDS_PER_DAY],
])

/** Seconds of `90s`, `30m`, `24h`, `7d`, and of `0`. @throws UsageError for anything else: a unit is never guessed */
export function parseSeconds(text: string): number {
  const [, digits, unit] = /^\s*(\d{1,9})\s*([a-z]*)\s*$/i.exec(text) ?? []
  if (digits !== undefined && unit === '' && Number(digits) === 0) return 0
  const factor = secondsPerUnit.get((unit ?? '').toLowerCase())
  if (digits === undefined || factor === undefined) {
    throw new UsageError(`${JSON.stringify(text)} is no duration; write for example 24h or 7d.`)
  }
  return Number(digits) * factor
}
