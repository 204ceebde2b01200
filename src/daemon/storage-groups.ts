// The storage groups: each a dedupe domain with its own chunking, fingerprint key and compression.

import { randomBytes } from 'node:crypto'
import { CofferError, StoreError } from '../errors.ts'
import { prefixEnd, TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'
import { CHUNK_BYTES_MAX } from '../blocks/block-store.ts'
import type { Compression } from '../blocks/block-store.ts'

export const DEFAULT_GROUP = 'DefaultGroup'
/** The best dedupe ratio for what the index costs, by measurement; 8 to 64 KiB are sensible. */
export const CHUNK_SIZE_BYTES_DEFAULT = 32 * 1024
export const CHUNK_SIZE_BYTES_MIN = 4 * 1024
/** Chunks vary; the largest must stay within the format's limit. */
export const CHUNK_SIZE_BYTES_MAX = 64 * 1024
const CHUNK_MAX_FACTOR = 8
const GROUP_COUNT_MAX = 1000

export interface StorageGroup {
  /** 1 to 65,535, never reused */
  readonly id: number
  readonly name: string
  readonly compression: Compression
  /** average */
  readonly chunkSizeBytes: number
  /** 32 bytes: the key of fingerprints */
  readonly fingerprintKey: Uint8Array
  /** two odd constants that decide where chunks are cut */
  readonly cutConstants: readonly [number, number]
}

/** Longest chunk of a group. */
export function chunkBytesMax(group: StorageGroup): number {
  return Math.min(CHUNK_BYTES_MAX, group.chunkSizeBytes * CHUNK_MAX_FACTOR)
}

//  0 1 version  1 1 compression  2 4 chunk size  6 4 + 10 4 cut constants  14 32 fingerprint key  46 … name
const RECORD_VERSION = 1
const NAME_OFFSET = 46
const COMPRESSIONS: readonly Compression[] = ['none', 'fast', 'best']

export class StorageGroups implements CommitParticipant {
  readonly #byId = new Map<number, StorageGroup>()
  #changed = new Set<number>()

  async load(metadata: MetadataReader): Promise<void> {
    const prefix = Buffer.from([TABLE.group])
    for await (const { key, value } of metadata.range(prefix, prefixEnd(prefix))) {
      const group = parseGroup(Buffer.from(key).readUInt16BE(1), Buffer.from(value))
      this.#byId.set(group.id, group)
    }
  }

  /** @throws CofferError GROUP_EXISTS, CHUNK_SIZE, GROUP_LIMIT */
  add(
    name: string,
    compression: Compression,
    chunkSizeBytes = CHUNK_SIZE_BYTES_DEFAULT,
  ): StorageGroup {
    if (this.find(name) !== undefined) {
      throw new CofferError('GROUP_EXISTS', `There is a storage group ${name} already.`)
    }
    if (chunkSizeBytes < CHUNK_SIZE_BYTES_MIN || chunkSizeBytes > CHUNK_SIZE_BYTES_MAX) {
      throw new CofferError('CHUNK_SIZE', 'The chunk size must be between 4 KiB and 64 KiB.')
    }
    if (this.#byId.size >= GROUP_COUNT_MAX) {
      throw new CofferError(
        'GROUP_LIMIT',
        `There can be at most ${GROUP_COUNT_MAX} storage groups.`,
      )
    }
    const random = randomBytes(8)
    const group: StorageGroup = {
      id: Math.max(0, ...this.#byId.keys()) + 1,
      name,
      compression,
      chunkSizeBytes,
      fingerprintKey: new Uint8Array(randomBytes(32)),
      cutConstants: [(random.readUInt32LE(0) | 1) >>> 0, (random.readUInt32LE(4) | 1) >>> 0],
    }
    this.#byId.set(group.id, group)
    this.#changed.add(group.id)
    return group
  }

  find(name: string): StorageGroup | undefined {
    for (const group of this.#byId.values()) if (group.name === name) return group
    return undefined
  }

  /** @throws CofferError GROUP_NOT_FOUND */
  named(name: string): StorageGroup {
    const group = this.find(name)
    if (group === undefined)
      throw new CofferError('GROUP_NOT_FOUND', `There is no storage group ${name}.`)
    return group
  }

  byId(id: number): StorageGroup {
    const group = this.#byId.get(id)
    if (group === undefined)
      throw new StoreError('GROUP_MISSING', `Storage group ${id} has no record.`)
    return group
  }

  list(): StorageGroup[] {
    return [...this.#byId.values()]
  }

  collect(batch: MetadataWriter): void {
    for (const id of this.#changed) {
      const key = Buffer.alloc(3)
      key[0] = TABLE.group
      key.writeUInt16BE(id, 1)
      batch.put(key, packGroup(this.byId(id)))
    }
    this.#changed = new Set()
  }

  settled(): void {}
}

function packGroup(group: StorageGroup): Buffer {
  const record = Buffer.alloc(NAME_OFFSET)
  record[0] = RECORD_VERSION
  record[1] = COMPRESSIONS.indexOf(group.compression)
  record.writeUInt32LE(group.chunkSizeBytes, 2)
  record.writeUInt32LE(group.cutConstants[0], 6)
  record.writeUInt32LE(group.cutConstants[1], 10)
  record.set(group.fingerprintKey, 14)
  return Buffer.concat([record, Buffer.from(group.name)])
}

function parseGroup(id: number, record: Buffer): StorageGroup {
  const compression = COMPRESSIONS[record[1] ?? COMPRESSIONS.length]
  if (record.length <= NAME_OFFSET || record[0] !== RECORD_VERSION || compression === undefined) {
    throw new StoreError(
      'UNKNOWN_VERSION',
      `The record of storage group ${id} is of an unknown version.`,
    )
  }
  return {
    id,
    name: record.subarray(NAME_OFFSET).toString(),
    compression,
    chunkSizeBytes: record.readUInt32LE(2),
    cutConstants: [record.readUInt32LE(6), record.readUInt32LE(10)],
    fingerprintKey: Uint8Array.prototype.slice.call(record, 14, NAME_OFFSET),
  }
}
