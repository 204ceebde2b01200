// The callbacks as fuse-napi 2 wants them: libfuse 3, 64-bit numbers, nanoseconds, and the caller of every request.

import type { AttributeChanges, Attributes, Caller, FilesystemStatistics } from '../filesystem.ts'
import { Opcode } from '../protocol.ts'
import { toExactText, toListedText } from './names.ts'
import type { PackageContext, Reply } from './packages.ts'
import type { PathFilesystem, Target } from './path-filesystem.ts'
import type { Traffic } from './traffic.ts'

interface Timespec {
  readonly seconds: number | bigint
  readonly nanoseconds: number
}

type Stat = ReturnType<typeof toStat>
type ReplyStat = Reply<Stat>
type Path = string | null

const UTIME_NOW = 0x3fffffff
const UTIME_OMIT = 0x3ffffffe
/** chown's "leave it as it is" */
const NO_ID = 0xffffffff
/** as many as fit into one request of the kernel, and some more for longer buffers */
const LISTED_AT_ONCE = 128
/** What the kernel leaves to us, as the device layer has it; libfuse's bits. */
const CAP_DONT_MASK = 1 << 6
const CAP_POSIX_ACL = 1 << 19
/** What it must not: only the second version of this can be told from a write of root. */
const CAP_HANDLE_KILLPRIV = 1 << 20
const RENAME_NOREPLACE = 1
const RENAME_EXCHANGE = 2
const RENAME_WHITEOUT = 4

/** How many requests are carried out at once; a writer that waits for a buffer keeps one of them. */
const CONCURRENCY = 32

export function napiOptions(allowOther: boolean): object {
  return {
    fsname: 'coffer',
    subtype: 'coffer',
    allowOther,
    defaultPermissions: true,
    // Writers wait as long as it takes.
    timeout: false,
    maxConcurrency: CONCURRENCY,
    // Files that have no path any more are still open.
    nullPathOk: true,
    // To libfuse each link of a file is a file of its own, so that a change by one name leaves the others' attributes old.
    attrTimeout: 0,
  }
}

/** What every callback needs. */
interface Calls {
  readonly filesystem: PathFilesystem
  readonly run: <T>(opcode: number, work: (who: Caller) => Promise<T>, reply: Reply<T>) => void
  readonly transfer: (
    opcode: number,
    direction: 'read' | 'write',
    work: () => Promise<number>,
    reply: (result: number) => void,
  ) => void
}

/** @param context of the request that is being carried out */
export function napiOperations(
  filesystem: PathFilesystem,
  traffic: Traffic,
  context: () => PackageContext | null,
): object {
  const caller = (): Caller => {
    const { uid, gid, pid, umask } = context() ?? { uid: 0, gid: 0, pid: 0, umask: 0 }
    return { uid, gid, pid, umask }
  }
  const calls: Calls = {
    filesystem,
    run: (opcode, work, reply) => {
      const who = caller()
      traffic.run(opcode, who, () => work(who), reply)
    },
    transfer: (opcode, direction, work, reply) =>
      traffic.runTransfer(opcode, caller(), direction, work, reply),
  }
  return {
    initWithConfig(
      { capable, want }: { capable: number; want: number },
      reply: Reply<{ want: number }>,
    ): void {
      const wanted = (want | CAP_DONT_MASK | CAP_POSIX_ACL) & ~CAP_HANDLE_KILLPRIV & capable
      reply(0, { want: wanted >>> 0 })
    },
    ...attributeCallbacks(calls),
    ...nameCallbacks(calls),
    ...fileCallbacks(calls),
    ...directoryCallbacks(calls),
  }
}

function attributeCallbacks({ filesystem, run }: Calls): object {
  const setattr = (target: Target, changes: AttributeChanges, reply: Reply): void =>
    run(Opcode.SETATTR, who => filesystem.setattr(target, changes, who), done(reply))
  const getattr = (target: Target, reply: ReplyStat): void =>
    run(Opcode.GETATTR, () => filesystem.getattr(target), mapped(reply, toStat))
  return {
    getattr: (path: Path, reply: ReplyStat) => getattr({ path, number: 0 }, reply),
    fgetattr: (path: Path, fd: number, reply: ReplyStat) => getattr({ path, number: fd }, reply),
    chmodWithHandle: (path: Path, fd: number, mode: number, reply: Reply) =>
      setattr({ path, number: fd }, { mode }, reply),
    chownWithHandle: (path: Path, fd: number, uid: number, gid: number, reply: Reply) =>
      setattr(
        { path, number: fd },
        { ...(uid !== NO_ID && { uid }), ...(gid !== NO_ID && { gid }) },
        reply,
      ),
    truncate: (path: Path, sizeBytes: number, reply: Reply) =>
      setattr({ path, number: 0 }, { sizeBytes: Number(sizeBytes) }, reply),
    ftruncate: (path: Path, fd: number, sizeBytes: number, reply: Reply) =>
      setattr({ path, number: fd }, { sizeBytes: Number(sizeBytes) }, reply),
    utimensWithHandle: (path: Path, fd: number, atime: Timespec, mtime: Timespec, reply: Reply) =>
      setattr(
        { path, number: fd },
        { ...timeChange('accessTime', atime), ...timeChange('modifyTime', mtime) },
        reply,
      ),
    statfs: (path: string, reply: Reply<ReturnType<typeof toStatfs>>) =>
      run(Opcode.STATFS, () => filesystem.statfs(path), mapped(reply, toStatfs)),
    setxattr: (
      path: string,
      name: string,
      value: Buffer,
      _position: number,
      flags: number,
      reply: Reply,
    ) => run(Opcode.SETXATTR, () => filesystem.setxattr(path, name, value, flags), done(reply)),
    getxattr: (path: string, name: string, _position: number, reply: Reply<Buffer>) =>
      run(
        Opcode.GETXATTR,
        () => filesystem.getxattr(path, name),
        mapped(reply, value => Buffer.from(value)),
      ),
    listxattr: (path: string, reply: Reply<string[]>) =>
      run(
        Opcode.LISTXATTR,
        async who => (await filesystem.listxattr(path, who)).map(toExactText),
        reply,
      ),
    removexattr: (path: string, name: string, reply: Reply) =>
      run(Opcode.REMOVEXATTR, () => filesystem.removexattr(path, name), done(reply)),
  }
}

function nameCallbacks({ filesystem, run }: Calls): object {
  return {
    readlink: (path: string, reply: Reply<string>) =>
      run(Opcode.READLINK, async () => toExactText(await filesystem.readlink(path)), reply),
    symlink: (target: string, path: string, reply: Reply) =>
      run(Opcode.SYMLINK, who => filesystem.symlink(target, path, who), done(reply)),
    mknod: (path: string, mode: number, device: number | bigint, reply: Reply) =>
      run(Opcode.MKNOD, who => filesystem.mknod(path, mode, Number(device), who), done(reply)),
    mkdir: (path: string, mode: number, reply: Reply) =>
      run(Opcode.MKDIR, who => filesystem.mkdir(path, mode, who), done(reply)),
    link: (path: string, newPath: string, reply: Reply) =>
      run(Opcode.LINK, who => filesystem.link(path, newPath, who), done(reply)),
    unlink: (path: string, reply: Reply) =>
      run(Opcode.UNLINK, who => filesystem.unlink(path, who), done(reply)),
    rmdir: (path: string, reply: Reply) =>
      run(Opcode.RMDIR, who => filesystem.rmdir(path, who), done(reply)),
    renameWithFlags: (path: string, newPath: string, flags: number, reply: Reply) =>
      run(
        flags === 0 ? Opcode.RENAME : Opcode.RENAME2,
        who =>
          filesystem.rename(
            path,
            newPath,
            {
              noReplace: (flags & RENAME_NOREPLACE) !== 0,
              exchange: (flags & RENAME_EXCHANGE) !== 0,
              whiteout: (flags & RENAME_WHITEOUT) !== 0,
            },
            who,
          ),
        done(reply),
      ),
  }
}

function fileCallbacks({ filesystem, run, transfer }: Calls): object {
  return {
    open: (path: string, flags: number, reply: Reply<number>) =>
      run(Opcode.OPEN, who => filesystem.open(path, flags, who), reply),
    createWithFlags: (path: string, mode: number, flags: number, reply: Reply<number>) =>
      run(Opcode.CREATE, who => filesystem.create(path, mode, flags, who), reply),
    read: (
      _path: Path,
      fd: number,
      buffer: Buffer,
      length: number,
      at: number,
      reply: (result: number) => void,
    ) =>
      transfer(
        Opcode.READ,
        'read',
        () => filesystem.read(fd, buffer.subarray(0, length), Number(at)),
        reply,
      ),
    write: (
      _path: Path,
      fd: number,
      buffer: Buffer,
      length: number,
      at: number,
      reply: (result: number) => void,
    ) =>
      transfer(
        Opcode.WRITE,
        'write',
        () => filesystem.write(fd, buffer.subarray(0, length), Number(at)),
        reply,
      ),
    flush: (_path: Path, fd: number, reply: Reply) =>
      run(Opcode.FLUSH, () => filesystem.flush(fd), done(reply)),
    release: (_path: Path, fd: number, reply: Reply) =>
      run(Opcode.RELEASE, () => filesystem.release(fd), done(reply)),
    fsync: (_path: Path, dataOnly: boolean, fd: number, reply: Reply) =>
      run(Opcode.FSYNC, () => filesystem.fsync(fd, dataOnly), done(reply)),
    fallocate: (
      _path: Path,
      fd: number,
      mode: number,
      at: number,
      lengthBytes: number,
      reply: Reply,
    ) =>
      run(
        Opcode.FALLOCATE,
        who => filesystem.fallocate(fd, Number(at), Number(lengthBytes), mode, who),
        done(reply),
      ),
    copyFileRange: (
      _path: Path,
      fd: number,
      at: number,
      _newPath: Path,
      newFd: number,
      newAt: number,
      lengthBytes: number | bigint,
      _flags: number,
      reply: (result: number) => void,
    ) =>
      run(
        Opcode.COPY_FILE_RANGE,
        who => filesystem.copyRange(fd, Number(at), newFd, Number(newAt), Number(lengthBytes), who),
        (error, copied = 0) => reply(error === 0 ? copied : error),
      ),
    lseek: (_path: Path, fd: number, at: number, whence: number, reply: Reply<number>) =>
      run(Opcode.LSEEK, () => filesystem.lseek(fd, Number(at), whence), reply),
  }
}

function directoryCallbacks({ filesystem, run }: Calls): object {
  return {
    opendir: (path: string, _flags: number, reply: Reply<number>) =>
      run(Opcode.OPENDIR, () => filesystem.opendir(path), reply),
    readdirPaged: (
      _path: Path,
      fd: number,
      cookie: number,
      reply: (error: number, names?: string[], stats?: object[], cookies?: number[]) => void,
    ) =>
      run(
        Opcode.READDIR,
        () => filesystem.readdir(fd, Number(cookie), LISTED_AT_ONCE),
        (error, entries = []) =>
          reply(
            error,
            entries.map(({ name }) => toListedText(name)),
            entries.map(({ type, inode }) => ({ mode: type, ino: inode })),
            entries.map((_, index) => resumption(entries, index)),
          ),
      ),
    releasedir: (_path: Path, fd: number, reply: Reply) =>
      run(Opcode.RELEASEDIR, () => filesystem.release(fd), done(reply)),
    fsyncdir: (_path: Path, dataOnly: boolean, fd: number, reply: Reply) =>
      run(Opcode.FSYNCDIR, () => filesystem.fsync(fd, dataOnly), done(reply)),
  }
}

/** For what has no result. */
function done(reply: Reply): Reply<void> {
  return error => reply(error)
}

function mapped<T, R>(reply: Reply<R>, map: (value: T) => R): Reply<T> {
  return (error, value) => {
    if (error !== 0 || value === undefined) reply(error)
    else reply(0, map(value))
  }
}

/**
 * Where a listing that stops after this entry goes on. Of two entries with one cookie the first resumes before itself: seen
 * twice is better than not at all.
 */
function resumption(entries: readonly { readonly cookie: number }[], index: number): number {
  const cookie = entries[index]?.cookie ?? 0
  return entries[index + 1]?.cookie === cookie ? (entries[index - 1]?.cookie ?? cookie) : cookie
}

function timeChange(
  field: 'accessTime' | 'modifyTime',
  { seconds, nanoseconds }: Timespec,
): AttributeChanges {
  if (nanoseconds === UTIME_OMIT) return {}
  if (nanoseconds === UTIME_NOW) return { [field]: 'now' }
  return { [field]: { seconds: Number(seconds), nanoseconds } }
}

export function toStat(attributes: Attributes) {
  return {
    mode: attributes.mode,
    uid: attributes.uid,
    gid: attributes.gid,
    size: attributes.sizeBytes,
    nlink: attributes.linkCount,
    ino: attributes.inode,
    rdev: attributes.deviceNumber,
    blocks: attributes.blockCount,
    atime: attributes.accessTime,
    mtime: attributes.modifyTime,
    ctime: attributes.changeTime,
  }
}

export function toStatfs(statistics: FilesystemStatistics) {
  return {
    bsize: statistics.blockSizeBytes,
    frsize: statistics.blockSizeBytes,
    blocks: statistics.totalBlocks,
    bfree: statistics.freeBlocks,
    bavail: statistics.availableBlocks,
    files: statistics.totalInodes,
    ffree: statistics.freeInodes,
    favail: statistics.freeInodes,
    namemax: statistics.nameLengthMax,
  }
}
