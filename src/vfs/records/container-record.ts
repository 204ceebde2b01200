// The record of a container, at key K container(4), and the counters of numbers that are never given out twice.

import { TABLE } from '../../metadata/keys.ts'
import type { ByteString, InodeNumber, Timestamp } from '../types.ts'
import { RecordReader, RecordWriter, TIMESTAMP_BYTES } from './binary.ts'

const VERSION = 1
const FIXED_BYTES = 1 + 1 + 2 + 8 + TIMESTAMP_BYTES + 8 + 8 + 2
const FLAG_DELETING = 1

export interface ContainerFields {
  name: ByteString
  /** the storage group's id */
  readonly group: number
  /** changes only by a repair */
  root: InodeNumber
  readonly created: Timestamp
  /** nothing names it any more, its tree is being reclaimed */
  deleting: boolean
  /** sizes of its regular files, each inode once */
  logicalBytes: number
  /** inodes that are no directories */
  fileCount: number
}

export function containerKey(id: number): Buffer {
  const key = Buffer.alloc(5)
  key[0] = TABLE.container
  key.writeUInt32BE(id, 1)
  return key
}

/** @param logicalBytes by the sizes that the same commit writes down */
export function encodeContainer(container: ContainerFields, logicalBytes: number): Uint8Array {
  const record = new RecordWriter(FIXED_BYTES + container.name.length, VERSION)
  record.u8(container.deleting ? FLAG_DELETING : 0)
  record.u16(container.group)
  record.i64(container.root)
  record.timestamp(container.created)
  record.i64(logicalBytes)
  record.i64(container.fileCount)
  record.u16(container.name.length)
  record.text(container.name)
  return record.finish()
}

/** @throws StoreError */
export function decodeContainer(bytes: Uint8Array, id: number): ContainerFields {
  const record = new RecordReader(bytes, VERSION, `record of container ${id}`)
  const fields = {
    deleting: record.flags(FLAG_DELETING) !== 0,
    group: record.u16(),
    root: record.natural(),
    created: record.timestamp(),
    logicalBytes: record.i64(),
    fileCount: record.natural(),
    name: record.text(record.u16()),
  }
  record.end()
  return fields
}

export interface Counters {
  nextInode: InodeNumber
  nextContainer: number
}

/** beside the superblock, which is the single byte S */
export const COUNTERS_KEY = Buffer.concat([Buffer.of(TABLE.superblock), Buffer.from('inode')])
const COUNTERS_BYTES = 1 + 8 + 4

export function encodeCounters(counters: Counters): Uint8Array {
  const record = new RecordWriter(COUNTERS_BYTES, VERSION)
  record.i64(counters.nextInode)
  record.u32(counters.nextContainer)
  return record.finish()
}

/** @throws StoreError */
export function decodeCounters(bytes: Uint8Array): Counters {
  const record = new RecordReader(bytes, VERSION, 'record of the next inode number')
  const counters = { nextInode: record.natural(), nextContainer: record.u32() }
  record.end()
  return counters
}
