// The callbacks as fuse-native 2 wants them: libfuse 2.9. Poorer than fuse-napi's: it doesn't tell who makes a call, knows
// milliseconds and 32-bit numbers, and what it gets wrong is refused here rather than done wrong (docs/posix.md).

import { FilesystemError } from '../../errors.ts'
import type {
  AttributeChanges,
  Attributes,
  Caller,
  DirectoryEntry,
  FilesystemStatistics,
  Timestamp,
} from '../filesystem.ts'
import { Opcode } from '../protocol.ts'
import { toExactText, toListedText } from './names.ts'
import type { Reply } from './packages.ts'
import type { PathFilesystem } from './path-filesystem.ts'
import type { Traffic } from './traffic.ts'

/** chown's "leave it as it is" */
const NO_ID = 0xffffffff
const UINT32_MAX = 2 ** 32 - 1
const LISTED_AT_ONCE = 1024

/**
 * The package hands strings through to libfuse unchecked, and so also options that it has no word for: inode numbers that
 * are the filesystem's, so that links of one file are known as such; writes of 128 KiB instead of 4; attributes that are asked
 * for anew, since to libfuse each link of a file is a file of its own.
 */
const SOURCE = 'coffer,use_ino,big_writes,attr_timeout=0'

export function nativeOptions(allowOther: boolean): object {
  return {
    fsname: SOURCE,
    subtype: 'coffer',
    allowOther,
    defaultPermissions: true,
    // Writers wait as long as it takes.
    timeout: false,
  }
}

/** What every callback needs. */
interface Calls {
  readonly filesystem: PathFilesystem
  readonly caller: Caller
  readonly run: <T>(opcode: number, work: () => Promise<T>, reply: Reply<T>) => void
  readonly runVoid: (opcode: number, work: () => Promise<void>, reply: Reply) => void
  readonly transfer: (
    opcode: number,
    direction: 'read' | 'write',
    work: () => Promise<number>,
    reply: (result: number) => void,
  ) => void
}

/**
 * Without `create`: it has no flags, and the kernel then makes and opens a file in two steps, the second of which has
 * them. Without extended attributes: the package answers a short buffer with memory from behind it.
 */
export function nativeOperations(filesystem: PathFilesystem, traffic: Traffic): object {
  const caller: Caller = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, pid: 0 }
  const calls: Calls = {
    filesystem,
    caller,
    run: (opcode, work, reply) => traffic.run(opcode, caller, work, reply),
    runVoid: (opcode, work, reply) => traffic.run(opcode, caller, work, error => reply(error)),
    transfer: (opcode, direction, work, reply) =>
      traffic.runTransfer(opcode, caller, direction, work, reply),
  }
  return {
    ...attributeCallbacks(calls),
    ...nameCallbacks(calls),
    ...fileCallbacks(calls),
    ...directoryCallbacks(calls),
  }
}

function attributeCallbacks({ filesystem, caller, run, runVoid }: Calls): object {
  const setattr = (path: string, changes: AttributeChanges, reply: Reply): void =>
    runVoid(Opcode.SETATTR, () => filesystem.setattr({ path, number: 0 }, changes, caller), reply)
  return {
    getattr: (path: string, reply: Reply<object>) =>
      run(Opcode.GETATTR, async () => toStat(await filesystem.getattr({ path, number: 0 })), reply),
    chmod: (path: string, mode: number, reply: Reply) => setattr(path, { mode }, reply),
    chown: (path: string, uid: number, gid: number, reply: Reply) =>
      setattr(path, { ...(uid !== NO_ID && { uid }), ...(gid !== NO_ID && { gid }) }, reply),
    truncate: (path: string, sizeBytes: number, reply: Reply) =>
      setattr(path, { sizeBytes }, reply),
    // The package gives the access time for both. A wrong time would stay unseen until a restore.
    utimens: (_path: string, _atimeMs: number, _mtimeMs: number, reply: Reply) =>
      runVoid(
        Opcode.SETATTR,
        async () => {
          throw new FilesystemError('EOPNOTSUPP')
        },
        reply,
      ),
    statfs: (path: string, reply: Reply<object>) =>
      run(Opcode.STATFS, async () => toStatfs(await filesystem.statfs(path)), reply),
  }
}

function nameCallbacks({ filesystem, caller, run, runVoid }: Calls): object {
  return {
    readlink: (path: string, reply: Reply<string>) =>
      run(Opcode.READLINK, async () => toExactText(await filesystem.readlink(path)), reply),
    symlink: (target: string, path: string, reply: Reply) =>
      runVoid(Opcode.SYMLINK, () => filesystem.symlink(target, path, caller), reply),
    mknod: (path: string, mode: number, device: number, reply: Reply) =>
      runVoid(Opcode.MKNOD, () => filesystem.mknod(path, mode, device, caller), reply),
    mkdir: (path: string, mode: number, reply: Reply) =>
      runVoid(Opcode.MKDIR, () => filesystem.mkdir(path, mode, caller), reply),
    link: (path: string, newPath: string, reply: Reply) =>
      runVoid(Opcode.LINK, () => filesystem.link(path, newPath, caller), reply),
    unlink: (path: string, reply: Reply) =>
      runVoid(Opcode.UNLINK, () => filesystem.unlink(path, caller), reply),
    rmdir: (path: string, reply: Reply) =>
      runVoid(Opcode.RMDIR, () => filesystem.rmdir(path, caller), reply),
    rename: (path: string, newPath: string, reply: Reply) =>
      runVoid(
        Opcode.RENAME,
        () => filesystem.rename(path, newPath, { noReplace: false, exchange: false }, caller),
        reply,
      ),
  }
}

function fileCallbacks({ filesystem, caller, run, runVoid, transfer }: Calls): object {
  return {
    open: (path: string, flags: number, reply: Reply<number>) =>
      run(Opcode.OPEN, () => filesystem.open(path, flags, caller), reply),
    read: (
      _path: string,
      fd: number,
      buffer: Buffer,
      length: number,
      at: number,
      reply: (result: number) => void,
    ) =>
      transfer(
        Opcode.READ,
        'read',
        () => filesystem.read(fd, buffer.subarray(0, length), at),
        reply,
      ),
    write: (
      _path: string,
      fd: number,
      buffer: Buffer,
      length: number,
      at: number,
      reply: (result: number) => void,
    ) =>
      transfer(
        Opcode.WRITE,
        'write',
        () => filesystem.write(fd, buffer.subarray(0, length), at),
        reply,
      ),
    flush: (_path: string, fd: number, reply: Reply) =>
      runVoid(Opcode.FLUSH, () => filesystem.flush(fd), reply),
    release: (_path: string, fd: number, reply: Reply) =>
      runVoid(Opcode.RELEASE, () => filesystem.release(fd), reply),
    fsync: (_path: string, dataOnly: number, fd: number, reply: Reply) =>
      runVoid(Opcode.FSYNC, () => filesystem.fsync(fd, dataOnly !== 0), reply),
  }
}

function directoryCallbacks({ filesystem, run, runVoid }: Calls): object {
  return {
    opendir: (path: string, _flags: number, reply: Reply<number>) =>
      run(Opcode.OPENDIR, () => filesystem.opendir(path), reply),
    // The package doesn't say of which open directory, and wants all of it at once.
    readdir: (path: string, reply: (error: number, names?: string[], stats?: object[]) => void) =>
      run(
        Opcode.READDIR,
        () => listAll(filesystem, path),
        (error, entries = []) =>
          reply(
            error,
            entries.map(({ name }) => toListedText(name)),
            entries.map(({ type, inode }) => ({ mode: type, ino: inode })),
          ),
      ),
    releasedir: (_path: string, fd: number, reply: Reply) =>
      runVoid(Opcode.RELEASEDIR, () => filesystem.release(fd), reply),
    fsyncdir: (_path: string, dataOnly: number, fd: number, reply: Reply) =>
      runVoid(Opcode.FSYNCDIR, () => filesystem.fsync(fd, dataOnly !== 0), reply),
  }
}

async function listAll(filesystem: PathFilesystem, path: string): Promise<DirectoryEntry[]> {
  const number = await filesystem.opendir(path)
  try {
    const all: DirectoryEntry[] = []
    for (;;) {
      const entries = await filesystem.readdir(number, all.at(-1)?.cookie ?? 0, LISTED_AT_ONCE)
      if (entries.length === 0) return all
      all.push(...entries)
    }
  } finally {
    await filesystem.release(number)
  }
}

function toStat(attributes: Attributes): object {
  return {
    mode: attributes.mode,
    uid: attributes.uid,
    gid: attributes.gid,
    size: attributes.sizeBytes,
    nlink: attributes.linkCount,
    ino: attributes.inode,
    rdev: attributes.deviceNumber,
    blocks: attributes.blockCount,
    atime: toMilliseconds(attributes.accessTime),
    mtime: toMilliseconds(attributes.modifyTime),
    ctime: toMilliseconds(attributes.changeTime),
  }
}

/** The package has no room for times before 1970: the nearest that it has. */
function toMilliseconds({ seconds, nanoseconds }: Timestamp): number {
  return Math.max(0, seconds * 1000 + Math.floor(nanoseconds / 1_000_000))
}

/** Counts have 32 bits: blocks grow until the disk fits. */
function toStatfs(statistics: FilesystemStatistics): object {
  let shift = 1
  while (statistics.totalBlocks / shift > UINT32_MAX) shift *= 2
  const blocks = (count: number): number => Math.floor(count / shift)
  const blockSize = statistics.blockSizeBytes * shift
  const freeInodes = Math.min(statistics.freeInodes, UINT32_MAX)
  return {
    bsize: blockSize,
    frsize: blockSize,
    blocks: blocks(statistics.totalBlocks),
    bfree: blocks(statistics.freeBlocks),
    bavail: blocks(statistics.availableBlocks),
    files: Math.min(statistics.totalInodes, UINT32_MAX),
    ffree: freeInodes,
    favail: freeInodes,
    namemax: statistics.nameLengthMax,
  }
}
