// The vocabulary of a filesystem: what vfs speaks and what the layers above it hear.

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
  /** of a creation: what its mode loses unless the directory has a default access list */
  readonly umask?: number
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
  /** close(2) calls `flush` and waits for its answer; every handle is released, flushed or not */
  readonly isFlushed: boolean
}

export interface DirectoryEntry {
  readonly name: ByteString
  readonly inode: InodeNumber
  /** the S_IFMT bits of the mode */
  readonly type: number
  /** opaque position after this entry: readdir continues there; 1 to 2^53-1, ascending within one listing */
  readonly cookie: number
}

/** Some entries of a directory, in the order of their cookies. */
export interface DentryWindow {
  readonly entries: readonly DirectoryEntry[]
  /** nothing follows */
  readonly isLast: boolean
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

/** RENAME_NOREPLACE, RENAME_EXCHANGE and RENAME_WHITEOUT of renameat2(2). */
export interface RenameFlags {
  readonly noReplace: boolean
  readonly exchange: boolean
  /** leaves a device 0:0 in the old place, with which union filesystems hide what lies below; absent = false */
  readonly whiteout?: boolean
}
