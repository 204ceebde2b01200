// Reads the kernel's request structs (linux/fuse.h) where they lie. FUSE speaks the host's byte order; coffer runs
// on little-endian machines (x86-64, arm64), which `words` relies on.

import { Buffer } from 'node:buffer'
import { FilesystemError } from '../errors.ts'
import type { AttributeChanges, ByteString, Caller, Timestamp } from './filesystem.ts'
import {
  IN_HEADER_BYTES,
  NAME_BYTES_MAX,
  SETXATTR_IN_COMPAT_BYTES,
  SetattrField,
} from './protocol.ts'

const TWO_POW_32 = 2 ** 32
const UMASK_BITS = 0o777
/** Above this high word a 64-bit value doesn't fit a Number exactly. */
const HIGH_WORD_MAX = 2 ** 21 - 1

/**
 * One request, positioned by `seek` and then read field by field: offsets count from behind the header.
 * A single instance serves all requests, so nothing is allocated per request; what outlives the handler is copied.
 */
export class RequestReader {
  readonly #bytes: Buffer
  readonly #words: Uint32Array
  /** absolute offset of the arguments */
  #start = 0
  #end = 0

  opcode = 0
  /** the two halves of the request's id: it is only ever echoed */
  uniqueLow = 0
  uniqueHigh = 0
  node = 0
  uid = 0
  /** of the thread that asks; 0 = the kernel itself */
  pid = 0
  /** a number that an operation's first half leaves for its second, e.g. how large a reply may be */
  argument = 0
  /** what stands before the name in SETXATTR: agreed on at INIT */
  setxattrBytes = SETXATTR_IN_COMPAT_BYTES
  /** as agreed in INIT: the kernel goes on without OPENDIR when that is refused */
  mayRefuseOpendir = false

  constructor(area: ArrayBuffer) {
    this.#bytes = Buffer.from(area)
    this.#words = new Uint32Array(area)
  }

  /**
   * @param offset of the request in the area, a multiple of 4
   * @returns false when it is no request at all: then there is nobody to answer to
   */
  seek(offset: number, length: number): boolean {
    const words = this.#words
    const index = offset >>> 2
    if (length < IN_HEADER_BYTES || (words[index] ?? 0) !== length) return false
    this.opcode = words[index + 1] ?? 0
    this.uniqueLow = words[index + 2] ?? 0
    this.uniqueHigh = words[index + 3] ?? 0
    this.node = (words[index + 5] ?? 0) * TWO_POW_32 + (words[index + 4] ?? 0)
    this.uid = words[index + 6] ?? 0
    this.pid = words[index + 8] ?? 0
    this.#start = offset + IN_HEADER_BYTES
    this.#end = offset + length
    this.argument = 0
    return true
  }

  /** Bytes of arguments. */
  get length(): number {
    return this.#end - this.#start
  }

  /** Of an opcode that makes an inode. @param umaskOffset where its umask is */
  creator(umaskOffset: number): Caller {
    const { uid, gid, pid } = this.caller()
    return { uid, gid, pid, umask: this.u32(umaskOffset) & UMASK_BITS }
  }

  caller(): Caller {
    const gid = this.#words[((this.#start - IN_HEADER_BYTES) >>> 2) + 7] ?? 0
    return { uid: this.uid, gid, pid: this.pid }
  }

  u32(offset: number): number {
    return this.#words[(this.#start + offset) >>> 2] ?? 0
  }

  /** @throws FilesystemError `code` when the value is 2^53 or more */
  u64(offset: number, code = 'EINVAL'): number {
    const index = (this.#start + offset) >>> 2
    const high = this.#words[index + 1] ?? 0
    if (high > HIGH_WORD_MAX) throw new FilesystemError(code, 'a number is too large')
    return high * TWO_POW_32 + (this.#words[index] ?? 0)
  }

  time(secondsOffset: number, nanosecondsOffset: number): Timestamp {
    const index = (this.#start + secondsOffset) >>> 2
    const high = (this.#words[index + 1] ?? 0) | 0
    const seconds = high * TWO_POW_32 + (this.#words[index] ?? 0)
    const nanoseconds = this.u32(nanosecondsOffset)
    if (!Number.isSafeInteger(seconds) || nanoseconds >= 1e9) throw new FilesystemError('EINVAL')
    return { seconds, nanoseconds }
  }

  /**
   * A byte string that ends with NUL.
   * @param offset where it starts
   */
  text(offset: number): ByteString {
    const start = this.#start + offset
    const end = start < this.#end ? this.#bytes.indexOf(0, start) : -1
    if (end < 0 || end >= this.#end) throw new FilesystemError('EINVAL', 'an unfinished string')
    return this.#bytes.toString('latin1', start, end)
  }

  /** As text, for one component of a path. */
  name(offset: number): ByteString {
    const name = this.text(offset)
    if (name.length > NAME_BYTES_MAX) throw new FilesystemError('ENAMETOOLONG')
    if (name.length === 0) throw new FilesystemError('EINVAL', 'an empty name')
    return name
  }

  /** A view of the arguments' bytes: good until the slot is given back. */
  data(offset: number, length: number): Uint8Array {
    if (offset + length > this.length) throw new FilesystemError('EINVAL', 'a short request')
    const start = this.#start + offset
    return this.#bytes.subarray(start, start + length)
  }
}

/** setattr_in (88 bytes) as the fields that are to change. */
export function decodeAttributeChanges(request: RequestReader): AttributeChanges {
  const valid = request.u32(0)
  const has = (field: number): boolean => (valid & field) !== 0
  return {
    ...(has(SetattrField.MODE) && { mode: request.u32(68) }),
    ...(has(SetattrField.UID) && { uid: request.u32(76) }),
    ...(has(SetattrField.GID) && { gid: request.u32(80) }),
    ...(has(SetattrField.SIZE) && { sizeBytes: request.u64(16, 'EFBIG') }),
    ...(has(SetattrField.ATIME) && {
      accessTime: has(SetattrField.ATIME_NOW) ? 'now' : request.time(32, 56),
    }),
    ...(has(SetattrField.MTIME) && {
      modifyTime: has(SetattrField.MTIME_NOW) ? 'now' : request.time(40, 60),
    }),
    ...(has(SetattrField.CTIME) && { changeTime: request.time(48, 64) }),
    ...(has(SetattrField.HANDLE) && { handle: request.u64(8) }),
    ...(has(SetattrField.KILL_SUIDGID) && { killPrivileges: true }),
  }
}
