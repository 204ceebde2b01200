// The record of an inode, at key I inode(8).

import type { ByteString, InodeNumber, Timestamp } from '../types.ts'
import { RecordReader, RecordWriter, TIMESTAMP_BYTES } from './binary.ts'

const VERSION = 1
/** everything but the symlink's target */
const FIXED_BYTES = 1 + 5 * 4 + 2 * 8 + 2 * 4 + 8 + 4 + 1 + 4 * TIMESTAMP_BYTES + 2
const FLAG_HAS_XATTRS = 1

/** What is kept of an inode on disk. */
export interface InodeFields {
  mode: number
  uid: number
  gid: number
  linkCount: number
  generation: number
  /** regular files: size; symlinks: the target's length */
  sizeBytes: number
  /** bytes that extents cover */
  mappedBytes: number
  deviceNumber: number
  /** 0 for the root of the mount */
  container: number
  /** directories: the directory that names this one; else 0 */
  parent: InodeNumber
  /** directories: entries without "." and ".." */
  childCount: number
  /** whether an X record exists: spares a lookup for the many files without any */
  hasXattrs: boolean
  accessTime: Timestamp
  modifyTime: Timestamp
  changeTime: Timestamp
  birthTime: Timestamp
  /** symlinks: the target; else empty */
  target: ByteString
}

/** @param sizeBytes and mappedBytes: what a commit made now may promise of the file's data */
export function encodeInode(
  inode: InodeFields,
  sizeBytes: number,
  mappedBytes: number,
): Uint8Array {
  const record = new RecordWriter(FIXED_BYTES + inode.target.length, VERSION)
  record.u32(inode.mode)
  record.u32(inode.uid)
  record.u32(inode.gid)
  record.u32(inode.linkCount)
  record.u32(inode.generation)
  record.i64(sizeBytes)
  record.i64(mappedBytes)
  record.u32(inode.deviceNumber)
  record.u32(inode.container)
  record.i64(inode.parent)
  record.u32(inode.childCount)
  record.u8(inode.hasXattrs ? FLAG_HAS_XATTRS : 0)
  record.timestamp(inode.accessTime)
  record.timestamp(inode.modifyTime)
  record.timestamp(inode.changeTime)
  record.timestamp(inode.birthTime)
  record.u16(inode.target.length)
  record.text(inode.target)
  return record.finish()
}

/** @throws StoreError */
export function decodeInode(bytes: Uint8Array, inode: InodeNumber): InodeFields {
  const record = new RecordReader(bytes, VERSION, `record of inode ${inode}`)
  const fields = {
    mode: record.u32(),
    uid: record.u32(),
    gid: record.u32(),
    linkCount: record.u32(),
    generation: record.u32(),
    sizeBytes: record.natural(),
    mappedBytes: record.natural(),
    deviceNumber: record.u32(),
    container: record.u32(),
    parent: record.natural(),
    childCount: record.u32(),
    hasXattrs: record.flags(FLAG_HAS_XATTRS) !== 0,
    accessTime: record.timestamp(),
    modifyTime: record.timestamp(),
    changeTime: record.timestamp(),
    birthTime: record.timestamp(),
    target: record.text(record.u16()),
  }
  record.end()
  return fields
}
