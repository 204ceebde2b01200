// Changed records between the moment they change and the moment a commit has made them durable: reads ask here first.

/** One record's change: its new value, or `null` for a record that is to go. */
export type Change<V> = V | null

export class Overlay<K, V> {
  #pending = new Map<K, Change<V>>()
  /** in the batch of a commit that isn't durable yet */
  #committing = new Map<K, Change<V>>()

  /** @returns whether it is one record more to be written */
  set(key: K, change: Change<V>): boolean {
    const before = this.#pending.size
    this.#pending.set(key, change)
    return this.#pending.size > before
  }

  /** `undefined` = unchanged, the metadata store knows */
  get(key: K): Change<V> | undefined {
    const change = this.#pending.get(key)
    return change === undefined ? this.#committing.get(key) : change
  }

  get isEmpty(): boolean {
    return this.#pending.size === 0 && this.#committing.size === 0
  }

  /** all changes, older ones first: a key may come twice, the later counts */
  *entries(): Iterable<[K, Change<V>]> {
    yield* this.#committing
    yield* this.#pending
  }

  /** Hands every change since the last collect to `write`. */
  collect(write: (key: K, change: Change<V>) => void): void {
    // a batch that never settled is written again: its changes are not durable
    if (this.#committing.size > 0) {
      for (const [key, change] of this.#pending) this.#committing.set(key, change)
    } else {
      this.#committing = this.#pending
    }
    this.#pending = new Map()
    for (const [key, change] of this.#committing) write(key, change)
  }

  settled(): void {
    this.#committing = new Map()
  }
}
