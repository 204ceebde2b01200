// The storage groups: each a dedupe domain with its own chunking, fingerprint key and compression.

import { randomBytes } from 'node:crypto'
import { CofferError, StoreError } from '../errors.ts'
import { keyNumber, prefixEnd, TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'
import { CHUNK_BYTES_MAX } from '../blocks/block-store.ts'
import type { Compression } from '../blocks/block-store.ts'
import { CHUNK_KEY_BYTES } from '../native/data-path.ts'

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
  /** 32 bytes: the key of fingerprints; zeros once it is in the group's keystore alone */
  readonly fingerprintKey: Uint8Array
  /** two odd constants that decide where chunks are cut; likewise */
  readonly cutConstants: readonly [number, number]
  /** whether the two above are here */
  readonly hasSecrets: boolean
  /** of the group's newest keystore, so that an older one is known as such; 0 = it never had one */
  readonly keystoreSequence: number
  /** most physical bytes; 0 = no limit */
  readonly quotaBytes: number
}

/** Longest chunk of a group. */
export function chunkBytesMax(group: StorageGroup): number {
  return Math.min(CHUNK_BYTES_MAX, group.chunkSizeBytes * CHUNK_MAX_FACTOR)
}

//  0 1 version  1 1 compression  2 4 chunk size  6 4 + 10 4 cut constants  14 32 fingerprint key
// 46 1 flags  47 8 keystore sequence  55 8 quota  63 … name
const RECORD_VERSION = 2
const FLAG_HAS_SECRETS = 1
const NAME_OFFSET = 63
const FINGERPRINT_KEY_BYTES = 32
/** The greatest id that was ever given out: a deleted group's must not name another one's data. */
const LAST_ID_KEY = Buffer.from([TABLE.superblock, ...Buffer.from('group')])
//  0 1 version  1 2 id
const LAST_ID_VERSION = 1
const LAST_ID_BYTES = 3
const COMPRESSIONS: readonly Compression[] = ['none', 'fast', 'best']

/** What the group's data is cut and named with, as the keystore has it: the fingerprint key, then the multipliers. */
export function chunkKeyBytes({ fingerprintKey, cutConstants }: StorageGroup): Uint8Array {
  const bytes = new Uint8Array(CHUNK_KEY_BYTES)
  const [low, high] = cutConstants
  bytes.set(fingerprintKey)
  new DataView(bytes.buffer).setUint32(FINGERPRINT_KEY_BYTES, low, true)
  new DataView(bytes.buffer).setUint32(FINGERPRINT_KEY_BYTES + 4, high, true)
  return bytes
}

export class StorageGroups implements CommitParticipant {
  readonly #byId = new Map<number, StorageGroup>()
  #changed = new Set<number>()
  #lastId = 0

  async load(metadata: Pick<MetadataReader, 'get' | 'range'>): Promise<void> {
    const prefix = Buffer.from([TABLE.group])
    for await (const { key, value } of metadata.range(prefix, prefixEnd(prefix))) {
      const group = parseGroup(keyNumber(key, 2), Buffer.from(value))
      this.#lastId = Math.max(this.#lastId, group.id)
      this.#byId.set(group.id, group)
    }
    const last = metadata.get(LAST_ID_KEY)
    if (last !== undefined) this.#lastId = Math.max(this.#lastId, parseLastId(last))
  }

  /** Ids up to this one have been given out, whatever is known of their groups. @returns the record that says so */
  static lastIdRecord(lastId: number): { key: Buffer; value: Buffer } {
    return { key: LAST_ID_KEY, value: packLastId(lastId) }
  }

  get lastId(): number {
    return this.#lastId
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
      id: ++this.#lastId,
      name,
      compression,
      chunkSizeBytes,
      fingerprintKey: new Uint8Array(randomBytes(32)),
      cutConstants: [(random.readUInt32LE(0) | 1) >>> 0, (random.readUInt32LE(4) | 1) >>> 0],
      hasSecrets: true,
      keystoreSequence: 0,
      quotaBytes: 0,
    }
    this.#byId.set(group.id, group)
    this.#changed.add(group.id)
    return group
  }

  /** Settings that may change at any time; compression applies to what is written from now on. */
  update(
    name: string,
    settings: { readonly compression?: Compression; readonly quotaBytes?: number },
  ): StorageGroup {
    return this.#replace({ ...this.named(name), ...settings })
  }

  /** The group must be empty; its id is not used again. @throws CofferError GROUP_NOT_FOUND, GROUP_IS_DEFAULT */
  delete(name: string): void {
    const group = this.named(name)
    if (name === DEFAULT_GROUP) {
      throw new CofferError('GROUP_IS_DEFAULT', `${DEFAULT_GROUP} can't be deleted.`)
    }
    this.#byId.delete(group.id)
    this.#changed.add(group.id)
  }

  /** The keystore of the group has been written. */
  setKeystoreSequence(id: number, keystoreSequence: number): void {
    this.#replace({ ...this.byId(id), keystoreSequence })
  }

  /** The group is encrypted: what its data is cut and named with is in its keystore alone from now on. */
  dropSecrets(id: number): void {
    const group = this.byId(id)
    if (!group.hasSecrets) return
    this.#replace({
      ...group,
      hasSecrets: false,
      fingerprintKey: new Uint8Array(group.fingerprintKey.length),
      cutConstants: [0, 0],
    })
    group.fingerprintKey.fill(0)
  }

  #replace(group: StorageGroup): StorageGroup {
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
      const group = this.#byId.get(id)
      if (group === undefined) batch.delete(key)
      else batch.put(key, packGroup(group))
    }
    if (this.#changed.size > 0) batch.put(LAST_ID_KEY, packLastId(this.#lastId))
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
  record[46] = group.hasSecrets ? FLAG_HAS_SECRETS : 0
  record.writeBigUInt64LE(BigInt(group.keystoreSequence), 47)
  record.writeBigUInt64LE(BigInt(group.quotaBytes), 55)
  return Buffer.concat([record, Buffer.from(group.name)])
}

function parseGroup(id: number, record: Buffer): StorageGroup {
  const compression = COMPRESSIONS[record[1] ?? COMPRESSIONS.length]
  if (
    record.length <= NAME_OFFSET ||
    record[0] !== RECORD_VERSION ||
    compression === undefined ||
    (record[46] ?? 2) > FLAG_HAS_SECRETS
  ) {
    throw new StoreError(
      'UNKNOWN_VERSION',
      `The record of storage group ${id} is of an unknown version.`,
    )
  }
  const chunkSizeBytes = record.readUInt32LE(2)
  const keystoreSequence = Number(record.readBigUInt64LE(47))
  const quotaBytes = Number(record.readBigUInt64LE(55))
  const nameBytes = record.subarray(NAME_OFFSET)
  const name = nameBytes.toString()
  const isSane =
    id > 0 &&
    chunkSizeBytes >= CHUNK_SIZE_BYTES_MIN &&
    chunkSizeBytes <= CHUNK_SIZE_BYTES_MAX &&
    Number.isSafeInteger(keystoreSequence) &&
    Number.isSafeInteger(quotaBytes) &&
    nameBytes.equals(Buffer.from(name))
  if (!isSane) {
    throw new StoreError('RECORD_DAMAGED', `The record of storage group ${id} is damaged.`)
  }
  return {
    id,
    name,
    compression,
    chunkSizeBytes,
    cutConstants: [record.readUInt32LE(6), record.readUInt32LE(10)],
    fingerprintKey: Uint8Array.prototype.slice.call(record, 14, 14 + FINGERPRINT_KEY_BYTES),
    hasSecrets: record[46] === FLAG_HAS_SECRETS,
    keystoreSequence,
    quotaBytes,
  }
}

function packLastId(id: number): Buffer {
  const record = Buffer.from([LAST_ID_VERSION, 0, 0])
  record.writeUInt16LE(id, 1)
  return record
}

function parseLastId(value: Uint8Array): number {
  const record = Buffer.from(value)
  if (record.length !== LAST_ID_BYTES || record[0] !== LAST_ID_VERSION) {
    throw new StoreError(
      'UNKNOWN_VERSION',
      'The record of the last group id is of an unknown version.',
    )
  }
  return record.readUInt16LE(1)
}
