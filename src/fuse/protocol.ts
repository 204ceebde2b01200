// The kernel's constants: linux/fuse.h, protocol 7.31 and later. Structs are in decode.ts and encode.ts.

export const KERNEL_MAJOR = 7
/** What we were written against; newer kernels speak it too. */
export const KERNEL_MINOR = 38
/** Linux 5.4, the first with everything that we rely on (max_pages since 7.28, FUSE_CACHE_SYMLINKS since 7.28). */
export const KERNEL_MINOR_MIN = 31

export const ROOT_INODE = 1
export const IN_HEADER_BYTES = 40
export const OUT_HEADER_BYTES = 16
/** NAME_MAX of Linux; the kernel lets longer names through to us. */
export const NAME_BYTES_MAX = 255

export const Opcode = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SETUPMAPPING: 48,
  REMOVEMAPPING: 49,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
} as const

/** One more than the highest opcode that is counted and dispatched. */
export const OPCODE_LIMIT = 64

const NAMES = new Map<number, string>(
  Object.entries(Opcode).map(([name, opcode]) => [opcode, name.toLowerCase()]),
)

export function opcodeName(opcode: number): string {
  return NAMES.get(opcode) ?? `opcode-${opcode}`
}

/** INIT flags, the low 32 bits. */
export const InitFlag = {
  ASYNC_READ: 1 << 0,
  ATOMIC_O_TRUNC: 1 << 3,
  EXPORT_SUPPORT: 1 << 4,
  BIG_WRITES: 1 << 5,
  DONT_MASK: 1 << 6,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  ASYNC_DIO: 1 << 15,
  PARALLEL_DIROPS: 1 << 18,
  POSIX_ACL: 1 << 20,
  MAX_PAGES: 1 << 22,
  CACHE_SYMLINKS: 1 << 23,
  NO_OPENDIR_SUPPORT: 1 << 24,
  HANDLE_KILLPRIV_V2: 1 << 28,
  SETXATTR_EXT: 1 << 29,
  /** a second word of flags follows */
  INIT_EXT: 1 << 30,
} as const

/** INIT flags, the high 32 bits. */
export const InitFlag2 = {
  DIRECT_IO_ALLOW_MMAP: 1 << (36 - 32),
} as const

export const SetattrField = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  HANDLE: 1 << 6,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
  CTIME: 1 << 10,
  KILL_SUIDGID: 1 << 11,
} as const

export const OpenReplyFlag = {
  DIRECT_IO: 1 << 0,
  KEEP_CACHE: 1 << 1,
  CACHE_DIR: 1 << 3,
  NO_FLUSH: 1 << 5,
  PARALLEL_DIRECT_WRITES: 1 << 6,
} as const

/** In open_in: the kernel leaves clearing setuid/setgid on O_TRUNC to us. */
export const OPEN_KILL_SUIDGID = 1 << 0
export const WRITE_KILL_SUIDGID = 1 << 2
export const SETXATTR_ACL_KILL_SGID = 1 << 0
/** setxattr_in, without and with its flags */
export const SETXATTR_IN_COMPAT_BYTES = 8
export const SETXATTR_IN_BYTES = 16
export const FSYNC_DATA_ONLY = 1 << 0

export const RenameFlag = { NO_REPLACE: 1, EXCHANGE: 2, WHITEOUT: 4 } as const
export const SEEK_DATA = 3
export const SEEK_HOLE = 4

export const Notification = { INVALIDATE_INODE: 2, INVALIDATE_ENTRY: 3, DELETE: 6 } as const
