// Block records in the metadata store: what each commit remembers about the block files.

import { StoreError } from '../errors.ts'
import { keyNumber, prefixEnd, TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'
import { BLOCK_FILE_BYTES_MAX } from '../blocks/block-store.ts'
import type { BlockRecord, BlockStore, Compression } from '../blocks/block-store.ts'
import { KEY_ID_MAX } from '../crypto/index.ts'

//  0 1 version  1 1 closed  2 2 group  4 2 key id  6 4 length  10 4 regions  14 4 chunks  18 4 raw  22 4 compressed
// 26 1 compression (0 none, 1 fast, 2 best)
const RECORD_VERSION = 2
const RECORD_BYTES = 27
const COMPRESSIONS: readonly Compression[] = ['none', 'fast', 'best']

/** @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED */
export async function loadBlockRecords(metadata: MetadataReader): Promise<BlockRecord[]> {
  const records: BlockRecord[] = []
  const prefix = Buffer.from([TABLE.block])
  for await (const { key, value } of metadata.range(prefix, prefixEnd(prefix))) {
    records.push(parseBlockRecord(key, value))
  }
  return records
}

/** @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED */
export function parseBlockRecord(key: Uint8Array, bytes: Uint8Array): BlockRecord {
  const value = Buffer.from(bytes)
  const block = keyNumber(key, 4)
  const compression = COMPRESSIONS[value[26] ?? COMPRESSIONS.length]
  if (value.length !== RECORD_BYTES || value[0] !== RECORD_VERSION || compression === undefined) {
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
  }
  const isSane =
    block > 0 &&
    (value[1] ?? 2) <= 1 &&
    record.group > 0 &&
    record.keyId <= KEY_ID_MAX &&
    record.lengthBytes <= BLOCK_FILE_BYTES_MAX
  if (isSane) return record
  throw new StoreError('RECORD_DAMAGED', `The record of block file ${block} is damaged.`)
}

/** Writes down what the block store says has changed. */
export class BlockRecordKeeper implements CommitParticipant {
  readonly #blocks: Pick<BlockStore, 'collectRecords' | 'collectDropped'>
  #hasClosed = false

  constructor(blocks: Pick<BlockStore, 'collectRecords' | 'collectDropped'>) {
    this.#blocks = blocks
  }

  /** Whether a block file was closed since the last call. */
  takeClosed(): boolean {
    const hasClosed = this.#hasClosed
    this.#hasClosed = false
    return hasClosed
  }

  collect(batch: MetadataWriter): void {
    for (const block of this.#blocks.collectDropped()) batch.delete(recordKey(block))
    for (const record of this.#blocks.collectRecords()) {
      if (record.isClosed) this.#hasClosed = true
      const { key, value } = packBlockRecord(record)
      batch.put(key, value)
    }
  }

  settled(): void {}
}

/** Key and value of a block record, also for whoever makes them anew. */
export function packBlockRecord(record: BlockRecord): { key: Buffer; value: Buffer } {
  const value = Buffer.alloc(RECORD_BYTES)
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
  return { key: recordKey(record.block), value }
}

function recordKey(block: number): Buffer {
  const key = Buffer.alloc(5)
  key[0] = TABLE.block
  key.writeUInt32BE(block, 1)
  return key
}
