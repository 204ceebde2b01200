// What each opcode asks of the filesystem and how its result is encoded. READ, WRITE and the requests that concern
// the session itself are in dispatch.ts.

import { Buffer } from 'node:buffer'
import { FilesystemError } from '../errors.ts'
import { decodeAttributeChanges, type RequestReader } from './decode.ts'
import {
  encodeReaddir,
  encodeReaddirplus,
  forgetFrom,
  runReaddir,
  runReaddirplus,
  type Listing,
} from './directory-listing.ts'
import type { ReplyWriter } from './encode.ts'
import type {
  Attributes,
  ByteString,
  DirectoryEntry,
  Entry,
  FilesystemStatistics,
  FuseFilesystem,
  OpenedFile,
} from './filesystem.ts'
import {
  FSYNC_DATA_ONLY,
  OPCODE_LIMIT,
  OPEN_KILL_SUIDGID,
  Opcode,
  OUT_HEADER_BYTES,
  RenameFlag,
  SEEK_DATA,
  SEEK_HOLE,
  SETXATTR_ACL_KILL_SGID,
  SETXATTR_IN_BYTES,
} from './protocol.ts'

/** One opcode in two halves: the request is only there for the first, which may answer with a promise. */
interface TypedOperation<Result> {
  /** bytes of the fixed part of the arguments; a shorter request is refused */
  readonly argumentBytes: number
  run(filesystem: FuseFilesystem, request: RequestReader): Result | Promise<Result>
  /** @returns the reply's length. Absent: the reply is a header alone. */
  encode?(reply: ReplyWriter, result: Result, argument: number, filesystem: FuseFilesystem): number
  /** Takes the result back when the kernel didn't get it. */
  undo?(filesystem: FuseFilesystem, result: Result): unknown
}

export type Operation = TypedOperation<unknown>

/** By opcode; what is absent is ENOSYS. */
export const operations = Array.from<Operation | undefined>({ length: OPCODE_LIMIT })

function define<Result>(opcode: number, operation: TypedOperation<Result>): void {
  operations[opcode] = operation
}

const BODY = OUT_HEADER_BYTES
/** the reply's count has 32 bits; whole pages */
const COPY_BYTES_MAX = 2 ** 32 - 4096

// ---- names and inodes ----

function encodeEntry(reply: ReplyWriter, entry: Entry | undefined): number {
  return reply.entry(BODY, entry)
}

function forgetEntry(filesystem: FuseFilesystem, entry: Entry | undefined): void {
  if (entry !== undefined) filesystem.forget(entry.attributes.inode, 1)
}

function encodeAttributes(reply: ReplyWriter, attributes: Attributes): number {
  return reply.attributes(attributes)
}

define<Entry | undefined>(Opcode.LOOKUP, {
  argumentBytes: 2,
  run: (filesystem, request) => filesystem.lookup(request.node, request.name(0)),
  encode: encodeEntry,
  undo: forgetEntry,
})

define<Attributes>(Opcode.GETATTR, {
  argumentBytes: 0,
  run: (filesystem, request) => filesystem.getattr(request.node),
  encode: encodeAttributes,
})

define<Attributes>(Opcode.SETATTR, {
  argumentBytes: 88,
  run: (filesystem, request) =>
    filesystem.setattr(request.node, decodeAttributeChanges(request), request.caller()),
  encode: encodeAttributes,
})

define<ByteString>(Opcode.READLINK, {
  argumentBytes: 0,
  run: (filesystem, request) => filesystem.readlink(request.node),
  encode: (reply, target) => reply.text(BODY, target),
})

define<Entry>(Opcode.SYMLINK, {
  argumentBytes: 2,
  run(filesystem, request) {
    const name = request.name(0)
    const target = request.text(name.length + 1)
    return filesystem.symlink(request.node, name, target, request.caller())
  },
  encode: encodeEntry,
  undo: forgetEntry,
})

define<Entry>(Opcode.MKNOD, {
  argumentBytes: 16,
  run: (filesystem, request) =>
    filesystem.mknod(
      request.node,
      request.name(16),
      request.u32(0),
      request.u32(4),
      request.creator(8),
    ),
  encode: encodeEntry,
  undo: forgetEntry,
})

define<Entry>(Opcode.MKDIR, {
  argumentBytes: 8,
  run: (filesystem, request) =>
    filesystem.mkdir(request.node, request.name(8), request.u32(0), request.creator(4)),
  encode: encodeEntry,
  undo: forgetEntry,
})

define<void>(Opcode.UNLINK, {
  argumentBytes: 2,
  run: (filesystem, request) => filesystem.unlink(request.node, request.name(0), request.caller()),
})

define<void>(Opcode.RMDIR, {
  argumentBytes: 2,
  run: (filesystem, request) => filesystem.rmdir(request.node, request.name(0), request.caller()),
})

function runRename(
  filesystem: FuseFilesystem,
  request: RequestReader,
  flags: number,
  namesOffset: number,
): void | Promise<void> {
  const noReplace = (flags & RenameFlag.NO_REPLACE) !== 0
  const exchange = (flags & RenameFlag.EXCHANGE) !== 0
  const whiteout = (flags & RenameFlag.WHITEOUT) !== 0
  const known = RenameFlag.NO_REPLACE | RenameFlag.EXCHANGE | RenameFlag.WHITEOUT
  if ((flags & ~known) !== 0 || (exchange && (noReplace || whiteout))) {
    throw new FilesystemError('EINVAL')
  }
  const name = request.name(namesOffset)
  const newName = request.name(namesOffset + name.length + 1)
  const newParent = request.u64(0)
  const caller = request.caller()
  const options = { noReplace, exchange, whiteout }
  return filesystem.rename(request.node, name, newParent, newName, options, caller)
}

define<void>(Opcode.RENAME, {
  argumentBytes: 8,
  run: (filesystem, request) => runRename(filesystem, request, 0, 8),
})

define<void>(Opcode.RENAME2, {
  argumentBytes: 16,
  run: (filesystem, request) => runRename(filesystem, request, request.u32(8), 16),
})

define<Entry>(Opcode.LINK, {
  argumentBytes: 8,
  run: (filesystem, request) =>
    filesystem.link(request.u64(0), request.node, request.name(8), request.caller()),
  encode: encodeEntry,
  undo: forgetEntry,
})

// ---- open files ----

/** Clearing setuid and setgid on O_TRUNC is ours (FUSE_HANDLE_KILLPRIV_V2), and `open` has no word for it. */
async function openAndKillPrivileges(
  filesystem: FuseFilesystem,
  opened: OpenedFile | Promise<OpenedFile>,
  change: () => Attributes | Promise<Attributes>,
): Promise<OpenedFile> {
  const file = await opened
  try {
    await change()
  } catch (error) {
    await filesystem.release(file.handle)
    throw error
  }
  return file
}

define<OpenedFile>(Opcode.OPEN, {
  argumentBytes: 8,
  run(filesystem, request) {
    const caller = request.caller()
    const inode = request.node
    const opened = filesystem.open(inode, request.u32(0), caller)
    if ((request.u32(4) & OPEN_KILL_SUIDGID) === 0) return opened
    return openAndKillPrivileges(filesystem, opened, () =>
      filesystem.setattr(inode, { killPrivileges: true }, caller),
    )
  },
  encode: (reply, file) => reply.opened(BODY, file),
  undo: (filesystem, file) => filesystem.release(file.handle),
})

define<{ entry: Entry; file: OpenedFile }>(Opcode.CREATE, {
  argumentBytes: 16,
  run: (filesystem, request) =>
    filesystem.create(
      request.node,
      request.name(16),
      request.u32(4),
      request.u32(0),
      request.creator(8),
    ),
  encode: (reply, { entry, file }) => reply.opened(reply.entry(BODY, entry), file),
  undo(filesystem, { entry, file }) {
    forgetEntry(filesystem, entry)
    return filesystem.release(file.handle)
  },
})

define<{ entry: Entry; file: OpenedFile }>(Opcode.TMPFILE, {
  argumentBytes: 16,
  run: (filesystem, request) =>
    filesystem.tmpfile(request.node, request.u32(4), request.u32(0), request.creator(8)),
  encode: (reply, { entry, file }) => reply.opened(reply.entry(BODY, entry), file),
  async undo(filesystem, { entry, file }) {
    await filesystem.release(file.handle)
    forgetEntry(filesystem, entry)
  },
})

define<void>(Opcode.FLUSH, {
  argumentBytes: 24,
  run: (filesystem, request) => filesystem.flush(request.u64(0)),
})

define<void>(Opcode.RELEASE, {
  argumentBytes: 24,
  run: (filesystem, request) => filesystem.release(request.u64(0)),
})

define<void>(Opcode.FSYNC, {
  argumentBytes: 16,
  run: (filesystem, request) =>
    filesystem.fsync(request.u64(0), (request.u32(8) & FSYNC_DATA_ONLY) !== 0),
})

define<void>(Opcode.FALLOCATE, {
  argumentBytes: 32,
  run: (filesystem, request) =>
    filesystem.fallocate(
      request.u64(0),
      request.u64(8, 'EFBIG'),
      request.u64(16, 'EFBIG'),
      request.u32(24),
      request.caller(),
    ),
})

define<number>(Opcode.COPY_FILE_RANGE, {
  argumentBytes: 56,
  run: (filesystem, request) =>
    filesystem.copyRange(
      request.u64(0),
      request.u64(8, 'EFBIG'),
      request.u64(24),
      request.u64(32, 'EFBIG'),
      Math.min(request.u64(40, 'EFBIG'), COPY_BYTES_MAX),
      request.caller(),
    ),
  encode(reply, copiedBytes) {
    reply.u32(BODY, copiedBytes)
    reply.u32(BODY + 4, 0)
    return BODY + 8
  },
})

define<number>(Opcode.LSEEK, {
  argumentBytes: 24,
  run(filesystem, request) {
    const whence = request.u32(16)
    if (whence !== SEEK_DATA && whence !== SEEK_HOLE) throw new FilesystemError('EINVAL')
    return filesystem.lseek(request.u64(0), request.u64(8, 'ENXIO'), whence)
  },
  encode(reply, offsetBytes) {
    reply.u64(BODY, offsetBytes)
    return BODY + 8
  },
})

// ---- directories ----

// Nothing is kept for an open directory. A kernel that knows of such filesystems asks once, and then opens directories
// itself, with the same flags; which spares two requests for each.
define<void>(Opcode.OPENDIR, {
  argumentBytes: 8,
  run(_filesystem, request) {
    if (request.mayRefuseOpendir) throw new FilesystemError('ENOSYS')
  },
  encode: reply => reply.openedDirectory(BODY),
})

define<readonly DirectoryEntry[]>(Opcode.READDIR, {
  argumentBytes: 40,
  run: (filesystem, request) => runReaddir(filesystem, request, false),
  encode: encodeReaddir,
})

define<Listing>(Opcode.READDIRPLUS, {
  argumentBytes: 40,
  run: runReaddirplus,
  encode: (reply, listing, roomBytes, filesystem) =>
    encodeReaddirplus(filesystem, reply, listing, roomBytes),
  undo: (filesystem, listing) => forgetFrom(filesystem, listing, 0),
})

define<void>(Opcode.RELEASEDIR, {
  argumentBytes: 24,
  run: () => undefined,
})

define<void>(Opcode.FSYNCDIR, {
  argumentBytes: 16,
  run: (filesystem, request) =>
    filesystem.fsyncdir(request.node, (request.u32(8) & FSYNC_DATA_ONLY) !== 0),
})

// ---- the filesystem as a whole, and extended attributes ----

define<FilesystemStatistics>(Opcode.STATFS, {
  argumentBytes: 0,
  run: (filesystem, request) => filesystem.statfs(request.node),
  encode: (reply, statistics) => reply.statistics(BODY, statistics),
})

define<void>(Opcode.SETXATTR, {
  argumentBytes: 8,
  run(filesystem, request) {
    const nameOffset = request.setxattrBytes
    const name = request.name(nameOffset)
    // A copy: the filesystem keeps the value, and the request's memory is used again.
    const value = Uint8Array.from(request.data(nameOffset + name.length + 1, request.u32(0)))
    const dropsGroup =
      nameOffset === SETXATTR_IN_BYTES && (request.u32(8) & SETXATTR_ACL_KILL_SGID) !== 0
    return filesystem.setxattr(request.node, name, value, request.u32(4), dropsGroup)
  },
})

/** A caller without room asks for the size alone. */
function encodeSized(reply: ReplyWriter, value: Uint8Array, roomBytes: number): number {
  if (roomBytes === 0) {
    reply.u32(BODY, value.length)
    reply.u32(BODY + 4, 0)
    return BODY + 8
  }
  if (value.length > roomBytes) throw new FilesystemError('ERANGE')
  if (value.length > reply.capacity - BODY) throw new FilesystemError('E2BIG')
  return reply.bytes(BODY, value)
}

define<Uint8Array>(Opcode.GETXATTR, {
  argumentBytes: 8,
  run(filesystem, request) {
    request.argument = request.u32(0)
    return filesystem.getxattr(request.node, request.name(8))
  },
  encode: encodeSized,
})

define<readonly ByteString[]>(Opcode.LISTXATTR, {
  argumentBytes: 8,
  run(filesystem, request) {
    request.argument = request.u32(0)
    return filesystem.listxattr(request.node, request.caller())
  },
  encode: (reply, names, roomBytes) =>
    encodeSized(reply, Buffer.from(names.map(name => `${name}\0`).join(''), 'latin1'), roomBytes),
})

define<void>(Opcode.REMOVEXATTR, {
  argumentBytes: 2,
  run: (filesystem, request) => filesystem.removexattr(request.node, request.name(0)),
})

// ---- what is refused with something else than ENOSYS ----

function refuse(opcode: number, code: string): void {
  define<void>(opcode, {
    argumentBytes: 0,
    run() {
      throw new FilesystemError(code)
    },
  })
}

refuse(Opcode.IOCTL, 'ENOTTY')
