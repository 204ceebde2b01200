// A metadata database without a daemon: looked at, or made from nothing for a store that has lost its own. It is the one
// place beside the commit that writes to LevelDB. Every batch is synced, as those of commits are.

import { mkdir, rm } from 'node:fs/promises'
import { openDatabase } from './database.ts'
import type { Database } from './database.ts'
import { packFrame, parseFrame } from './frame.ts'
import { damageOf } from './level-damage.ts'
import { packSequence, parseSequence } from './sequence.ts'
import type { MetadataSnapshot } from './contract.ts'
import { SEQUENCE_KEY, snapshotOf } from './store.ts'

const RANGE_BATCH_ENTRIES = 1000
const RANGE_BATCH_BYTES = 1024 * 1024

export class OfflineMetadata {
  readonly #database: Database

  readonly #directory: string

  private constructor(database: Database, directory: string) {
    this.#database = database
    this.#directory = directory
  }

  /** Whatever was there is gone. */
  static async create(directory: string): Promise<OfflineMetadata> {
    await rm(directory, { recursive: true, force: true })
    await mkdir(directory, { mode: 0o700 })
    return new OfflineMetadata(await openDatabase({ directory, createIfMissing: true }), directory)
  }

  /** One that is there. @throws StoreError as openDatabase does */
  static async open(directory: string): Promise<OfflineMetadata> {
    return new OfflineMetadata(await openDatabase({ directory, createIfMissing: false }), directory)
  }

  /** Number of the last commit. @throws StoreError RECORD_DAMAGED */
  get sequence(): number {
    const record = this.get(SEQUENCE_KEY)
    return record === undefined ? 0 : parseSequence(record)
  }

  /** All of them or none; `value` is null for a record that is deleted. */
  async write(
    records: Iterable<{ readonly key: Uint8Array; readonly value: Uint8Array | null }>,
  ): Promise<void> {
    const batch = this.#database.batch()
    for (const { key, value } of records) {
      if (value === null) batch.del(key)
      else batch.put(key, packFrame(key, value))
    }
    await batch.write({ sync: true })
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const frame = this.#read(() => this.#database.getSync(key))
    return frame === undefined ? undefined : parseFrame(key, frame)
  }

  async *range(
    from: Uint8Array,
    to: Uint8Array,
  ): AsyncIterable<{ key: Uint8Array; value: Uint8Array }> {
    const iterator = this.#database.iterator({
      gte: from,
      lt: to,
      highWaterMarkBytes: RANGE_BATCH_BYTES,
    })
    try {
      for (;;) {
        const entries = await iterator.nextv(RANGE_BATCH_ENTRIES).catch(this.#damaged)
        if (entries.length === 0) return
        for (const [key, frame] of entries) yield { key, value: parseFrame(key, frame) }
      }
    } finally {
      await iterator.close()
    }
  }

  /** All records as they are: nothing else writes here. Damaged ones are told as such. */
  snapshot(): MetadataSnapshot {
    return snapshotOf(this.#database, this.#damaged)
  }

  /** The number that the next commit follows on. */
  async setSequence(sequence: number): Promise<void> {
    await this.write([{ key: SEQUENCE_KEY, value: packSequence(sequence) }])
  }

  async close(): Promise<void> {
    await this.#database.close()
  }

  readonly #damaged = (error: unknown): never => {
    throw damageOf(error, this.#directory)
  }

  #read<Value>(read: () => Value): Value {
    try {
      return read()
    } catch (error) {
      return this.#damaged(error)
    }
  }
}
