// The records of all block files: those of the store, those in the trash, and what the coming commit has to write.

import assert from 'node:assert'
import type { BlockRecord } from './block-store.ts'

export class BlockRegistry {
  /** block files of the store */
  readonly #live = new Map<number, BlockRecord>()
  /** freed block files, kept aside */
  readonly #trash = new Map<number, BlockRecord>()
  readonly #changed = new Set<number>()
  /** their records leave with the coming commit */
  #forgotten = new Set<number>()
  /** the cleaner is about to free them */
  readonly #condemned = new Set<number>()
  readonly #quarantined = new Map<number, string>()
  /** records of the trash in the order in which they were freed; undefined when it has changed since */
  #trashInOrder: readonly BlockRecord[] | undefined
  #trashBytes = 0

  constructor(records: Iterable<BlockRecord>) {
    for (const record of records) this.#place(record)
  }

  get(block: number): BlockRecord | undefined {
    return this.#live.get(block)
  }

  trashed(block: number): BlockRecord | undefined {
    return this.#trash.get(block)
  }

  live(): Iterable<BlockRecord> {
    return this.#live.values()
  }

  /** Freed block files, in the order in which they were freed. */
  trash(): readonly BlockRecord[] {
    this.#trashInOrder ??= [...this.#trash.values()].sort(inOrderOfFreeing)
    return this.#trashInOrder
  }

  /** What the files of the trash take. */
  get trashBytes(): number {
    return this.#trashBytes
  }

  /** Why block files are quarantined, by id. */
  get quarantined(): ReadonlyMap<number, string> {
    return this.#quarantined
  }

  /** Ids of the keys that block files of a group have by their records, also in the trash. */
  keyIdsOf(group: number): Set<number> {
    const ids = new Set<number>()
    for (const record of [...this.#live.values(), ...this.#trash.values()]) {
      if (record.group === group) ids.add(record.keyId)
    }
    return ids
  }

  /** New data may refer to what the block file holds. */
  isUsable(block: number): boolean {
    return this.#live.has(block) && !this.#condemned.has(block) && !this.#quarantined.has(block)
  }

  condemn(blocks: readonly number[]): void {
    for (const block of blocks) this.#condemned.add(block)
  }

  pardonAll(): void {
    this.#condemned.clear()
  }

  /** A changed record; the coming commit writes it. */
  remember(record: BlockRecord): void {
    this.#place(record)
    this.#changed.add(record.block)
  }

  /** Keeps what the registry alone knows: health and trash. @param counts what the open block file says */
  update(counts: BlockRecord): void {
    const known = this.#live.get(counts.block)
    this.remember({ ...counts, quarantine: known?.quarantine ?? null })
  }

  /** @returns whether the record has changed */
  setQuarantine(block: number, reason: string | null): boolean {
    const record = this.#live.get(block)
    if (record === undefined || record.quarantine === reason) return false
    this.remember({ ...record, quarantine: reason })
    return true
  }

  /** The record leaves with the coming commit; the file is gone, or was never made. */
  forget(block: number): void {
    this.#live.delete(block)
    this.#takeFromTrash(block)
    this.#quarantined.delete(block)
    this.#condemned.delete(block)
    this.#changed.delete(block)
    this.#forgotten.add(block)
  }

  /** Records that changed since the last call. */
  collectChanged(): BlockRecord[] {
    const changed: BlockRecord[] = []
    for (const block of this.#changed) {
      const record = this.#live.get(block) ?? this.#trash.get(block)
      assert(record !== undefined, 'a changed block file has a record')
      changed.push(record)
    }
    this.#changed.clear()
    return changed
  }

  /** Block files whose records leave with this commit. */
  collectForgotten(): number[] {
    const forgotten = [...this.#forgotten]
    this.#forgotten = new Set()
    return forgotten
  }

  #place(record: BlockRecord): void {
    const { block, freedSeconds, quarantine } = record
    this.#takeFromTrash(block)
    if (freedSeconds === null) this.#live.set(block, record)
    else {
      this.#live.delete(block)
      this.#trash.set(block, record)
      this.#trashBytes += record.lengthBytes
      this.#trashInOrder = undefined
    }
    if (freedSeconds === null && quarantine !== null) this.#quarantined.set(block, quarantine)
    else this.#quarantined.delete(block)
    if (freedSeconds !== null) this.#condemned.delete(block)
  }

  #takeFromTrash(block: number): void {
    const record = this.#trash.get(block)
    if (record === undefined) return
    this.#trash.delete(block)
    this.#trashBytes -= record.lengthBytes
    this.#trashInOrder = undefined
  }
}

function inOrderOfFreeing(a: BlockRecord, b: BlockRecord): number {
  return (a.freedSeconds ?? 0) - (b.freedSeconds ?? 0) || a.block - b.block
}
