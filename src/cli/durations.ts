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
