// What a scan has found: a count of everything, and the first ones of each check in words.

import type { CheckName } from './checks.ts'

/** Of each check. Nobody reads more, and a report has to fit into one reply of the control socket. */
export const KEPT_PER_CHECK_MAX = 20
const TEXT_CHARACTERS_MAX = 300

export interface Finding {
  readonly check: CheckName
  readonly text: string
}

export class Findings {
  readonly #counts = new Map<CheckName, number>()
  readonly #kept: Finding[] = []

  add(check: CheckName, text: string): void {
    const count = (this.#counts.get(check) ?? 0) + 1
    this.#counts.set(check, count)
    if (count <= KEPT_PER_CHECK_MAX) {
      this.#kept.push({ check, text: text.slice(0, TEXT_CHARACTERS_MAX) })
    }
  }

  /** All of them, also those that were not kept. */
  get count(): number {
    let count = 0
    for (const each of this.#counts.values()) count += each
    return count
  }

  get kept(): readonly Finding[] {
    return this.#kept
  }

  counts(): { check: CheckName; count: number }[] {
    return [...this.#counts].map(([check, count]) => ({ check, count }))
  }
}
