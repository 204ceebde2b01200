// INIT: what we and the kernel agree on when a mount begins.

import type { RequestReader } from './decode.ts'
import type { ReplyWriter } from './encode.ts'
import {
  InitFlag,
  InitFlag2,
  KERNEL_MAJOR,
  KERNEL_MINOR,
  KERNEL_MINOR_MIN,
  OUT_HEADER_BYTES,
} from './protocol.ts'

/** The largest that the kernel writes at once, and what a slot holds. */
export const WRITE_BYTES_MAX = 1024 * 1024
const PAGE_BYTES = 4096
const READ_AHEAD_BYTES_MAX = 1024 * 1024
/** Requests that the kernel sends in the background (read-ahead, asynchronous direct I/O): as many as there are slots. */
const BACKGROUND_MAX = 64
/** From here on the kernel calls us congested and slows background work down; three quarters, as its own default. */
const CONGESTION_THRESHOLD = 48

const WANTED =
  InitFlag.ASYNC_READ |
  InitFlag.ATOMIC_O_TRUNC |
  InitFlag.EXPORT_SUPPORT |
  InitFlag.BIG_WRITES |
  InitFlag.DONT_MASK |
  InitFlag.DO_READDIRPLUS |
  InitFlag.READDIRPLUS_AUTO |
  InitFlag.ASYNC_DIO |
  InitFlag.PARALLEL_DIROPS |
  InitFlag.POSIX_ACL |
  InitFlag.MAX_PAGES |
  InitFlag.CACHE_SYMLINKS |
  InitFlag.NO_OPENDIR_SUPPORT |
  InitFlag.HANDLE_KILLPRIV_V2 |
  InitFlag.SETXATTR_EXT |
  InitFlag.INIT_EXT

const WANTED_2 = InitFlag2.DIRECT_IO_ALLOW_MMAP

/** What is spoken with the kernel of this mount. */
export interface Agreement {
  readonly major: number
  readonly minor: number
  readonly flags: number
  readonly flags2: number
  readonly readAheadBytes: number
}

/** @returns `undefined` when the kernel is too old for us */
export function agree(request: RequestReader): Agreement | undefined {
  const major = request.u32(0)
  const minor = request.u32(4)
  if (major < KERNEL_MAJOR || (major === KERNEL_MAJOR && minor < KERNEL_MINOR_MIN)) return undefined
  const offered = request.u32(12)
  // The second word of flags is only there when the first says so; older kernels send 16 bytes.
  const extended = (offered & InitFlag.INIT_EXT) !== 0 && request.length >= 20
  return {
    major,
    minor,
    flags: (offered & WANTED) >>> 0,
    flags2: extended ? (request.u32(16) & WANTED_2) >>> 0 : 0,
    readAheadBytes: Math.min(request.u32(8), READ_AHEAD_BYTES_MAX),
  }
}

/** init_out. @returns the reply's length */
export function encodeAgreement(reply: ReplyWriter, agreement: Agreement): number {
  const body = OUT_HEADER_BYTES
  const end = body + 64
  for (let offset = body; offset < end; offset += 4) reply.u32(offset, 0)
  reply.u32(body, KERNEL_MAJOR)
  reply.u32(body + 4, KERNEL_MINOR)
  // A kernel of a later major asks again with ours.
  if (agreement.major > KERNEL_MAJOR) return end
  reply.u32(body + 8, agreement.readAheadBytes)
  reply.u32(body + 12, agreement.flags)
  reply.u32(body + 16, BACKGROUND_MAX | (CONGESTION_THRESHOLD << 16))
  reply.u32(body + 20, WRITE_BYTES_MAX)
  // Times in nanoseconds.
  reply.u32(body + 24, 1)
  reply.u32(body + 28, WRITE_BYTES_MAX / PAGE_BYTES)
  reply.u32(body + 32, agreement.flags2)
  return end
}
