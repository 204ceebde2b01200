// The alerts: conditions that hold now and need an administrator. Raised once a subject, cleared when they end, kept over
// restarts. Each code is bounded by itself, so that a code can always be raised, whatever the others have.

import { CofferError } from '../errors.ts'
import { prefixEnd, TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'
import {
  forgottenId,
  idOf,
  keyOf,
  packEntry,
  packForgotten,
  parseEntry,
  parseForgotten,
} from './alert-record.ts'
import type { ReadEntry } from './alert-record.ts'
import { CodeAlerts, LISTED_PER_CODE_MAX } from './code-alerts.ts'
import type { Alert, Entry, Overflow } from './code-alerts.ts'
import type { EventCode } from './event-log.ts'
import { ALERT_CODES, ALERT_KINDS, codesAbout, isAlertCode, isFact } from './kinds.ts'
import type { AlertCode, Severity, SubjectKind } from './kinds.ts'

export interface AlertBoardOptions {
  readonly nowSeconds: () => number
  /** there is something to commit */
  readonly touched: () => void
  /** every raise and clear of a listed alert is an event */
  readonly record: (code: EventCode, severity: Severity, text: string) => void
  /** for the mail */
  readonly notify?: (change: 'raised' | 'cleared', alert: Alert) => void
}

export interface Acknowledgement {
  /** undefined: all alerts of the code; null: the one without a subject */
  readonly subject?: string | null | undefined
  readonly note: string | null
}

export interface Acknowledged {
  /** alerts that stay until their condition ends */
  readonly acknowledged: number
  /** alerts of one-time events, which are gone */
  readonly removed: number
}

export interface AlertCount {
  readonly open: number
  readonly acknowledged: number
}

/** Texts are a sentence or two; this bounds the memory that 10,000 of them take. */
const TEXT_CHARACTERS_MAX = 500

export class AlertBoard implements CommitParticipant {
  readonly #codes = new Map<AlertCode, CodeAlerts>()
  readonly #options: AlertBoardOptions
  #nextOrder = 1
  /** id of a record => what it is about; null for a record that goes */
  #changed = new Map<string, readonly [code: AlertCode, subject: string | null] | null>()
  #changedForgotten = new Set<AlertCode>()

  constructor(options: AlertBoardOptions) {
    this.#options = options
  }

  /** Reads what an earlier daemon left. @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED */
  async load(metadata: MetadataReader): Promise<void> {
    const prefix = Buffer.from([TABLE.alert])
    const found = new Map<string, ReadEntry>()
    for await (const { key, value } of metadata.range(prefix, prefixEnd(prefix))) {
      const id = Buffer.from(key.subarray(1)).toString()
      const forgotten = parseForgotten(id, value)
      if (forgotten !== undefined) {
        this.#of(forgotten).hasForgotten = true
        continue
      }
      const entry = parseEntry(id, value)
      const { code, subject } = entry.alert
      found.set(idOf(code, subject), entry)
      if (idOf(code, subject) !== id) this.#changed.set(id, null)
    }
    for (const entry of this.#inOrder([...found.values()])) {
      const { code, subject } = entry.alert
      this.#of(code).put(entry)
      if (found.get(idOf(code, subject))?.order === null) this.#change(code, subject)
    }
  }

  /** Raising what is raised already changes nothing but the text; it stays acknowledged. */
  raise(code: AlertCode, text: string, subject: string | null = null): void {
    const alerts = this.#of(code)
    const shown = text.slice(0, TEXT_CHARACTERS_MAX)
    const known = alerts.find(subject)
    if (known?.alert.text === shown) return
    if (known !== undefined) {
      alerts.put({ ...known, alert: { ...known.alert, text: shown } })
      this.#touch(code, subject)
      return
    }
    if (alerts.isFull) {
      this.#setForgotten(code, true)
      return
    }
    const isTold = alerts.openCount < LISTED_PER_CODE_MAX
    const alert = this.#newAlert(code, shown, subject)
    alerts.put({ alert, order: this.#nextOrder++, isTold })
    this.#touch(code, subject)
    if (isTold) this.#tell(alert)
    else if (alerts.openCount === LISTED_PER_CODE_MAX + 1) this.#tell(this.#overflowAlert(code))
  }

  clear(code: AlertCode, subject: string | null = null): void {
    const alerts = this.#of(code)
    const entry = alerts.find(subject)
    if (entry === undefined) return
    const { alert, isTold } = entry
    const before = alerts.openCount
    alerts.delete(subject)
    this.#touch(code, subject)
    if (alerts.size === 0) this.#setForgotten(code, false)
    if (isTold) {
      this.#options.record(code, 'info', `Over: ${alert.text}`)
      this.#options.notify?.('cleared', alert)
    }
    if (before === LISTED_PER_CODE_MAX + 1 && alerts.openCount === LISTED_PER_CODE_MAX) {
      this.#options.record(code, 'info', 'All alerts of this code are listed again.')
    }
  }

  /**
   * The administrator knows. Alerts of one-time events go; others stay, acknowledged, until their condition ends. Without a
   * subject this is about all alerts of the code that aren't acknowledged yet, listed or not.
   * @throws CofferError ALERT_NOT_FOUND
   */
  acknowledge(code: string, { subject, note }: Acknowledgement): Acknowledged {
    const alerts = isAlertCode(code) ? this.#codes.get(code) : undefined
    const one = subject === undefined ? undefined : alerts?.find(subject)
    const isThere = subject === undefined ? (alerts?.size ?? 0) > 0 : one !== undefined
    if (!isAlertCode(code) || alerts === undefined || !isThere) {
      const which = subject === undefined || subject === null ? code : `${code} of "${subject}"`
      throw new CofferError(
        'ALERT_NOT_FOUND',
        `There is no alert ${which}. See "coffer alerts show".`,
      )
    }
    const entries = one === undefined ? alerts.open() : [one]
    for (const { alert, isTold } of entries) {
      if (isFact(code)) alerts.delete(alert.subject)
      else {
        const acknowledgedSeconds = this.#options.nowSeconds()
        const known = { ...alert, acknowledgedSeconds, note }
        alerts.delete(alert.subject)
        alerts.put({ alert: known, order: this.#nextOrder++, isTold })
      }
      this.#touch(code, alert.subject)
    }
    if (alerts.size === 0) this.#setForgotten(code, false)
    const count = entries.length
    if (count > 0) this.#options.record('ALERT_ACKNOWLEDGED', 'info', describe(code, entries, note))
    return isFact(code) ? { acknowledged: 0, removed: count } : { acknowledged: count, removed: 0 }
  }

  /** The thing is gone: all alerts about it end. */
  endOf(kind: SubjectKind, subject: string): void {
    for (const code of codesAbout(kind)) this.clear(code, subject)
  }

  /** Ends all alerts about things that aren't there. */
  endOfMissing(kind: SubjectKind, isThere: (subject: string) => boolean): void {
    for (const code of codesAbout(kind)) {
      for (const { subject } of this.ofCode(code)) {
        if (subject !== null && !isThere(subject)) this.clear(code, subject)
      }
    }
  }

  /** Whether it stands, listed or not. Unknown beyond what is remembered of a code. */
  isRaised(code: AlertCode, subject: string | null = null): boolean {
    return this.#codes.get(code)?.find(subject) !== undefined
  }

  isAnyRaised(code: AlertCode): boolean {
    return (this.#codes.get(code)?.size ?? 0) > 0
  }

  /** What is shown, oldest first. Not everything: see `overflows`, and `ofCode` for work that must miss nothing. */
  list(): Alert[] {
    return [...this.#codes.values()]
      .flatMap(alerts => alerts.listed())
      .sort((a, b) => a.order - b.order)
      .map(({ alert }) => alert)
  }

  /** Everything that is remembered of a code, listed or not: those that need attention first, then oldest first. */
  ofCode(code: AlertCode): Alert[] {
    return (
      this.#codes
        .get(code)
        ?.all()
        .map(({ alert }) => alert) ?? []
    )
  }

  /** What stands beside what is listed, at most one entry a code. */
  overflows(): Overflow[] {
    return ALERT_CODES.flatMap(code => this.overflowOf(code) ?? [])
  }

  overflowOf(code: AlertCode): Overflow | undefined {
    return this.#codes.get(code)?.overflow(code)
  }

  /** What is remembered, listed or not. */
  counts(): Record<Severity, AlertCount> {
    const counts = {
      info: { open: 0, acknowledged: 0 },
      warning: { open: 0, acknowledged: 0 },
      critical: { open: 0, acknowledged: 0 },
    }
    for (const [code, alerts] of this.#codes) {
      const count = counts[ALERT_KINDS[code].severity]
      count.open += alerts.openCount
      count.acknowledged += alerts.acknowledgedCount
    }
    return counts
  }

  /** Whatever of this code was not remembered is about to be raised anew, or is over. */
  countAnew(code: AlertCode): void {
    this.#setForgotten(code, false)
  }

  collect(batch: MetadataWriter): void {
    for (const [id, about] of this.#changed) {
      const entry = about === null ? undefined : this.#codes.get(about[0])?.find(about[1])
      if (entry === undefined) batch.delete(keyOf(id))
      else batch.put(keyOf(id), packEntry(entry))
    }
    for (const code of this.#changedForgotten) {
      const key = keyOf(forgottenId(code))
      if (this.#of(code).hasForgotten) batch.put(key, packForgotten())
      else batch.delete(key)
    }
    this.#changed = new Map()
    this.#changedForgotten = new Set()
  }

  settled(): void {}

  #of(code: AlertCode): CodeAlerts {
    let alerts = this.#codes.get(code)
    if (alerts === undefined) {
      alerts = new CodeAlerts()
      this.#codes.set(code, alerts)
    }
    return alerts
  }

  /** Entries of earlier versions get a place by their age, behind what has one. */
  #inOrder(found: readonly ReadEntry[]): Entry[] {
    for (const { order } of found) this.#nextOrder = Math.max(this.#nextOrder, (order ?? 0) + 1)
    return [...found]
      .sort((a, b) => a.alert.sinceSeconds - b.alert.sinceSeconds)
      .map(entry => ({ ...entry, order: entry.order ?? this.#nextOrder++ }))
      .sort((a, b) => a.order - b.order)
  }

  #newAlert(code: AlertCode, text: string, subject: string | null): Alert {
    const sinceSeconds = this.#options.nowSeconds()
    const kind = ALERT_KINDS[code]
    return { ...kind, code, subject, text, sinceSeconds, acknowledgedSeconds: null, note: null }
  }

  /** Tells that more stand than are listed, once, instead of every single one. */
  #overflowAlert(code: AlertCode): Alert {
    const text = `More than ${LISTED_PER_CODE_MAX} alerts of this code stand; further ones are counted, but not listed.`
    return this.#newAlert(code, text, null)
  }

  #tell(alert: Alert): void {
    this.#options.record(alert.code, alert.severity, alert.text)
    this.#options.notify?.('raised', alert)
  }

  #setForgotten(code: AlertCode, hasForgotten: boolean): void {
    const alerts = this.#of(code)
    if (alerts.hasForgotten === hasForgotten) return
    alerts.hasForgotten = hasForgotten
    this.#changedForgotten.add(code)
    this.#options.touched()
  }

  #touch(code: AlertCode, subject: string | null): void {
    this.#change(code, subject)
    this.#options.touched()
  }

  #change(code: AlertCode, subject: string | null): void {
    this.#changed.set(idOf(code, subject), [code, subject])
  }
}

function describe(code: AlertCode, entries: readonly Entry[], note: string | null): string {
  const [first] = entries
  const subject = first?.alert.subject ?? null
  const which = subject === null ? '' : ` of ${subject}`
  const what =
    entries.length === 1
      ? `The alert ${code}${which} was acknowledged`
      : `${entries.length} alerts ${code} were acknowledged`
  return note === null ? `${what}.` : `${what}: ${note}`
}
