// In-memory changes on their way into LevelDB, in two generations: what changed since the last collect, and what the
// commit in flight is writing. Reads ask here first; undefined means "not here, ask LevelDB", null means "deleted".

export class PendingMap<Key, Value> {
  #dirty = new Map<Key, Value | null>()
  #committing = new Map<Key, Value | null>()

  get(key: Key): Value | null | undefined {
    const value = this.#dirty.get(key)
    return value === undefined ? this.#committing.get(key) : value
  }

  /** Whether the key has changed since the last collect. */
  hasChanged(key: Key): boolean {
    return this.#dirty.has(key)
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

  get size(): number {
    return this.#dirty.size + this.#committing.size
  }
}

/**
 * The same, whose keys come in groups: what is pending of one group is found without looking at all others, which can be
 * thousands for each of thousands of files that are deleted.
 */
export class PendingGroups<Group, Key, Value> extends PendingMap<Key, Value> {
  readonly #groupOf: (key: Key) => Group
  #dirty = new Map<Group, Set<Key>>()
  #committing = new Map<Group, Set<Key>>()

  constructor(groupOf: (key: Key) => Group) {
    super()
    this.#groupOf = groupOf
  }

  override set(key: Key, value: Value): void {
    super.set(key, value)
    this.#note(key)
  }

  override delete(key: Key): void {
    super.delete(key)
    this.#note(key)
  }

  override collect(): ReadonlyMap<Key, Value | null> {
    this.#committing = this.#dirty
    this.#dirty = new Map()
    return super.collect()
  }

  override settled(): ReadonlyMap<Key, Value | null> {
    this.#committing = new Map()
    return super.settled()
  }

  /** Keys of the group that LevelDB doesn't know the value of yet. */
  keysOf(group: Group): ReadonlySet<Key> {
    return new Set([...(this.#dirty.get(group) ?? []), ...(this.#committing.get(group) ?? [])])
  }

  #note(key: Key): void {
    const group = this.#groupOf(key)
    const keys = this.#dirty.get(group)
    if (keys === undefined) this.#dirty.set(group, new Set([key]))
    else keys.add(key)
  }
}
