// What is in the hands of the device's threads: keeps it alive, and releases it when its id comes back.

import type { ReadResult } from './filesystem.ts'

type Releasable = Pick<ReadResult, 'release'>

export class Completions {
  readonly #held: (Releasable | undefined)[] = []
  readonly #freeIds: number[] = []

  /** @returns the id under which `complete` finds it again; ids are used again */
  hold(item: Releasable): number {
    const id = this.#freeIds.pop() ?? this.#held.length
    this.#held[id] = item
    return id
  }

  complete(id: number): void {
    const item = this.#held[id]
    if (item === undefined) return
    this.#held[id] = undefined
    this.#freeIds.push(id)
    item.release()
  }

  /** how many are held */
  get size(): number {
    return this.#held.length - this.#freeIds.length
  }
}
