// The windows that the store keeps: what survives a restart, what is refused, and that answers are remembered correctly.

import fc from 'fast-check'
import t from 'tap'
import { ScheduleBook, WINDOWS_MAX } from '../../src/cleaner/schedule-book.ts'
import { windowAt, windowDays } from '../../src/cleaner/schedule.ts'
import { MemoryMetadata } from '../helpers/memory-metadata.ts'

const ZONE = 'Europe/Berlin'
const night = { purpose: 'cleaner', day: 'daily', startMinutes: 60, stopMinutes: 300 } as const

function open(metadata: MemoryMetadata): ScheduleBook {
  const book = new ScheduleBook(metadata, ZONE)
  metadata.participants.splice(0, Number.POSITIVE_INFINITY, book)
  return book
}

t.test('windows of every day survive a restart, and ids are not used again', async t => {
  const metadata = new MemoryMetadata()
  const book = open(metadata)
  await metadata.commit()
  t.equal(metadata.records.size, 0, 'no record without windows')
  for (const day of windowDays)
    book.add({ purpose: 'cleaner', day, startMinutes: 1439, stopMinutes: 0 })
  book.delete(10)
  await metadata.commit()
  const again = open(metadata)
  t.same(again.windows, book.windows)
  t.equal(again.windows.length, 9)
  t.equal(again.add(night).id, 11)
})

t.test('what makes no sense is refused', async t => {
  const book = open(new MemoryMetadata())
  book.add(night)
  t.throws(() => book.add({ ...night, stopMinutes: 60 }), { code: 'SCHEDULE_EMPTY' })
  t.throws(() => book.add(night), { code: 'SCHEDULE_EXISTS' })
  t.throws(() => book.add({ ...night, stopMinutes: 1440 }), RangeError)
  t.throws(() => book.delete(2), { code: 'SCHEDULE_NOT_FOUND' })
  for (let minute = 1; minute < WINDOWS_MAX; minute++) {
    book.add({ ...night, startMinutes: 400 + minute })
  }
  t.throws(() => book.add({ ...night, day: 'monday' }), { code: 'SCHEDULE_LIMIT' })
  t.equal(book.windows.length, WINDOWS_MAX)
})

t.test('windows for scans and for the cleaner are kept apart', async t => {
  const metadata = new MemoryMetadata()
  const book = open(metadata)
  book.add(night)
  const scans = { ...night, purpose: 'scan' } as const
  t.equal(book.add({ ...scans, startMinutes: 120 }).id, 2)
  book.add(scans)
  t.throws(() => book.add(scans), { code: 'SCHEDULE_EXISTS' })
  await metadata.commit()
  const again = open(metadata)
  t.same(again.windows, book.windows)
  const midnight = Date.parse('2026-11-22T23:00Z') / 1000
  t.equal(again.openAt('scan', midnight + 3600)?.window.id, 3)
  t.equal(again.openAt('cleaner', midnight + 3600)?.window.id, 1)
  again.delete(1)
  t.equal(again.openAt('cleaner', midnight + 3600), undefined)
  t.equal(again.nextAfter('cleaner', midnight), undefined)
  t.equal(again.nextAfter('scan', midnight)?.startSeconds, midnight + 3600)
})

t.test('a record that was not written by us is refused', async t => {
  const metadata = new MemoryMetadata()
  const book = open(metadata)
  book.add(night)
  book.add({ ...night, day: 'weekend' })
  await metadata.commit()
  const [[key, good] = ['', new Uint8Array()]] = metadata.records
  const changes: [name: string, change: (record: Buffer) => Buffer][] = [
    ['cut off', record => record.subarray(0, -1)],
    ['empty', record => record.subarray(0, 1)],
    ['longer', record => Buffer.concat([record, Buffer.of(0)])],
    ['more windows than there are', record => edit(record, 5, 3)],
    [
      'more windows than may be',
      record => Buffer.concat([edit(record, 5, 200), Buffer.alloc(1782)]),
    ],
    ['an id twice', record => edit(record, 6 + 9, 1)],
    ['an id of 0', record => edit(record, 6, 0)],
    ['the next id is taken', record => edit(record, 1, 2)],
    ['no day', record => edit(record, 6 + 4, 10)],
    ['no time', record => edit(record, 6 + 6, 0xff)],
    ['no length', record => edit(edit(record, 6 + 7, 60), 6 + 8, 0)],
  ]
  for (const [name, change] of changes) {
    metadata.records.set(key, change(Buffer.from(good)))
    t.throws(() => open(metadata), { code: 'RECORD_DAMAGED' }, name)
  }
  metadata.records.set(key, edit(Buffer.from(good), 0, 2))
  t.throws(() => open(metadata), { code: 'RECORD_DAMAGED' }, 'no window is for scans')
  metadata.records.set(key, edit(Buffer.from(good), 6 + 4, 0x80))
  t.throws(() => open(metadata), { code: 'RECORD_DAMAGED' }, 'a window is for scans')
  metadata.records.set(key, edit(Buffer.from(good), 0, 3))
  t.throws(() => open(metadata), { code: 'UNKNOWN_VERSION' })
})

t.test('remembered answers are those that would be found', async t => {
  const time = fc.integer({ min: 0, max: 1439 })
  const windows = fc.array(
    fc.record({
      purpose: fc.constant('cleaner' as const),
      day: fc.constantFrom(...windowDays),
      startMinutes: time,
      stopMinutes: time,
    }),
    { maxLength: 5 },
  )
  // Steps back too: a clock may be set.
  const steps = fc.array(fc.integer({ min: -20_000, max: 40_000 }), { maxLength: 60 })
  const property = fc.property(windows, steps, (given, steps) => {
    const book = open(new MemoryMetadata())
    let now = Date.parse('2026-10-23T12:00Z') / 1000
    for (const [index, step] of steps.entries()) {
      const window = given[index / 8]
      if (window !== undefined && window.startMinutes !== window.stopMinutes) {
        if (book.windows.every(({ day }) => day !== window.day)) book.add(window)
      }
      now += step
      const found = windowAt(book.windows, now, ZONE)
      if (found?.endSeconds !== book.openAt('cleaner', now)?.endSeconds)
        throw new Error(`at ${now}`)
    }
  })
  t.doesNotThrow(() => fc.assert(property, { numRuns: 50 }))
})

function edit(record: Buffer, at: number, value: number): Buffer {
  record[at] = value
  return record
}
