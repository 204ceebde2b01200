// The alerts: conditions that hold now and need somebody. Raised once, cleared when they end, kept over restarts.

import { StoreError } from '../errors.ts'
import { prefixEnd, TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'

export type Severity = 'info' | 'warning' | 'critical'

export interface Alert {
  /** stable; one alert a code */
  readonly code: string
  readonly severity: Severity
  /** what, where and what to do */
  readonly text: string
  /** seconds since 1970 */
  readonly sinceSeconds: number
}

const RECORD_VERSION = 1
const ALERTS_MAX = 1000

export class AlertBoard implements CommitParticipant {
  readonly #alerts = new Map<string, Alert>()
  readonly #nowSeconds: () => number
  readonly #touched: () => void
  #changed = new Set<string>()

  constructor(nowSeconds: () => number, touched: () => void) {
    this.#nowSeconds = nowSeconds
    this.#touched = touched
  }

  /** Reads what an earlier daemon left. @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED */
  async load(metadata: MetadataReader): Promise<void> {
    const prefix = Buffer.from([TABLE.alert])
    for await (const { key, value } of metadata.range(prefix, prefixEnd(prefix))) {
      const code = Buffer.from(key.subarray(1)).toString()
      this.#alerts.set(code, parseAlert(code, value))
    }
  }

  /** Raising what is raised already changes nothing but the text. */
  raise(code: string, severity: Severity, text: string): void {
    const known = this.#alerts.get(code)
    if (known?.text === text && known.severity === severity) return
    if (known === undefined && this.#alerts.size >= ALERTS_MAX) return
    const sinceSeconds = known?.sinceSeconds ?? this.#nowSeconds()
    this.#alerts.set(code, { code, severity, text, sinceSeconds })
    this.#changed.add(code)
    this.#touched()
  }

  clear(code: string): void {
    if (!this.#alerts.delete(code)) return
    this.#changed.add(code)
    this.#touched()
  }

  list(): Alert[] {
    return [...this.#alerts.values()]
  }

  collect(batch: MetadataWriter): void {
    for (const code of this.#changed) {
      const key = Buffer.concat([Buffer.from([TABLE.alert]), Buffer.from(code)])
      const alert = this.#alerts.get(code)
      if (alert === undefined) batch.delete(key)
      else
        batch.put(
          key,
          Buffer.concat([Buffer.from([RECORD_VERSION]), Buffer.from(JSON.stringify(alert))]),
        )
    }
    this.#changed = new Set()
  }

  settled(): void {}
}

function parseAlert(code: string, value: Uint8Array): Alert {
  if (value[0] !== RECORD_VERSION) {
    throw new StoreError('UNKNOWN_VERSION', `The record of alert ${code} is of an unknown version.`)
  }
  const found: unknown = JSON.parse(Buffer.from(value.subarray(1)).toString())
  if (
    typeof found === 'object' &&
    found !== null &&
    'severity' in found &&
    isSeverity(found.severity) &&
    'text' in found &&
    typeof found.text === 'string' &&
    'sinceSeconds' in found &&
    typeof found.sinceSeconds === 'number'
  ) {
    return { code, severity: found.severity, text: found.text, sinceSeconds: found.sinceSeconds }
  }
  throw new StoreError('RECORD_DAMAGED', `The record of alert ${code} is not an alert.`)
}

function isSeverity(value: unknown): value is Severity {
  return value === 'info' || value === 'warning' || value === 'critical'
}
