// How many block records there are, and a checksum over all of them, carried by each commit that changes one. A listing
// that doesn't match has lost records, or shows some that no commit wrote: then no file may pass for one without a record.

import { createHash } from 'node:crypto'
import { StoreError } from '../errors.ts'
import { TABLE } from '../metadata/index.ts'
import type { MetadataReader, MetadataWriter } from '../metadata/index.ts'

const KEY = Buffer.from([TABLE.superblock, ...Buffer.from('blocks')])
//  0 1 version   1 8 count of records   9 8 exclusive or of the records' digests    little-endian
const RECORD_VERSION = 1
const RECORD_BYTES = 17
const DIGEST_BYTES = 8

/** What a commit says of all block records. */
export interface BlockTotal {
  readonly count: number
  readonly digest: bigint
}

export class BlockCensus {
  /** digest of each record */
  readonly #digests = new Map<number, bigint>()
  #digest = 0n
  #isChanged = false

  get total(): BlockTotal {
    return { count: this.#digests.size, digest: this.#digest }
  }

  put(block: number, record: Uint8Array): void {
    const digest = digestOf(block, record)
    this.#digest ^= (this.#digests.get(block) ?? 0n) ^ digest
    this.#digests.set(block, digest)
    this.#isChanged = true
  }

  /** A record as it was listed: the last commit has it. */
  load(block: number, record: Uint8Array): void {
    this.put(block, record)
    this.#isChanged = false
  }

  /** The coming commit writes the total although no record changes: the store has had none. */
  touch(): void {
    this.#isChanged = true
  }

  delete(block: number): void {
    this.#digest ^= this.#digests.get(block) ?? 0n
    this.#digests.delete(block)
    this.#isChanged = true
  }

  /** The total goes into the commit that changes it. */
  collect(batch: MetadataWriter): void {
    if (!this.#isChanged) return
    this.#isChanged = false
    const { key, value } = packBlockTotal(this.total)
    batch.put(key, value)
  }

  /**
   * Compares what was listed with what the last commit says.
   * @returns what disagrees; undefined when all is well
   */
  disagreement(committed: BlockTotal): string | undefined {
    const { count, digest } = this.total
    if (count !== committed.count) {
      return `the last commit counts ${committed.count} block records, and ${count} are listed`
    }
    if (digest !== committed.digest) return 'the block records are not those of the last commit'
    return undefined
  }
}

/** Key and value of the record, also for a metadata database that is made anew. */
export function packBlockTotal({ count, digest }: BlockTotal): { key: Buffer; value: Buffer } {
  const value = Buffer.alloc(RECORD_BYTES)
  value[0] = RECORD_VERSION
  value.writeBigUInt64LE(BigInt(count), 1)
  value.writeBigUInt64LE(digest, 9)
  return { key: KEY, value }
}

/** @returns undefined in a store of format 2, which had none. @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED */
export function committedBlockTotal(metadata: Pick<MetadataReader, 'get'>): BlockTotal | undefined {
  const record = metadata.get(KEY)
  if (record === undefined) return undefined
  if (record.length !== RECORD_BYTES || record[0] !== RECORD_VERSION) {
    throw new StoreError('UNKNOWN_VERSION', 'The total of block records has an unknown version.')
  }
  const value = Buffer.from(record)
  return { count: Number(value.readBigUInt64LE(1)), digest: value.readBigUInt64LE(9) }
}

function digestOf(block: number, record: Uint8Array): bigint {
  const id = Buffer.alloc(4)
  id.writeUInt32BE(block)
  const digest = createHash('sha256').update(id).update(record).digest()
  return digest.subarray(0, DIGEST_BYTES).readBigUInt64LE()
}
