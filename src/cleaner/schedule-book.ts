// The weekly windows of the cleaner and of scans as the store keeps them: one record, since they are few and change together.

import { CofferError, StoreError } from '../errors.ts'
import { TABLE } from '../metadata/index.ts'
import type {
  CommitParticipant,
  Committer,
  MetadataReader,
  MetadataWriter,
} from '../metadata/index.ts'
import { MINUTES_PER_DAY, nextOpening, windowAt } from './schedule.ts'
import type { WeeklyWindow, WindowDay, WindowPurpose, WindowSpan } from './schedule.ts'

/** Seven days with a few windows each, and then some. */
export const WINDOWS_MAX = 64

const KEY = Buffer.of(TABLE.schedule, ...Buffer.from('cleaner'))
//  0 1 version   1 4 next id   5 1 count   then per window, by ascending id:
//  0 4 id   4 1 day   5 2 start   7 2 stop      (minutes after midnight)
const RECORD_VERSION = 1
/** A window is for scans: the day has SCAN_BIT. Without one the record is of the version before. */
const SCANS_RECORD_VERSION = 2
const SCAN_BIT = 0x80
const HEAD_BYTES = 6
const WINDOW_BYTES = 9
const ID_MAX = 2 ** 32 - 1

/** By the day's byte. The order is on disk. */
const DAYS: readonly WindowDay[] = [
  'daily',
  'monday',
  'tuesday',
  'wednesday',
  'thursday',
  'friday',
  'saturday',
  'sunday',
  'weekdays',
  'weekend',
]

/** An answer of openAt, and how long it holds. */
interface Answer {
  readonly sinceSeconds: number
  readonly untilSeconds: number
  readonly span: WindowSpan | undefined
}

export class ScheduleBook implements CommitParticipant {
  /** what the windows' times are times of */
  readonly zone: string
  readonly #touched: () => void
  readonly #windows = new Map<number, WeeklyWindow>()
  #nextId = 1
  #isChanged = false
  readonly #answers = new Map<WindowPurpose, Answer>()

  /**
   * @param zone see localZone()
   * @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED
   */
  constructor(metadata: MetadataReader & Pick<Committer, 'touched'>, zone: string) {
    this.zone = zone
    this.#touched = () => metadata.touched()
    const record = metadata.get(KEY)
    if (record === undefined) return
    const { nextId, windows } = parse(Buffer.from(record))
    this.#nextId = nextId
    for (const window of windows) this.#windows.set(window.id, window)
  }

  /** By ascending id. */
  get windows(): readonly WeeklyWindow[] {
    return [...this.#windows.values()]
  }

  /** @throws CofferError SCHEDULE_EMPTY, SCHEDULE_EXISTS, SCHEDULE_LIMIT */
  add(given: Omit<WeeklyWindow, 'id'>): WeeklyWindow {
    if (!isTime(given.startMinutes) || !isTime(given.stopMinutes)) {
      throw new RangeError('no minute of a day')
    }
    if (given.startMinutes === given.stopMinutes) {
      const text = 'A window that stops when it starts is empty; give two times.'
      throw new CofferError('SCHEDULE_EMPTY', text)
    }
    for (const { id, purpose, day, startMinutes, stopMinutes } of this.#windows.values()) {
      if (purpose !== given.purpose || day !== given.day || startMinutes !== given.startMinutes)
        continue
      if (stopMinutes !== given.stopMinutes) continue
      throw new CofferError('SCHEDULE_EXISTS', `Window ${id} says the same already.`)
    }
    if (this.#windows.size >= WINDOWS_MAX || this.#nextId >= ID_MAX) {
      throw new CofferError(
        'SCHEDULE_LIMIT',
        `There are ${WINDOWS_MAX} windows already; delete one with "coffer schedule delete ID".`,
      )
    }
    const { purpose, day, startMinutes, stopMinutes } = given
    const window = { id: this.#nextId++, purpose, day, startMinutes, stopMinutes }
    this.#windows.set(window.id, window)
    this.#changed()
    return window
  }

  /** @returns the window that is gone. @throws CofferError SCHEDULE_NOT_FOUND */
  delete(id: number): WeeklyWindow {
    const window = this.#windows.get(id)
    if (window === undefined) {
      throw new CofferError(
        'SCHEDULE_NOT_FOUND',
        `There is no window ${id}; "coffer schedule show" lists them.`,
      )
    }
    this.#windows.delete(id)
    this.#changed()
    return window
  }

  /** The window that is open and until when. Cheap enough to be asked every second. */
  openAt(purpose: WindowPurpose, nowSeconds: number): WindowSpan | undefined {
    const answer = this.#answers.get(purpose)
    if (answer !== undefined && nowSeconds >= answer.sinceSeconds) {
      if (nowSeconds < answer.untilSeconds) return answer.span
    }
    const span = windowAt(this.#windowsFor(purpose), nowSeconds, this.zone)
    // Another window that opens meanwhile may close later.
    const next = this.nextAfter(purpose, nowSeconds)?.startSeconds ?? Number.POSITIVE_INFINITY
    const untilSeconds = Math.min(next, span?.endSeconds ?? next)
    this.#answers.set(purpose, { sinceSeconds: nowSeconds, untilSeconds, span })
    return span
  }

  /** The opening that comes next, also when a window is open now. */
  nextAfter(purpose: WindowPurpose, nowSeconds: number): WindowSpan | undefined {
    return nextOpening(this.#windowsFor(purpose), nowSeconds, this.zone)
  }

  collect(batch: MetadataWriter): void {
    if (this.#isChanged) batch.put(KEY, pack(this.#nextId, this.windows))
    this.#isChanged = false
  }

  settled(): void {}

  #changed(): void {
    this.#isChanged = true
    this.#answers.clear()
    this.#touched()
  }

  #windowsFor(purpose: WindowPurpose): WeeklyWindow[] {
    return this.windows.filter(window => window.purpose === purpose)
  }
}

function pack(nextId: number, windows: readonly WeeklyWindow[]): Buffer {
  const record = Buffer.alloc(HEAD_BYTES + windows.length * WINDOW_BYTES)
  const isForScans = windows.some(({ purpose }) => purpose === 'scan')
  record[0] = isForScans ? SCANS_RECORD_VERSION : RECORD_VERSION
  record.writeUInt32LE(nextId, 1)
  record[5] = windows.length
  for (const [index, { id, purpose, day, startMinutes, stopMinutes }] of windows.entries()) {
    const at = HEAD_BYTES + index * WINDOW_BYTES
    record.writeUInt32LE(id, at)
    record[at + 4] = DAYS.indexOf(day) | (purpose === 'scan' ? SCAN_BIT : 0)
    record.writeUInt16LE(startMinutes, at + 5)
    record.writeUInt16LE(stopMinutes, at + 7)
  }
  return record
}

/** Refuses whatever `pack` would not write. */
function parse(record: Buffer): { nextId: number; windows: WeeklyWindow[] } {
  const version = record[0]
  if (version !== RECORD_VERSION && version !== SCANS_RECORD_VERSION) {
    throw new StoreError('UNKNOWN_VERSION', 'The schedule is of an unknown version.')
  }
  const count = record[5] ?? 0
  if (count > WINDOWS_MAX || record.length !== HEAD_BYTES + count * WINDOW_BYTES) throw damaged()
  const nextId = record.readUInt32LE(1)
  const windows: WeeklyWindow[] = []
  let lastId = 0
  for (let at = HEAD_BYTES; at < record.length; at += WINDOW_BYTES) {
    const id = record.readUInt32LE(at)
    const isForScans = ((record[at + 4] ?? 0) & SCAN_BIT) !== 0
    const day = DAYS[(record[at + 4] ?? DAYS.length) & ~SCAN_BIT]
    const startMinutes = record.readUInt16LE(at + 5)
    const stopMinutes = record.readUInt16LE(at + 7)
    if (id <= lastId || day === undefined || startMinutes === stopMinutes) throw damaged()
    if (!isTime(startMinutes) || !isTime(stopMinutes)) throw damaged()
    const purpose = isForScans ? 'scan' : 'cleaner'
    windows.push({ id, purpose, day, startMinutes, stopMinutes })
    lastId = id
  }
  if (nextId <= lastId) throw damaged()
  const hasScans = windows.some(({ purpose }) => purpose === 'scan')
  if (hasScans !== (version === SCANS_RECORD_VERSION)) throw damaged()
  return { nextId, windows }
}

function isTime(minutes: number): boolean {
  return Number.isInteger(minutes) && minutes >= 0 && minutes < MINUTES_PER_DAY
}

function damaged(): StoreError {
  return new StoreError('RECORD_DAMAGED', 'The schedule is damaged.')
}
