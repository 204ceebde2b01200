// In-memory changes on their way into LevelDB, in two generations: what changed since the last collect, and what the
// commit in flight is writing. Reads ask here first; undefined means "not here, ask LevelDB", null means "deleted".

export class PendingMap<Key, Value> {
  #dirty = new Map<Key, Value | null>()
  #committing = new Map<Key, Value | null>()

  get(key: Key): Value | null | undefined {
    const value = this.#dirty.get(key)
    return value === undefined ? this.#committing.get(key) : value
  }

  set(key: Key, value: Value): void {
    this.#dirty.set(key, value)
  }

  delete(key: Key): void {
    this.#dirty.set(key, null)
  }

  /** The changes for the batch; they stay readable until `settled`. */
  collect(): ReadonlyMap<Key, Value | null> {
    this.#committing = this.#dirty
    this.#dirty = new Map()
    return this.#committing
  }

  /** LevelDB knows them now. @returns the changes of the batch */
  settled(): ReadonlyMap<Key, Value | null> {
    const settled = this.#committing
    this.#committing = new Map()
    return settled
  }

  /** Keys that LevelDB doesn't know the value of yet, some of them twice. */
  *keys(): Iterable<Key> {
    yield* this.#dirty.keys()
    yield* this.#committing.keys()
  }

  get size(): number {
    return this.#dirty.size + this.#committing.size
  }
}
