// The store's own record: what is decided once, when the store is made.

import { randomBytes } from 'node:crypto'
import { StoreError } from '../errors.ts'
import { TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'

const KEY = Buffer.from([TABLE.superblock, ...Buffer.from('store')])
//  0 1 version   1 32 name hash key
const RECORD_VERSION = 1
const NAME_HASH_KEY_BYTES = 32

export class Superblock implements CommitParticipant {
  /** secret: decides the order of names in directories, so that nobody can make names collide */
  readonly nameHashKey: Uint8Array
  #isNew: boolean

  /** @throws StoreError UNKNOWN_VERSION */
  constructor(metadata: MetadataReader) {
    const record = metadata.get(KEY)
    this.#isNew = record === undefined
    if (record === undefined) this.nameHashKey = new Uint8Array(randomBytes(NAME_HASH_KEY_BYTES))
    else if (record.length === 1 + NAME_HASH_KEY_BYTES && record[0] === RECORD_VERSION) {
      this.nameHashKey = Uint8Array.prototype.slice.call(record, 1)
    } else
      throw new StoreError('UNKNOWN_VERSION', "The store's superblock is of an unknown version.")
  }

  collect(batch: MetadataWriter): void {
    if (this.#isNew)
      batch.put(KEY, Buffer.concat([Buffer.from([RECORD_VERSION]), this.nameHashKey]))
    this.#isNew = false
  }

  settled(): void {}
}
