// What the FUSE layer needs from a filesystem. Declared here because fuse is the consumer; vfs implements it,
// and so does the do-nothing filesystem of bench/. Nothing in here knows the kernel's structs.
//
// Every operation may answer at once or with a promise. Failures are thrown (or rejected) as FilesystemError,
// whose code is the errno's name; anything else that is thrown is a bug: it is logged and becomes EIO.

/** An inode number: 1 is the root of the mount. Always below 2^53. */
export type InodeNumber = number

/** One name in a directory or an xattr name, as a byte string: one char (0-255) per byte, since names need not be UTF-8. */
export type ByteString = string

/** Nanosecond time as two integers: a double can't hold both. `seconds` may be negative. */
export interface Timestamp {
  readonly seconds: number
  /** 0 to 999,999,999 */
  readonly nanoseconds: number
}

/** Who makes the call. Permission checks are the kernel's (`default_permissions`). */
export interface Caller {
  readonly uid: number
  readonly gid: number
  readonly pid: number
}

export interface Attributes {
  readonly inode: InodeNumber
  /** type and permission bits, as st_mode */
  readonly mode: number
  readonly linkCount: number
  readonly uid: number
  readonly gid: number
  /** as st_rdev, Linux's 32-bit encoding (new_encode_dev) */
  readonly deviceNumber: number
  readonly sizeBytes: number
  /** 512-byte units, as st_blocks */
  readonly blockCount: number
  readonly accessTime: Timestamp
  readonly modifyTime: Timestamp
  readonly changeTime: Timestamp
}

/** What a lookup or a creation hands to the kernel. The kernel then holds one reference until `forget`. */
export interface Entry {
  readonly attributes: Attributes
  /** tells two lives of one inode number apart (NFS export) */
  readonly generation: number
}

/** The fields that setattr is to change; what is absent stays. 'now' is the filesystem's clock. */
export interface AttributeChanges {
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly sizeBytes?: number
  readonly accessTime?: Timestamp | 'now'
  readonly modifyTime?: Timestamp | 'now'
  readonly changeTime?: Timestamp
  /** the handle when it was an ftruncate */
  readonly handle?: number
  /** set when the kernel asks us to clear setuid/setgid (FUSE_HANDLE_KILLPRIV_V2) */
  readonly killPrivileges?: boolean
}

export interface OpenedFile {
  /** ours to choose; comes back with every operation on the handle */
  readonly handle: number
  /** bypass the kernel's page cache for this handle */
  readonly directIo: boolean
  /** the pages that the kernel holds from earlier opens are still right */
  readonly keepCache: boolean
}

export interface DirectoryEntry {
  readonly name: ByteString
  readonly inode: InodeNumber
  /** the S_IFMT bits of the mode */
  readonly type: number
  /** opaque position after this entry: readdir continues there; 1 to 2^53-1, ascending within one listing */
  readonly cookie: number
}

/** Bytes of a read, in order. They stay valid until `release` is called, exactly once, when the reply has been written. */
export interface ReadResult {
  readonly pieces: readonly Uint8Array[]
  release(): void
}

export interface FilesystemStatistics {
  readonly blockSizeBytes: number
  readonly totalBlocks: number
  readonly freeBlocks: number
  readonly availableBlocks: number
  readonly totalInodes: number
  readonly freeInodes: number
  readonly nameLengthMax: number
}

export interface WriteContext {
  /** the kernel wants setuid/setgid cleared (FUSE_WRITE_KILL_SUIDGID) */
  readonly killPrivileges: boolean
  /** open flags of the handle as the kernel sends them with the request (O_APPEND, O_SYNC, O_DSYNC, ...) */
  readonly flags: number
}

/** RENAME_NOREPLACE and RENAME_EXCHANGE of renameat2(2). */
export interface RenameFlags {
  readonly noReplace: boolean
  readonly exchange: boolean
}

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
  /** `mode` has the umask applied already */
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
  ): void | Promise<void>
  /** SEEK_DATA (3) and SEEK_HOLE (4); ENXIO past the end */
  lseek(handle: number, offsetBytes: number, whence: number): number | Promise<number>

  opendir(inode: InodeNumber, caller: Caller): number | Promise<number>
  /** Entries after `cookie` (0 = from the start, "." and ".." included), about `countMax` of them; empty = the end. */
  readdir(
    handle: number,
    cookie: number,
    countMax: number,
  ): readonly DirectoryEntry[] | Promise<readonly DirectoryEntry[]>
  releasedir(handle: number): void
  fsyncdir(handle: number, dataOnly: boolean): Promise<void>

  statfs(inode: InodeNumber): FilesystemStatistics | Promise<FilesystemStatistics>
  /** `flags`: XATTR_CREATE (1), XATTR_REPLACE (2) */
  setxattr(
    inode: InodeNumber,
    name: ByteString,
    value: Uint8Array,
    flags: number,
  ): void | Promise<void>
  getxattr(inode: InodeNumber, name: ByteString): Uint8Array | Promise<Uint8Array>
  listxattr(inode: InodeNumber): readonly ByteString[] | Promise<readonly ByteString[]>
  removexattr(inode: InodeNumber, name: ByteString): void | Promise<void>
}
