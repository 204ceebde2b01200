// Block files that can't be read whole, with the places in them that can: what refers to any other place is lost.

import type { BlockRecord } from '../blocks/index.ts'

/** Damaged block files that are remembered one by one; a disk with more has one cause for all of them. */
export const SUSPECTS_MAX = 1000

export interface Suspect {
  readonly block: number
  readonly group: number
  /** less can be read than the record says, or something refers to what can't be read */
  isDamaged: boolean
  readonly reason: string
  /** runs of chunks that can be read, each as three numbers: page of the region, first ordinal, count */
  readonly whole: readonly number[]
}

export class Suspects {
  readonly #byBlock = new Map<number, Suspect>()
  #leftOut = 0

  constructor(known: Iterable<Suspect> = []) {
    for (const suspect of known) this.add(suspect)
  }

  add(suspect: Suspect): boolean {
    if (this.#byBlock.size >= SUSPECTS_MAX && !this.#byBlock.has(suspect.block)) {
      if (suspect.isDamaged) this.#leftOut++
      return false
    }
    this.#byBlock.set(suspect.block, suspect)
    return true
  }

  /** The file itself is not as its record says. @param isGone nothing in it can be read */
  blame({ block, group }: BlockRecord, reason: string, isGone: boolean): void {
    const known = this.#byBlock.get(block)
    if (known !== undefined) known.isDamaged = true
    else if (isGone) this.add({ block, group, isDamaged: true, reason, whole: [] })
  }

  /** Whether a place can be read, as far as is known. Something refers to it: if it can't, that is damage. */
  isWhole(block: number, page: number, ordinal: number): boolean {
    const suspect = this.#byBlock.get(block)
    if (suspect === undefined) return true
    const { whole } = suspect
    for (let at = 0; at < whole.length; at += 3) {
      const first = whole[at + 1] ?? 0
      if (whole[at] === page && ordinal >= first && ordinal < first + (whole[at + 2] ?? 0)) {
        return true
      }
    }
    suspect.isDamaged = true
    return false
  }

  damaged(): Suspect[] {
    return [...this.#byBlock.values()].filter(({ isDamaged }) => isDamaged)
  }

  /** Damaged block files that are not remembered: what they have lost isn't known. */
  get leftOutCount(): number {
    return this.#leftOut
  }
}
