// Writes the kernel's reply structs (linux/fuse.h) into the reply area. A method returns the offset behind what it wrote.

import { Buffer } from 'node:buffer'
import type {
  Attributes,
  ByteString,
  DirectoryEntry,
  Entry,
  FilesystemStatistics,
  OpenedFile,
} from './filesystem.ts'
import { OpenReplyFlag, OUT_HEADER_BYTES } from './protocol.ts'

const TWO_POW_32 = 2 ** 32
/** Every change comes through this mount and so through the kernel's own cache: what it knows stays right. */
const CACHE_SECONDS = 24 * 60 * 60
/** st_blksize: what programs should write at a time; the largest that the kernel hands us in one request. */
const PREFERRED_IO_BYTES = 1024 * 1024

const ENTRY_BYTES = 128
const ATTRIBUTES_BYTES = 88
const DIRENT_HEADER_BYTES = 24

/** Bytes of one entry in a directory listing; `plus` for READDIRPLUS. */
export function direntBytes(nameBytes: number, plus: boolean): number {
  return (plus ? ENTRY_BYTES : 0) + ((DIRENT_HEADER_BYTES + nameBytes + 7) & ~7)
}

export class ReplyWriter {
  readonly #bytes: Buffer
  readonly #words: Uint32Array
  /** how much fits */
  readonly capacity: number

  constructor(area: ArrayBuffer, capacity: number) {
    this.#bytes = Buffer.from(area, 0, capacity)
    this.#words = new Uint32Array(area, 0, capacity >>> 2)
    this.capacity = capacity
  }

  /** fuse_out_header. @param error 0 or a positive errno; for a notification the notification's code, negated */
  header(uniqueLow: number, uniqueHigh: number, error: number, length: number): void {
    const words = this.#words
    words[0] = length
    words[1] = -error
    words[2] = uniqueLow
    words[3] = uniqueHigh
  }

  u32(offset: number, value: number): void {
    this.#words[offset >>> 2] = value
  }

  /** Also right for negative values: both halves in two's complement. */
  u64(offset: number, value: number): void {
    this.#words[offset >>> 2] = value
    this.#words[(offset >>> 2) + 1] = Math.floor(value / TWO_POW_32)
  }

  bytes(offset: number, value: Uint8Array): number {
    this.#bytes.set(value, offset)
    return offset + value.length
  }

  text(offset: number, value: ByteString): number {
    return offset + this.#bytes.write(value, offset, 'latin1')
  }

  /** As text, with a NUL behind it. */
  terminated(offset: number, value: ByteString): number {
    const end = this.text(offset, value)
    this.#bytes[end] = 0
    return end + 1
  }

  #attributes(offset: number, attributes: Attributes): number {
    this.u64(offset, attributes.inode)
    this.u64(offset + 8, attributes.sizeBytes)
    this.u64(offset + 16, attributes.blockCount)
    this.u64(offset + 24, attributes.accessTime.seconds)
    this.u64(offset + 32, attributes.modifyTime.seconds)
    this.u64(offset + 40, attributes.changeTime.seconds)
    this.u32(offset + 48, attributes.accessTime.nanoseconds)
    this.u32(offset + 52, attributes.modifyTime.nanoseconds)
    this.u32(offset + 56, attributes.changeTime.nanoseconds)
    this.u32(offset + 60, attributes.mode)
    this.u32(offset + 64, attributes.linkCount)
    this.u32(offset + 68, attributes.uid)
    this.u32(offset + 72, attributes.gid)
    this.u32(offset + 76, attributes.deviceNumber)
    this.u32(offset + 80, PREFERRED_IO_BYTES)
    this.u32(offset + 84, 0)
    return offset + ATTRIBUTES_BYTES
  }

  /** attr_out */
  attributes(attributes: Attributes): number {
    this.u64(OUT_HEADER_BYTES, CACHE_SECONDS)
    this.u64(OUT_HEADER_BYTES + 8, 0)
    return this.#attributes(OUT_HEADER_BYTES + 16, attributes)
  }

  /** entry_out; `undefined` tells the kernel that it may remember the name's absence */
  entry(offset: number, entry: Entry | undefined): number {
    if (entry === undefined) return this.noEntry(offset, CACHE_SECONDS)
    this.u64(offset, entry.attributes.inode)
    this.u64(offset + 8, entry.generation)
    this.u64(offset + 16, CACHE_SECONDS)
    this.u64(offset + 24, CACHE_SECONDS)
    this.u64(offset + 32, 0)
    return this.#attributes(offset + 40, entry.attributes)
  }

  /** entry_out without an inode: in a lookup "no such name", in READDIRPLUS "not looked up". */
  noEntry(offset: number, validSeconds: number): number {
    this.#words.fill(0, offset >>> 2, (offset + ENTRY_BYTES) >>> 2)
    this.u64(offset + 16, validSeconds)
    return offset + ENTRY_BYTES
  }

  /** open_out */
  opened(offset: number, file: OpenedFile): number {
    let flags = 0
    if (file.directIo) flags |= OpenReplyFlag.DIRECT_IO | OpenReplyFlag.PARALLEL_DIRECT_WRITES
    if (file.keepCache) flags |= OpenReplyFlag.KEEP_CACHE
    if (!file.isFlushed) flags |= OpenReplyFlag.NO_FLUSH
    return this.#opened(offset, file.handle, flags)
  }

  /** open_out of a directory, without a handle: its listing is asked for by its inode. The kernel keeps it until something in it changes. */
  openedDirectory(offset: number): number {
    return this.#opened(offset, 0, OpenReplyFlag.CACHE_DIR | OpenReplyFlag.KEEP_CACHE)
  }

  #opened(offset: number, handle: number, flags: number): number {
    this.u64(offset, handle)
    this.u64(offset + 8, flags)
    return offset + 16
  }

  /** fuse_dirent: the caller has checked that it fits */
  dirent(offset: number, entry: DirectoryEntry): number {
    this.u64(offset, entry.inode)
    this.u64(offset + 8, entry.cookie)
    this.u32(offset + 16, entry.name.length)
    this.u32(offset + 20, (entry.type >>> 12) & 0xf)
    const end = offset + direntBytes(entry.name.length, false)
    // The name's last 8 bytes may be padding, which must not carry an earlier reply's bytes.
    this.#words.fill(0, (end >>> 2) - 2, end >>> 2)
    this.text(offset + DIRENT_HEADER_BYTES, entry.name)
    return end
  }

  /** kstatfs */
  statistics(offset: number, statistics: FilesystemStatistics): number {
    this.#words.fill(0, offset >>> 2, (offset + 80) >>> 2)
    this.u64(offset, statistics.totalBlocks)
    this.u64(offset + 8, statistics.freeBlocks)
    this.u64(offset + 16, statistics.availableBlocks)
    this.u64(offset + 24, statistics.totalInodes)
    this.u64(offset + 32, statistics.freeInodes)
    this.u32(offset + 40, statistics.blockSizeBytes)
    this.u32(offset + 44, statistics.nameLengthMax)
    this.u32(offset + 48, statistics.blockSizeBytes)
    return offset + 80
  }
}
