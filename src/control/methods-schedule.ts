// Control methods of the weekly windows of the cleaner and of scans.

import { z } from 'zod'

import { isoTime, nothing } from './schemas.ts'

const day = z.enum([
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
])
const time = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'is not a time; write hh:mm, 00:00 to 23:59')

const purpose = z.enum(['cleaner', 'scan'])
const windowId = z.int().positive()

const window = z.object({
  id: windowId,
  purpose: purpose.describe('scan: all data is read, and the scan goes on in the next window'),
  day,
  start: time,
  stop: time.describe('not later than the start: on the next day'),
})

const opening = z.object({ id: windowId, opensAt: isoTime, closesAt: isoTime })

export const scheduleMethods = {
  'schedule.show': {
    summary: 'The weekly windows, which one is open and which one opens next.',
    params: nothing,
    result: z.object({
      zone: z.string().describe('the time zone of the windows'),
      windows: z.array(window),
      open: opening.nullable().describe('of the cleaner'),
      next: opening.nullable().describe('of the cleaner'),
      scanOpen: opening.nullable(),
      scanNext: opening.nullable(),
    }),
  },
  'schedule.add': {
    summary:
      "Give the cleaner, or scans of all data, a weekly window. Times are the daemon's local time.",
    params: z.strictObject({ purpose: purpose.default('cleaner'), day, start: time, stop: time }),
    result: window,
  },
  'schedule.delete': {
    summary: 'Take a window away. A pass that runs in it stops, and a scan waits for the next one.',
    params: z.strictObject({ id: windowId }),
    result: nothing,
  },
} as const

export type ScheduleWindow = z.output<typeof window>
