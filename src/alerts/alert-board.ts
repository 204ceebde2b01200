// The alerts: conditions that hold now and need somebody. Raised once, cleared when they end, kept over restarts.

import { z } from 'zod'
import { StoreError } from '../errors.ts'
import { packJson, parseJson, prefixEnd, TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'
import type { EventCode } from './event-log.ts'
import { ALERT_KINDS, isAlertCode } from './kinds.ts'
import type { AlertCode, AlertKind, Severity } from './kinds.ts'

export interface Alert extends AlertKind {
  readonly code: AlertCode
  /** which group, container, block, …; null when there is only one of its kind */
  readonly subject: string | null
  /** what and where */
  readonly text: string
  /** seconds since 1970 */
  readonly sinceSeconds: number
}

export interface AlertBoardOptions {
  readonly nowSeconds: () => number
  /** there is something to commit */
  readonly touched: () => void
  /** every raise and clear is an event */
  readonly record: (code: EventCode, severity: Severity, text: string) => void
  /** for the mail */
  readonly notify?: (change: 'raised' | 'cleared', alert: Alert) => void
}

const RECORD_VERSION = 2
const FIRST_VERSION = 1
/** A disk that dies may damage every block: beyond this, more of the same says nothing new. */
const ALERTS_MAX = 1000

const stored = z.object({
  code: z.string(),
  subject: z.string().nullable(),
  text: z.string(),
  sinceSeconds: z.number(),
})
/** Version 1 had no subjects: the block's number was part of the code. */
const storedFirst = z.object({ text: z.string(), sinceSeconds: z.number() })

export class AlertBoard implements CommitParticipant {
  readonly #alerts = new Map<string, Alert>()
  readonly #options: AlertBoardOptions
  #changed = new Set<string>()

  constructor(options: AlertBoardOptions) {
    this.#options = options
  }

  /** Reads what an earlier daemon left. @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED */
  async load(metadata: MetadataReader): Promise<void> {
    const prefix = Buffer.from([TABLE.alert])
    for await (const { key, value } of metadata.range(prefix, prefixEnd(prefix))) {
      const id = Buffer.from(key.subarray(1)).toString()
      const alert = parseAlert(id, value)
      this.#alerts.set(idOf(alert.code, alert.subject), alert)
      if (idOf(alert.code, alert.subject) === id) continue
      this.#changed.add(id)
      this.#changed.add(idOf(alert.code, alert.subject))
    }
  }

  /** Raising what is raised already changes nothing but the text. */
  raise(code: AlertCode, text: string, subject: string | null = null): void {
    const id = idOf(code, subject)
    const known = this.#alerts.get(id)
    if (known?.text === text) return
    if (known === undefined && this.#alerts.size >= ALERTS_MAX) return
    const sinceSeconds = known?.sinceSeconds ?? this.#options.nowSeconds()
    const alert = { ...ALERT_KINDS[code], code, subject, text, sinceSeconds }
    this.#alerts.set(id, alert)
    this.#changed.add(id)
    this.#options.touched()
    if (known !== undefined) return
    this.#options.record(code, alert.severity, text)
    this.#options.notify?.('raised', alert)
  }

  clear(code: AlertCode, subject: string | null = null): void {
    const id = idOf(code, subject)
    const alert = this.#alerts.get(id)
    if (alert === undefined) return
    this.#alerts.delete(id)
    this.#changed.add(id)
    this.#options.touched()
    this.#options.record(code, 'info', `Over: ${alert.text}`)
    this.#options.notify?.('cleared', alert)
  }

  isRaised(code: AlertCode, subject: string | null = null): boolean {
    return this.#alerts.has(idOf(code, subject))
  }

  list(): Alert[] {
    return [...this.#alerts.values()]
  }

  collect(batch: MetadataWriter): void {
    for (const id of this.#changed) {
      const key = Buffer.concat([Buffer.from([TABLE.alert]), Buffer.from(id)])
      const alert = this.#alerts.get(id)
      if (alert === undefined) batch.delete(key)
      else batch.put(key, packAlert(alert))
    }
    this.#changed = new Set()
  }

  settled(): void {}
}

/** `CODE` or `CODE subject`; codes hold no space. */
function idOf(code: AlertCode, subject: string | null): string {
  return subject === null ? code : `${code} ${subject}`
}

function packAlert({ code, subject, text, sinceSeconds }: Alert): Buffer {
  return packJson(RECORD_VERSION, { code, subject, text, sinceSeconds })
}

function parseAlert(id: string, value: Uint8Array): Alert {
  const what = `record of alert ${id}`
  const found =
    value[0] === FIRST_VERSION
      ? upgradeFirst(id, parseJson(storedFirst, value, FIRST_VERSION, what))
      : parseJson(stored, value, RECORD_VERSION, what)
  if (!isAlertCode(found.code)) {
    throw new StoreError('UNKNOWN_VERSION', `The record of alert ${id} is of an unknown version.`)
  }
  return { ...ALERT_KINDS[found.code], ...found, code: found.code }
}

function upgradeFirst(
  id: string,
  { text, sinceSeconds }: z.output<typeof storedFirst>,
): z.output<typeof stored> {
  const block = /^DAMAGED_BLOCK_(\d+)$/.exec(id)?.[1]
  return block === undefined
    ? { code: id, subject: null, text, sinceSeconds }
    : { code: 'DAMAGED_BLOCK', subject: block, text, sinceSeconds }
}
