// The ids of block files: a counter that is kept, so that an id is never given again, also when its file is long gone.

import { StoreError } from '../errors.ts'
import { TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'

const KEY = Buffer.from([TABLE.superblock, ...Buffer.from('block')])
//  0 1 version   1 4 the next id
const RECORD_VERSION = 1
const RECORD_BYTES = 5

export class BlockIds implements CommitParticipant {
  #next: number
  #isChanged = false

  /** @throws StoreError UNKNOWN_VERSION */
  constructor(metadata: MetadataReader) {
    const record = metadata.get(KEY)
    if (record === undefined) this.#next = 1
    else if (record.length === RECORD_BYTES && record[0] === RECORD_VERSION) {
      this.#next = Buffer.from(record).readUInt32LE(1)
    } else {
      throw new StoreError('UNKNOWN_VERSION', 'The counter of block files has an unknown version.')
    }
  }

  /** A new id, `atLeast` or greater; the commit that first names its block file also keeps the counter. */
  take(atLeast: number): number {
    const id = Math.max(this.#next, atLeast)
    this.#next = id + 1
    this.#isChanged = true
    return id
  }

  collect(batch: MetadataWriter): void {
    if (!this.#isChanged) return
    this.#isChanged = false
    const record = Buffer.alloc(RECORD_BYTES)
    record[0] = RECORD_VERSION
    record.writeUInt32LE(this.#next, 1)
    batch.put(KEY, record)
  }

  settled(): void {}
}
