// The schedule's methods on a metadata store in memory, at a time that stands still.

import { ScheduleBook } from '../../src/cleaner/index.ts'
import { scheduleMethods } from '../../src/daemon/schedule-methods.ts'
import { MemoryMetadata } from '../helpers/memory-metadata.ts'

/** A Monday, 00:30 in Berlin. */
const now = new Date('2026-11-22T23:30:00Z')

export function fakeSchedule() {
  const metadata = new MemoryMetadata()
  return scheduleMethods({
    schedules: new ScheduleBook(metadata, 'Europe/Berlin'),
    record: () => undefined,
    commit: () => metadata.commit(),
    now: () => now,
  })
}
