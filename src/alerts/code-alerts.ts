// The alerts of one code that are remembered: oldest first, the first of them listed, the rest counted.

import type { AlertKind } from './kinds.ts'
import type { AlertCode } from './kinds.ts'

export interface Alert extends AlertKind {
  readonly code: AlertCode
  /** which group, container, block, …; null when there is only one of its kind */
  readonly subject: string | null
  /** what and where */
  readonly text: string
  /** seconds since 1970 */
  readonly sinceSeconds: number
  /** seconds since 1970; null for an alert that needs attention */
  readonly acknowledgedSeconds: number | null
  /** of the acknowledgement */
  readonly note: string | null
}

export interface Entry {
  readonly alert: Alert
  /** ascending by the time of the raise or the acknowledgement; unique over all codes */
  readonly order: number
  /** the raise is in the events and was mailed, so its end will be too */
  readonly isTold: boolean
}

/** Alerts of a code that stand beside those that are listed. */
export interface Overflow {
  readonly code: AlertCode
  /** distinct subjects that are not listed */
  readonly count: number
  /** how many of these are acknowledged */
  readonly acknowledgedCount: number
  /** more subjects were raised than are remembered */
  readonly isAtLeast: boolean
}

/**
 * Alerts of one code that are listed: more of the same say nothing new, and 100 lines can still be read. As many that are
 * acknowledged are listed beside them, so that an acknowledged alert never hides one that needs attention.
 */
export const LISTED_PER_CODE_MAX = 100
/** Alerts of one code that are remembered: at most some 8 MB of memory, and of one commit, if all of a disk is damaged. */
export const KNOWN_PER_CODE_MAX = 10_000

export class CodeAlerts {
  /** need attention, oldest first */
  readonly #open = new Map<string | null, Entry>()
  /** in the order of their acknowledgement */
  readonly #acknowledged = new Map<string | null, Entry>()
  /** some subject found no room since the code had no alert at all */
  hasForgotten = false

  get size(): number {
    return this.#open.size + this.#acknowledged.size
  }

  get openCount(): number {
    return this.#open.size
  }

  get acknowledgedCount(): number {
    return this.#acknowledged.size
  }

  get isFull(): boolean {
    return this.size >= KNOWN_PER_CODE_MAX
  }

  find(subject: string | null): Entry | undefined {
    return this.#open.get(subject) ?? this.#acknowledged.get(subject)
  }

  /** A new entry goes behind all others; one that is known keeps its place. */
  put(entry: Entry): void {
    const isOpen = entry.alert.acknowledgedSeconds === null
    const [to, other] = isOpen ? [this.#open, this.#acknowledged] : [this.#acknowledged, this.#open]
    other.delete(entry.alert.subject)
    to.set(entry.alert.subject, entry)
  }

  delete(subject: string | null): void {
    this.#open.delete(subject)
    this.#acknowledged.delete(subject)
  }

  open(): Entry[] {
    return [...this.#open.values()]
  }

  all(): Entry[] {
    return [...this.#open.values(), ...this.#acknowledged.values()]
  }

  listed(): Entry[] {
    return [...firstOf(this.#open), ...firstOf(this.#acknowledged)]
  }

  /** undefined when all alerts are listed */
  overflow(code: AlertCode): Overflow | undefined {
    const acknowledgedCount = beyond(this.#acknowledged)
    const count = beyond(this.#open) + acknowledgedCount
    if (count === 0 && !this.hasForgotten) return undefined
    return { code, count, acknowledgedCount, isAtLeast: this.hasForgotten }
  }
}

function firstOf(entries: ReadonlyMap<string | null, Entry>): Entry[] {
  const first: Entry[] = []
  for (const entry of entries.values()) {
    if (first.length === LISTED_PER_CODE_MAX) break
    first.push(entry)
  }
  return first
}

function beyond({ size }: ReadonlyMap<string | null, Entry>): number {
  return Math.max(0, size - LISTED_PER_CODE_MAX)
}

/** `and 7 more`, `and at least 9900 more`. */
export function describeOverflow({ count, isAtLeast }: Overflow): string {
  if (count === 0) return 'and possibly more'
  return isAtLeast ? `and at least ${count} more` : `and ${count} more`
}
