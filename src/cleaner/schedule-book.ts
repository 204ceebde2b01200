// The cleaner's weekly windows as the store keeps them: one record, since they are few and change together.

import { CofferError, StoreError } from '../errors.ts'
import { TABLE } from '../metadata/index.ts'
import type {
  CommitParticipant,
  Committer,
  MetadataReader,
  MetadataWriter,
} from '../metadata/index.ts'
import { MINUTES_PER_DAY, nextOpening, windowAt } from './schedule.ts'
import type { CleanerWindow, WindowDay, WindowSpan } from './schedule.ts'

/** Seven days with a few windows each, and then some. */
export const WINDOWS_MAX = 64

const KEY = Buffer.of(TABLE.schedule, ...Buffer.from('cleaner'))
//  0 1 version   1 4 next id   5 1 count   then per window, by ascending id:
//  0 4 id   4 1 day   5 2 start   7 2 stop      (minutes after midnight)
const RECORD_VERSION = 1
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
  readonly #windows = new Map<number, CleanerWindow>()
  #nextId = 1
  #isChanged = false
  #answer: Answer | undefined

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
  get windows(): readonly CleanerWindow[] {
    return [...this.#windows.values()]
  }

  /** @throws CofferError SCHEDULE_EMPTY, SCHEDULE_EXISTS, SCHEDULE_LIMIT */
  add(given: Omit<CleanerWindow, 'id'>): CleanerWindow {
    if (!isTime(given.startMinutes) || !isTime(given.stopMinutes)) {
      throw new RangeError('no minute of a day')
    }
    if (given.startMinutes === given.stopMinutes) {
      const text = 'A window that stops when it starts is empty; give two times.'
      throw new CofferError('SCHEDULE_EMPTY', text)
    }
    for (const { id, day, startMinutes, stopMinutes } of this.#windows.values()) {
      if (day !== given.day || startMinutes !== given.startMinutes) continue
      if (stopMinutes !== given.stopMinutes) continue
      throw new CofferError('SCHEDULE_EXISTS', `Window ${id} says the same already.`)
    }
    if (this.#windows.size >= WINDOWS_MAX || this.#nextId >= ID_MAX) {
      throw new CofferError(
        'SCHEDULE_LIMIT',
        `There are ${WINDOWS_MAX} windows already; delete one with "coffer schedule delete ID".`,
      )
    }
    const { day, startMinutes, stopMinutes } = given
    const window = { id: this.#nextId++, day, startMinutes, stopMinutes }
    this.#windows.set(window.id, window)
    this.#changed()
    return window
  }

  /** @returns the window that is gone. @throws CofferError SCHEDULE_NOT_FOUND */
  delete(id: number): CleanerWindow {
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
  openAt(nowSeconds: number): WindowSpan | undefined {
    const answer = this.#answer
    if (answer !== undefined && nowSeconds >= answer.sinceSeconds) {
      if (nowSeconds < answer.untilSeconds) return answer.span
    }
    const span = windowAt(this.#windows.values(), nowSeconds, this.zone)
    // Another window that opens meanwhile may close later.
    const next = this.nextAfter(nowSeconds)?.startSeconds ?? Number.POSITIVE_INFINITY
    const untilSeconds = Math.min(next, span?.endSeconds ?? next)
    this.#answer = { sinceSeconds: nowSeconds, untilSeconds, span }
    return span
  }

  /** The opening that comes next, also when a window is open now. */
  nextAfter(nowSeconds: number): WindowSpan | undefined {
    return nextOpening(this.#windows.values(), nowSeconds, this.zone)
  }

  collect(batch: MetadataWriter): void {
    if (this.#isChanged) batch.put(KEY, pack(this.#nextId, this.windows))
    this.#isChanged = false
  }

  settled(): void {}

  #changed(): void {
    this.#isChanged = true
    this.#answer = undefined
    this.#touched()
  }
}

function pack(nextId: number, windows: readonly CleanerWindow[]): Buffer {
  const record = Buffer.alloc(HEAD_BYTES + windows.length * WINDOW_BYTES)
  record[0] = RECORD_VERSION
  record.writeUInt32LE(nextId, 1)
  record[5] = windows.length
  for (const [index, { id, day, startMinutes, stopMinutes }] of windows.entries()) {
    const at = HEAD_BYTES + index * WINDOW_BYTES
    record.writeUInt32LE(id, at)
    record[at + 4] = DAYS.indexOf(day)
    record.writeUInt16LE(startMinutes, at + 5)
    record.writeUInt16LE(stopMinutes, at + 7)
  }
  return record
}

/** Refuses whatever `pack` would not write. */
function parse(record: Buffer): { nextId: number; windows: CleanerWindow[] } {
  if (record[0] !== RECORD_VERSION) {
    throw new StoreError('UNKNOWN_VERSION', "The cleaner's schedule is of an unknown version.")
  }
  const count = record[5] ?? 0
  if (count > WINDOWS_MAX || record.length !== HEAD_BYTES + count * WINDOW_BYTES) throw damaged()
  const nextId = record.readUInt32LE(1)
  const windows: CleanerWindow[] = []
  let lastId = 0
  for (let at = HEAD_BYTES; at < record.length; at += WINDOW_BYTES) {
    const id = record.readUInt32LE(at)
    const day = DAYS[record[at + 4] ?? DAYS.length]
    const startMinutes = record.readUInt16LE(at + 5)
    const stopMinutes = record.readUInt16LE(at + 7)
    if (id <= lastId || day === undefined || startMinutes === stopMinutes) throw damaged()
    if (!isTime(startMinutes) || !isTime(stopMinutes)) throw damaged()
    windows.push({ id, day, startMinutes, stopMinutes })
    lastId = id
  }
  if (nextId <= lastId) throw damaged()
  return { nextId, windows }
}

function isTime(minutes: number): boolean {
  return Number.isInteger(minutes) && minutes >= 0 && minutes < MINUTES_PER_DAY
}

function damaged(): StoreError {
  return new StoreError('RECORD_DAMAGED', "The cleaner's schedule is damaged.")
}
