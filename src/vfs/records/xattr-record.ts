// The record of all extended attributes of an inode, at key X inode(8).

import type { ByteString, InodeNumber } from '../types.ts'
import { RecordReader, RecordWriter } from './binary.ts'

const VERSION = 1
const HEADER_BYTES = 1 + 2
const ENTRY_BYTES = 1 + 4

export type XattrMap = ReadonlyMap<ByteString, Uint8Array>

/** the size of the record, which the limit of an inode's attributes counts */
export function xattrRecordBytes(xattrs: XattrMap): number {
  let size = HEADER_BYTES
  for (const [name, value] of xattrs) size += ENTRY_BYTES + name.length + value.length
  return size
}

export function encodeXattrs(xattrs: XattrMap): Uint8Array {
  const record = new RecordWriter(xattrRecordBytes(xattrs), VERSION)
  record.u16(xattrs.size)
  for (const [name, value] of xattrs) {
    record.u8(name.length)
    record.text(name)
    record.u32(value.length)
    record.raw(value)
  }
  return record.finish()
}

/** @throws StoreError */
export function decodeXattrs(bytes: Uint8Array, inode: InodeNumber): XattrMap {
  const record = new RecordReader(bytes, VERSION, `record of inode ${inode}'s extended attributes`)
  const xattrs = new Map<ByteString, Uint8Array>()
  for (let left = record.u16(); left > 0; left--) {
    const name = record.text(record.u8())
    if (xattrs.has(name)) record.damaged('names one of them twice')
    xattrs.set(name, record.raw(record.u32()))
  }
  record.end()
  return xattrs
}
