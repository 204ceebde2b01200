// The ids of block files: a counter that is kept, so that an id is never given again, also when its file is long gone.

import { StoreError } from '../errors.ts'
import { TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'

const KEY = Buffer.from([TABLE.superblock, ...Buffer.from('block')])
//  0 1 version   1 4 the next id
const RECORD_VERSION = 1
const RECORD_BYTES = 5

/** @throws StoreError UNKNOWN_VERSION */
export function nextBlockId(metadata: Pick<MetadataReader, 'get'>): number {
  const record = metadata.get(KEY)
  if (record === undefined) return 1
  if (record.length === RECORD_BYTES && record[0] === RECORD_VERSION) {
    return Buffer.from(record).readUInt32LE(1)
  }
  throw new StoreError('UNKNOWN_VERSION', 'The counter of block files has an unknown version.')
}

export function packNextBlockId(next: number): { key: Buffer; value: Buffer } {
  const value = Buffer.alloc(RECORD_BYTES)
  value[0] = RECORD_VERSION
  value.writeUInt32LE(next, 1)
  return { key: KEY, value }
}

export class BlockIds implements CommitParticipant {
  #next: number
  #isChanged = false

  /** @throws StoreError UNKNOWN_VERSION */
  constructor(metadata: MetadataReader) {
    this.#next = nextBlockId(metadata)
  }

  /** Ids below this have been given out. */
  get next(): number {
    return this.#next
  }

  /** A new id, `atLeast` or greater; the commit that first names its block file also keeps the counter. */
  take(atLeast: number): number {
    const id = Math.max(this.#next, atLeast)
    this.#next = id + 1
    this.#isChanged = true
    return id
  }

  /** Ids below are never given out. @returns whether the counter was behind */
  raise(next: number): boolean {
    if (next <= this.#next) return false
    this.#next = next
    this.#isChanged = true
    return true
  }

  collect(batch: MetadataWriter): void {
    if (!this.#isChanged) return
    this.#isChanged = false
    const { key, value } = packNextBlockId(this.#next)
    batch.put(key, value)
  }

  settled(): void {}
}
