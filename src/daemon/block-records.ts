// Block records in the metadata store: what each commit remembers about the block files.

import { StoreError } from '../errors.ts'
import { prefixEnd, TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'
import type { BlockRecord, BlockStore, Compression } from '../blocks/block-store.ts'

//  0 1 version  1 1 closed  2 2 group  4 2 key id  6 4 length  10 4 regions  14 4 chunks  18 4 raw  22 4 compressed
// 26 1 compression (0 none, 1 fast, 2 best)
const RECORD_VERSION = 2
const RECORD_BYTES = 27
const COMPRESSIONS: readonly Compression[] = ['none', 'fast', 'best']

/** @throws StoreError UNKNOWN_VERSION */
export async function loadBlockRecords(metadata: MetadataReader): Promise<BlockRecord[]> {
  const records: BlockRecord[] = []
  const prefix = Buffer.from([TABLE.block])
  for await (const { key, value } of metadata.range(prefix, prefixEnd(prefix))) {
    records.push(parseBlockRecord(key, value))
  }
  return records
}

/** @throws StoreError UNKNOWN_VERSION */
export function parseBlockRecord(key: Uint8Array, value: Uint8Array): BlockRecord {
  const record = Buffer.from(value)
  const compression = COMPRESSIONS[record[26] ?? COMPRESSIONS.length]
  if (record.length !== RECORD_BYTES || record[0] !== RECORD_VERSION || compression === undefined) {
    throw new StoreError('UNKNOWN_VERSION', 'A block record has an unknown version.')
  }
  return {
    block: Buffer.from(key).readUInt32BE(1),
    isClosed: record[1] === 1,
    group: record.readUInt16LE(2),
    keyId: record.readUInt16LE(4),
    compression,
    lengthBytes: record.readUInt32LE(6),
    regionCount: record.readUInt32LE(10),
    chunkCount: record.readUInt32LE(14),
    rawBytes: record.readUInt32LE(18),
    compressedBytes: record.readUInt32LE(22),
  }
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
      batch.put(recordKey(record.block), value)
    }
  }

  settled(): void {}
}

function recordKey(block: number): Buffer {
  const key = Buffer.alloc(5)
  key[0] = TABLE.block
  key.writeUInt32BE(block, 1)
  return key
}
