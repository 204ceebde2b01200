// Linux's numbers that a filesystem has to know: file types, mode bits, open and fallocate flags.

export const S_IFMT = 0o170000
export const S_IFSOCK = 0o140000
export const S_IFLNK = 0o120000
export const S_IFREG = 0o100000
export const S_IFBLK = 0o060000
export const S_IFDIR = 0o040000
export const S_IFCHR = 0o020000
export const S_IFIFO = 0o010000

export const S_ISUID = 0o4000
export const S_ISGID = 0o2000
export const S_IXGRP = 0o010
/** every permission bit, setuid, setgid and sticky included */
export const PERMISSION_BITS = 0o7777

export const O_ACCMODE = 0o3
export const O_RDONLY = 0o0
export const O_WRONLY = 0o1
export const O_EXCL = 0o200
export const O_TRUNC = 0o1000
export const O_APPEND = 0o2000
export const O_DSYNC = 0o10000
export const O_DIRECT = 0o40000
export const O_NOATIME = 0o1000000
/** O_SYNC contains O_DSYNC's bit, so testing for O_DSYNC finds both */
export const O_ANY_SYNC = O_DSYNC

export const FALLOC_FL_KEEP_SIZE = 0x01
export const FALLOC_FL_PUNCH_HOLE = 0x02
export const FALLOC_FL_ZERO_RANGE = 0x10

export const XATTR_CREATE = 1
export const XATTR_REPLACE = 2

/** NAME_MAX: bytes in one name of a directory */
export const NAME_BYTES_MAX = 255
/** PATH_MAX without its terminating zero: what Linux lets a symlink hold */
export const SYMLINK_BYTES_MAX = 4095

export const SEEK_DATA = 3
export const SEEK_HOLE = 4
