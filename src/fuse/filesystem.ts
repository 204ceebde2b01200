// What the FUSE layer needs from a filesystem. Declared here because fuse is the consumer; vfs implements it,
// and so does the do-nothing filesystem of bench/. Nothing in here knows the kernel's structs.
//
// Every operation may answer at once or with a promise. Failures are thrown (or rejected) as FilesystemError,
// whose code is the errno's name; anything else that is thrown is a bug: it is logged and becomes EIO.

import type {
  InodeNumber,
  ByteString,
  Caller,
  Attributes,
  Entry,
  AttributeChanges,
  OpenedFile,
  DirectoryEntry,
  ReadResult,
  FilesystemStatistics,
  WriteContext,
  RenameFlags,
} from '../vfs/types.ts'

export type {
  InodeNumber,
  ByteString,
  Timestamp,
  Caller,
  Attributes,
  Entry,
  AttributeChanges,
  OpenedFile,
  DirectoryEntry,
  ReadResult,
  FilesystemStatistics,
  WriteContext,
  RenameFlags,
} from '../vfs/types.ts'

export interface FuseFilesystem {
  /** `undefined` = no such name; the kernel may remember that */
  lookup(parent: InodeNumber, name: ByteString): Entry | undefined | Promise<Entry | undefined>
  /** the kernel drops `count` references that lookups and creations gave it */
  forget(inode: InodeNumber, count: number): void
  getattr(inode: InodeNumber): Attributes | Promise<Attributes>
  setattr(
    inode: InodeNumber,
    changes: AttributeChanges,
    caller: Caller,
  ): Attributes | Promise<Attributes>
  readlink(inode: InodeNumber): ByteString | Promise<ByteString>
  symlink(
    parent: InodeNumber,
    name: ByteString,
    target: ByteString,
    caller: Caller,
  ): Entry | Promise<Entry>
  /** `mode` has yet to lose the caller's umask, or to meet the directory's default access list */
  mknod(
    parent: InodeNumber,
    name: ByteString,
    mode: number,
    deviceNumber: number,
    caller: Caller,
  ): Entry | Promise<Entry>
  mkdir(parent: InodeNumber, name: ByteString, mode: number, caller: Caller): Entry | Promise<Entry>
  unlink(parent: InodeNumber, name: ByteString, caller: Caller): void | Promise<void>
  rmdir(parent: InodeNumber, name: ByteString, caller: Caller): void | Promise<void>
  rename(
    parent: InodeNumber,
    name: ByteString,
    newParent: InodeNumber,
    newName: ByteString,
    flags: RenameFlags,
    caller: Caller,
  ): void | Promise<void>
  link(
    inode: InodeNumber,
    newParent: InodeNumber,
    newName: ByteString,
    caller: Caller,
  ): Entry | Promise<Entry>

  /** `flags` are Linux's open(2) flags; O_TRUNC is ours to carry out (FUSE_ATOMIC_O_TRUNC) */
  open(inode: InodeNumber, flags: number, caller: Caller): OpenedFile | Promise<OpenedFile>
  create(
    parent: InodeNumber,
    name: ByteString,
    mode: number,
    flags: number,
    caller: Caller,
  ): { entry: Entry; file: OpenedFile } | Promise<{ entry: Entry; file: OpenedFile }>
  /** an unnamed file (O_TMPFILE), which `link` may give a name later */
  tmpfile(
    parent: InodeNumber,
    mode: number,
    flags: number,
    caller: Caller,
  ): { entry: Entry; file: OpenedFile } | Promise<{ entry: Entry; file: OpenedFile }>
  read(handle: number, offsetBytes: number, sizeBytes: number): ReadResult | Promise<ReadResult>
  /**
   * `data` lies in the request's slot: it is valid until the returned promise settles (or, answered at once, until the
   * call returns) and not a moment longer.
   */
  write(
    handle: number,
    offsetBytes: number,
    data: Uint8Array,
    context: WriteContext,
  ): number | Promise<number>
  /** one close(2) of the handle: reports errors of earlier writes, promises no durability */
  flush(handle: number): void | Promise<void>
  /** the last close: its result is not seen by anybody */
  release(handle: number): void | Promise<void>
  fsync(handle: number, dataOnly: boolean): Promise<void>
  /** FALLOC_FL_* bits in `mode` */
  fallocate(
    handle: number,
    offsetBytes: number,
    lengthBytes: number,
    mode: number,
    caller: Caller,
  ): void | Promise<void>
  /** copy_file_range(2), at most 4 GiB at once; EXDEV = the kernel is to copy bytes. @returns bytes copied */
  copyRange(
    source: number,
    sourceOffsetBytes: number,
    target: number,
    targetOffsetBytes: number,
    lengthBytes: number,
    caller: Caller,
  ): Promise<number>
  /** SEEK_DATA (3) and SEEK_HOLE (4); ENXIO past the end */
  lseek(handle: number, offsetBytes: number, whence: number): number | Promise<number>

  /**
   * Entries of a directory after `cookie` (0 = from the start, "." and ".." included), about `countMax` of them; empty = the end.
   * @param areLookedUp each of them is going to be looked up at once
   */
  readdir(
    inode: InodeNumber,
    cookie: number,
    countMax: number,
    areLookedUp: boolean,
  ): readonly DirectoryEntry[] | Promise<readonly DirectoryEntry[]>
  fsyncdir(inode: InodeNumber, dataOnly: boolean): Promise<void>

  statfs(inode: InodeNumber): FilesystemStatistics | Promise<FilesystemStatistics>
  /** `flags`: XATTR_CREATE (1), XATTR_REPLACE (2) */
  setxattr(
    inode: InodeNumber,
    name: ByteString,
    value: Uint8Array,
    flags: number,
    /** an access list that takes the setgid bit away */
    dropsGroup: boolean,
  ): void | Promise<void>
  getxattr(inode: InodeNumber, name: ByteString): Uint8Array | Promise<Uint8Array>
  listxattr(
    inode: InodeNumber,
    caller: Caller,
  ): readonly ByteString[] | Promise<readonly ByteString[]>
  removexattr(inode: InodeNumber, name: ByteString): void | Promise<void>
}
