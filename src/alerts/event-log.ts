// The history: what happened, numbered, kept over restarts, bounded. Alerts say what is wrong now, events how it came.

import { z } from 'zod'
import { keyNumber, packJson, parseJson, prefixEnd, TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'
import type { AlertCode, Severity } from './kinds.ts'

/** Noteworthy actions; alerts are events under their own code. */
export type ActionCode =
  | 'ALERT_ACKNOWLEDGED'
  | 'DAEMON_STARTED'
  | 'DAEMON_STOPPED'
  | 'STORE_NEW'
  | 'MOUNT_NOT_EMPTY'
  | 'GROUP_ADDED'
  | 'GROUP_CHANGED'
  | 'GROUP_DELETED'
  | 'GROUP_UNLOCKED'
  | 'CONTAINER_ADDED'
  | 'CONTAINER_RENAMED'
  | 'CONTAINER_DELETED'
  | 'CLEANER_PASS'
  | 'STORE_UPGRADED'
  | 'TRASH_EMPTIED'
  | 'FREEING_UNDONE'
  | 'INDEX_REBUILT'
  | 'SCAN_ENDED'
  | 'REPAIR_ENDED'
  | 'QUARANTINE_CLEARED'
  | 'SCHEDULE_CHANGED'
  | 'EMAIL_SETTINGS'
  | 'DIAGNOSTICS_COLLECTED'

export type EventCode = AlertCode | ActionCode

export interface CofferEvent {
  /** from 1, rising, never reused */
  readonly index: number
  /** seconds since 1970 */
  readonly timeSeconds: number
  readonly code: string
  readonly severity: Severity
  readonly text: string
}

export interface EventSelection {
  /** first event; a negative one counts from the end: -1 is the newest. Without it: the newest `count` */
  readonly index?: number
  /** at most so many */
  readonly count: number
}

/** Months of history on a quiet store; some 2 MB in memory. */
export const EVENTS_MAX = 10_000
const TEXT_CHARACTERS_MAX = 2000
const RECORD_VERSION = 1
const KEY_BYTES = 9

const storedEvent = z.object({
  timeSeconds: z.number(),
  code: z.string(),
  severity: z.enum(['info', 'warning', 'critical']),
  text: z.string(),
})

export interface EventLogOptions {
  readonly nowSeconds: () => number
  /** there is something to commit */
  readonly touched: () => void
  /** for the daemon's log */
  readonly recorded?: (event: CofferEvent) => void
}

export class EventLog implements CommitParticipant {
  readonly #options: EventLogOptions
  #events: CofferEvent[] = []
  #next = 1
  #added: CofferEvent[] = []
  #dropped: number[] = []

  constructor(options: EventLogOptions) {
    this.#options = options
  }

  /** @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED */
  async load(metadata: MetadataReader): Promise<void> {
    const prefix = Buffer.of(TABLE.event)
    for await (const { key, value } of metadata.range(prefix, prefixEnd(prefix))) {
      const index = keyNumber(key, 8)
      const event = parseJson(storedEvent, value, RECORD_VERSION, `record of event ${index}`)
      this.#events.push({ index, ...event })
      this.#next = index + 1
    }
  }

  record(code: EventCode, severity: Severity, text: string): void {
    const event: CofferEvent = {
      index: this.#next++,
      timeSeconds: this.#options.nowSeconds(),
      code,
      severity,
      text: text.slice(0, TEXT_CHARACTERS_MAX),
    }
    this.#events.push(event)
    this.#added.push(event)
    const oldest = this.#events.length > EVENTS_MAX ? this.#events.shift() : undefined
    if (oldest !== undefined) this.#dropped.push(oldest.index)
    this.#options.recorded?.(event)
    this.#options.touched()
  }

  /** Ascending. */
  select({ index, count }: EventSelection): CofferEvent[] {
    if (index === undefined) return this.#events.slice(-count)
    const from = index < 0 ? Math.max(0, this.#events.length + index) : this.#placeOf(index)
    return this.#events.slice(from, from + count)
  }

  get newest(): CofferEvent | undefined {
    return this.#events.at(-1)
  }

  collect(batch: MetadataWriter): void {
    for (const { index, ...event } of this.#added) {
      batch.put(eventKey(index), packJson(RECORD_VERSION, event))
    }
    for (const index of this.#dropped) batch.delete(eventKey(index))
    this.#added = []
    this.#dropped = []
  }

  settled(): void {}

  #placeOf(index: number): number {
    const place = this.#events.findIndex(event => event.index >= index)
    return place === -1 ? this.#events.length : place
  }
}

function eventKey(index: number): Buffer {
  const key = Buffer.alloc(KEY_BYTES)
  key[0] = TABLE.event
  key.writeBigUInt64BE(BigInt(index), 1)
  return key
}
