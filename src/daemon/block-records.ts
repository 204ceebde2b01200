// Block records in the metadata store: what each commit remembers about the block files.

import { StoreError } from '../errors.ts'
import { keyNumber, prefixEnd, TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'
import { BLOCK_FILE_BYTES_MAX } from '../blocks/block-store.ts'
import type { BlockRecord, BlockStore, Compression } from '../blocks/block-store.ts'
import { KEY_ID_MAX } from '../crypto/index.ts'
import { BlockCensus } from './block-census.ts'

//  0 1 version  1 1 closed  2 2 group  4 2 key id  6 4 length  10 4 regions  14 4 chunks  18 4 raw  22 4 compressed
// 26 1 compression (0 none, 1 fast, 2 best)
// 27 8 when it was freed, in seconds since 1970; all bits set = it is part of the store
// 35 … why it is quarantined, UTF-8; empty = it is usable
const RECORD_VERSION = 3
const RECORD_BYTES_MIN = 35
/** Version 2 ended with the compression: the store had no trash, and damage was known from alerts alone. */
const SECOND_VERSION = 2
const SECOND_BYTES = 27
const FREED_AT = 27
const NOT_FREED = 2n ** 64n - 1n
const COMPRESSIONS: readonly Compression[] = ['none', 'fast', 'best']

/**
 * Reads all block records, of the trash too.
 * @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED
 */
export async function loadBlockRecords(
  metadata: Pick<MetadataReader, 'range'>,
): Promise<{ readonly records: BlockRecord[]; readonly census: BlockCensus }> {
  const records: BlockRecord[] = []
  const census = new BlockCensus()
  const prefix = Buffer.from([TABLE.block])
  for await (const { key, value } of metadata.range(prefix, prefixEnd(prefix))) {
    const record = parseBlockRecord(key, value)
    records.push(record)
    census.load(record.block, value)
  }
  return { records, census }
}

/** @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED */
export function parseBlockRecord(key: Uint8Array, bytes: Uint8Array): BlockRecord {
  const value = Buffer.from(bytes)
  const block = keyNumber(key, 4)
  const compression = COMPRESSIONS[value[26] ?? COMPRESSIONS.length]
  const [version] = value
  const isKnown =
    (version === SECOND_VERSION && value.length === SECOND_BYTES) ||
    (version === RECORD_VERSION && value.length >= RECORD_BYTES_MIN)
  if (!isKnown || compression === undefined) {
    throw new StoreError('UNKNOWN_VERSION', 'A block record has an unknown version.')
  }
  const record = {
    block,
    isClosed: value[1] === 1,
    group: value.readUInt16LE(2),
    keyId: value.readUInt16LE(4),
    compression,
    lengthBytes: value.readUInt32LE(6),
    regionCount: value.readUInt32LE(10),
    chunkCount: value.readUInt32LE(14),
    rawBytes: value.readUInt32LE(18),
    compressedBytes: value.readUInt32LE(22),
    ...(version === RECORD_VERSION ? parseState(value) : { quarantine: null, freedSeconds: null }),
  }
  const isSane =
    block > 0 &&
    (value[1] ?? 2) <= 1 &&
    record.group > 0 &&
    record.keyId <= KEY_ID_MAX &&
    record.lengthBytes <= BLOCK_FILE_BYTES_MAX &&
    (record.freedSeconds === null || Number.isSafeInteger(record.freedSeconds))
  if (isSane) return record
  throw new StoreError('RECORD_DAMAGED', `The record of block file ${block} is damaged.`)
}

function parseState(value: Buffer): Pick<BlockRecord, 'quarantine' | 'freedSeconds'> {
  const freed = value.readBigUInt64LE(FREED_AT)
  return {
    freedSeconds: freed === NOT_FREED ? null : Number(freed),
    quarantine: value.length === RECORD_BYTES_MIN ? null : value.toString('utf8', RECORD_BYTES_MIN),
  }
}

/** Writes down what the block store says has changed. */
export class BlockRecordKeeper implements CommitParticipant {
  readonly #blocks: Pick<BlockStore, 'collectRecords' | 'collectForgotten'>
  readonly #census: BlockCensus
  #hasClosed = false

  /** @param census of the records that the last commit has */
  constructor(
    blocks: Pick<BlockStore, 'collectRecords' | 'collectForgotten'>,
    census: BlockCensus,
  ) {
    this.#blocks = blocks
    this.#census = census
  }

  /** Whether a block file was closed since the last call. */
  takeClosed(): boolean {
    const hasClosed = this.#hasClosed
    this.#hasClosed = false
    return hasClosed
  }

  collect(batch: MetadataWriter): void {
    for (const block of this.#blocks.collectForgotten()) {
      batch.delete(recordKey(block))
      this.#census.delete(block)
    }
    for (const record of this.#blocks.collectRecords()) {
      if (record.isClosed) this.#hasClosed = true
      const { key, value } = packBlockRecord(record)
      batch.put(key, value)
      this.#census.put(record.block, value)
    }
    this.#census.collect(batch)
  }

  settled(): void {}
}

/** Key and value of a block record, also for whoever makes them anew. */
export function packBlockRecord(record: BlockRecord): { key: Buffer; value: Buffer } {
  const reason = Buffer.from(record.quarantine ?? '')
  const value = Buffer.alloc(RECORD_BYTES_MIN + reason.length)
  value[0] = RECORD_VERSION
  value[1] = record.isClosed ? 1 : 0
  value.writeUInt16LE(record.group, 2)
  value.writeUInt16LE(record.keyId, 4)
  value.writeUInt32LE(record.lengthBytes, 6)
  value.writeUInt32LE(record.regionCount, 10)
  value.writeUInt32LE(record.chunkCount, 14)
  value.writeUInt32LE(record.rawBytes, 18)
  value.writeUInt32LE(record.compressedBytes, 22)
  value[26] = COMPRESSIONS.indexOf(record.compression)
  const { freedSeconds } = record
  value.writeBigUInt64LE(freedSeconds === null ? NOT_FREED : BigInt(freedSeconds), FREED_AT)
  value.set(reason, RECORD_BYTES_MIN)
  return { key: recordKey(record.block), value }
}

function recordKey(block: number): Buffer {
  const key = Buffer.alloc(5)
  key[0] = TABLE.block
  key.writeUInt32BE(block, 1)
  return key
}
