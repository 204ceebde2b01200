// What mail needs to survive a restart: the settings, and the notices that wait. All of it joins the one commit, so an
// alert and its notice become durable together.

import { z } from 'zod'
import { keyNumber, packJson, parseJson, prefixEnd, TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'
import { mailNotice, mailSettings } from './mail-settings.ts'
import type { MailNotice, MailSettings } from './mail-settings.ts'

/** More than that nobody reads after an outage; the oldest go, and the next mail says how many. */
export const NOTICES_MAX = 500
const RECORD_VERSION = 1
const STATE_KEY = Buffer.of(TABLE.mail, ...Buffer.from('state'))
const NOTICE_PREFIX = Buffer.of(TABLE.mail, ...Buffer.from('N'))

const storedState = z.object({
  settings: mailSettings.nullable(),
  isEnabled: z.boolean(),
  droppedCount: z.int().nonnegative(),
})

type State = z.output<typeof storedState>

export interface WaitingNotice extends MailNotice {
  readonly index: number
}

export class MailBook implements CommitParticipant {
  readonly #touched: () => void
  #state: State = { settings: null, isEnabled: false, droppedCount: 0 }
  #waiting: WaitingNotice[] = []
  #next = 1
  #isStateChanged = false
  #added = new Map<number, WaitingNotice>()
  #removed = new Set<number>()

  /** @param touched there is something to commit */
  constructor(touched: () => void) {
    this.#touched = touched
  }

  /** @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED */
  async load(metadata: MetadataReader): Promise<void> {
    const record = metadata.get(STATE_KEY)
    if (record !== undefined) this.#state = parse(storedState, record)
    for await (const { key, value } of metadata.range(NOTICE_PREFIX, prefixEnd(NOTICE_PREFIX))) {
      const index = keyNumber(key, 8, NOTICE_PREFIX.length)
      this.#waiting.push({ ...parse(mailNotice, value), index })
      this.#next = index + 1
    }
  }

  get settings(): MailSettings | null {
    return this.#state.settings
  }

  get isEnabled(): boolean {
    return this.#state.isEnabled
  }

  /** Notices that the bound pushed out since the last mail. */
  get droppedCount(): number {
    return this.#state.droppedCount
  }

  /** Oldest first. */
  get waiting(): readonly WaitingNotice[] {
    return this.#waiting
  }

  configure(settings: MailSettings): void {
    this.#changeState({ ...this.#state, settings })
  }

  setEnabled(isEnabled: boolean): void {
    this.#changeState({ ...this.#state, isEnabled })
  }

  /** Settings, and whatever waits for them. */
  clearConfig(): void {
    this.delivered(this.#waiting)
    this.#changeState({ settings: null, isEnabled: false, droppedCount: 0 })
  }

  add(notice: MailNotice): void {
    const waiting = { ...notice, index: this.#next++ }
    this.#waiting.push(waiting)
    this.#added.set(waiting.index, waiting)
    const oldest = this.#waiting.length > NOTICES_MAX ? this.#waiting.shift() : undefined
    if (oldest !== undefined) {
      this.#forget(oldest.index)
      this.#changeState({ ...this.#state, droppedCount: this.#state.droppedCount + 1 })
    }
    this.#touched()
  }

  /** @param droppedCount what the mail said of dropped notices */
  delivered(notices: readonly WaitingNotice[], droppedCount = 0): void {
    const gone = new Set(notices.map(({ index }) => index))
    this.#waiting = this.#waiting.filter(({ index }) => !gone.has(index))
    for (const index of gone) this.#forget(index)
    const left = Math.max(0, this.#state.droppedCount - droppedCount)
    this.#changeState({ ...this.#state, droppedCount: left })
  }

  collect(batch: MetadataWriter): void {
    if (this.#isStateChanged) batch.put(STATE_KEY, pack(this.#state))
    for (const [index, { index: _, ...notice }] of this.#added) {
      batch.put(noticeKey(index), pack(notice))
    }
    for (const index of this.#removed) batch.delete(noticeKey(index))
    this.#isStateChanged = false
    this.#added = new Map()
    this.#removed = new Set()
  }

  settled(): void {}

  #changeState(state: State): void {
    this.#state = state
    this.#isStateChanged = true
    this.#touched()
  }

  #forget(index: number): void {
    this.#added.delete(index)
    this.#removed.add(index)
  }
}

function noticeKey(index: number): Buffer {
  const number = Buffer.alloc(8)
  number.writeBigUInt64BE(BigInt(index))
  return Buffer.concat([NOTICE_PREFIX, number])
}

function pack(value: unknown): Buffer {
  return packJson(RECORD_VERSION, value)
}

function parse<Schema extends z.ZodType>(schema: Schema, record: Uint8Array): z.output<Schema> {
  return parseJson(schema, record, RECORD_VERSION, 'record of the mail queue')
}
