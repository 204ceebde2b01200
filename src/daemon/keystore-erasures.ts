// Deleted groups whose keystores are still to be erased. The record goes into the commit that deletes the group, so that a
// crash before the erasure is made good by the next start, and nothing else ever has a keystore erased.

import { StoreError } from '../errors.ts'
import { TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'

const KEY = Buffer.from([TABLE.superblock, ...Buffer.from('erase')])
//  0 1 version   1 2 … ids of groups
const RECORD_VERSION = 1
const ID_BYTES = 2

export class KeystoreErasures implements CommitParticipant {
  readonly #ids = new Set<number>()
  /** what the commit under way says */
  #collected: readonly number[] = []
  /** what the last commit says */
  #durable: readonly number[] = []
  #isChanged = false

  /** @throws StoreError UNKNOWN_VERSION */
  constructor(metadata: Pick<MetadataReader, 'get'>) {
    const value = metadata.get(KEY)
    if (value === undefined) return
    const record = Buffer.from(value)
    if (record[0] !== RECORD_VERSION || record.length % ID_BYTES !== 1) {
      throw new StoreError(
        'UNKNOWN_VERSION',
        'The record of keystores to be erased is of an unknown version.',
      )
    }
    for (let at = 1; at < record.length; at += ID_BYTES) this.#ids.add(record.readUInt16LE(at))
    this.#collected = [...this.#ids]
    this.#durable = this.#collected
  }

  /** Groups whose deletion is durable, and whose keystores may still be there. */
  get ids(): readonly number[] {
    return this.#durable.filter(id => this.#ids.has(id))
  }

  /** To be called before the commit that deletes the group. */
  add(group: number): void {
    this.#ids.add(group)
    this.#isChanged = true
  }

  done(group: number): void {
    if (this.#ids.delete(group)) this.#isChanged = true
  }

  collect(batch: MetadataWriter): void {
    if (!this.#isChanged) return
    this.#isChanged = false
    const ids = [...this.#ids]
    this.#collected = ids
    if (this.#ids.size === 0) {
      batch.delete(KEY)
      return
    }
    const record = Buffer.alloc(1 + this.#ids.size * ID_BYTES)
    record[0] = RECORD_VERSION
    for (const [index, id] of ids.entries()) record.writeUInt16LE(id, 1 + index * ID_BYTES)
    batch.put(KEY, record)
  }

  settled(): void {
    this.#durable = this.#collected
  }
}
