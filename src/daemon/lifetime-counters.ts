// What clients and dedupe have done since the store was made: one record, brought up to date by commits that happen
// anyway, so that a daemon that does nothing writes nothing. A killed daemon loses what it counted since its last commit.

import { StoreError } from '../errors.ts'
import { TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'
import { bufferOf } from '../buffer-of.ts'

const KEY = Buffer.from([TABLE.superblock, ...Buffer.from('counters')])
//  0 1 version   1 8 counted since   9 6 × 8 the counters in the order of COUNTER_NAMES     little-endian
const RECORD_VERSION = 1

const COUNTER_NAMES = [
  'bytesWritten',
  'bytesRead',
  'operations',
  'lookups',
  'hits',
  'chunksStored',
] as const
const RECORD_BYTES = 9 + 8 * COUNTER_NAMES.length

export type Counters = Readonly<Record<(typeof COUNTER_NAMES)[number], number>>

const ZEROS: Counters = {
  bytesWritten: 0,
  bytesRead: 0,
  operations: 0,
  lookups: 0,
  hits: 0,
  chunksStored: 0,
}

export class LifetimeCounters implements CommitParticipant {
  /** seconds since 1970: the store was made then, or first opened by a version that counts */
  readonly sinceSeconds: number
  readonly #before: Counters
  readonly #current: () => Counters
  #written: Buffer | undefined

  /**
   * @param current the figures since this process began
   * @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED
   */
  constructor(metadata: MetadataReader, nowSeconds: number, current: () => Counters) {
    const record = metadata.get(KEY)
    this.#current = current
    this.#written = record === undefined ? undefined : Buffer.from(record)
    this.#before = record === undefined ? ZEROS : parseCounters(record)
    this.sinceSeconds = record === undefined ? nowSeconds : readNumber(record, 1)
  }

  sinceStart(): Counters {
    return this.#current()
  }

  lifetime(): Counters {
    return addCounters(this.#before, this.#current())
  }

  /** Only when a figure differs from the record; what only reads have changed waits for a commit of something else. */
  collect(batch: MetadataWriter): void {
    const record = packCounters(this.sinceSeconds, this.lifetime())
    if (this.#written?.equals(record) === true) return
    this.#written = record
    batch.put(KEY, record)
  }

  settled(): void {}
}

function addCounters(a: Counters, b: Counters): Counters {
  return mapCounters(name => a[name] + b[name])
}

function mapCounters(valueOf: (name: keyof Counters) => number): Counters {
  const result = { ...ZEROS }
  for (const name of COUNTER_NAMES) result[name] = valueOf(name)
  return result
}

function packCounters(sinceSeconds: number, counters: Counters): Buffer {
  const record = Buffer.alloc(RECORD_BYTES)
  record[0] = RECORD_VERSION
  record.writeBigUInt64LE(BigInt(sinceSeconds), 1)
  for (const [index, name] of COUNTER_NAMES.entries()) {
    record.writeBigUInt64LE(BigInt(counters[name]), 9 + 8 * index)
  }
  return record
}

function parseCounters(record: Uint8Array): Counters {
  if (record.length !== RECORD_BYTES || record[0] !== RECORD_VERSION) {
    throw new StoreError('UNKNOWN_VERSION', "The store's counters are of an unknown version.")
  }
  return mapCounters(name => readNumber(record, 9 + 8 * COUNTER_NAMES.indexOf(name)))
}

function readNumber(record: Uint8Array, offset: number): number {
  const view = bufferOf(record)
  const number = Number(view.readBigUInt64LE(offset))
  if (Number.isSafeInteger(number)) return number
  throw new StoreError('RECORD_DAMAGED', "The store's counters are damaged.")
}
