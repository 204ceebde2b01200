// What programs find different on a mount that a callback package serves, beside a plain directory: each with its reason. The
// random calls leave these out and must agree in everything else; what is listed must still occur (model.test.ts). docs/posix.md
// tells the same to people.

import type { Call, Outcome } from '../posix/agents.ts'

/** The two packages; which of them serves depends on Node's version. */
export type PackageName = 'fuse-napi' | 'fuse-native'

export interface Difference {
  readonly packages: readonly PackageName[]
  readonly what: string
  readonly reason: string
  /** The random calls leave out whatever has all fields of one of these. */
  readonly leavesOut?: readonly Readonly<Record<string, unknown>>[]
  /** what trees are compared without, as agent.py's `tree` knows it */
  readonly without?: string
  /** The last of these calls shows the difference. */
  readonly shows: readonly Call[]
  /** how long the kernel holds what makes the difference, so that a slow machine may have to try again; absent: for ever */
  readonly showsWithinMs?: number
  /** what it gives on the mount; absent: something that is only sure to be different */
  readonly gives?: Outcome
}

const BOTH = ['fuse-napi', 'fuse-native'] as const
const NATIVE = ['fuse-native'] as const
/** not UTF-8: é as Latin-1 has it, and 0xff */
const BAD_NAME = 'é\xff'
const O_RDWR_CREAT = 0o102

export const differences: readonly Difference[] = [
  {
    packages: BOTH,
    what: 'O_TMPFILE is ENOTSUP',
    reason: "libfuse's interface by path has no word for a file without one",
    leavesOut: [{ op: 'tmpfile' }],
    shows: [{ op: 'tmpfile', path: 'd', to: 'fresh', mode: 0o600, size: 10, seed: 1 }],
    gives: { errno: 'ENOTSUP' },
  },
  {
    packages: BOTH,
    what: 'names that are not UTF-8 are EILSEQ',
    reason: 'the packages take names for UTF-8 and lose what is not',
    leavesOut: [{ path: BAD_NAME }, { to: BAD_NAME }],
    shows: [{ op: 'mkdir', path: BAD_NAME, mode: 0o755 }],
    gives: { errno: 'EILSEQ' },
  },
  {
    packages: BOTH,
    what: 'chown(-1, -1) does not move the change time',
    reason: 'libfuse has no callback for a change of nothing',
    leavesOut: [{ op: 'chown', uid: -1, gid: -1 }],
    shows: [{ op: 'times', paths: ['a'], inner: { op: 'chown', path: 'a', uid: -1, gid: -1 } }],
  },
  {
    packages: BOTH,
    what: 'links of one file that are open are files of their own to the kernel',
    reason: 'libfuse gives each path a node, so that neither learns what is written by the other',
    leavesOut: [{ op: 'link' }],
    shows: [
      { op: 'link', path: 'a', to: 'linked' },
      { op: 'open', slot: 2, path: 'linked', flags: O_RDWR_CREAT, mode: 0o600 },
      { op: 'pread', slot: 2, offset: 0, size: 4096 },
      { op: 'pwrite', slot: 1, offset: 0, size: 4096, seed: 2 },
      { op: 'pread', slot: 2, offset: 0, size: 4096 },
    ],
    showsWithinMs: 1_000,
  },
  {
    packages: ['fuse-napi'],
    what: 'links of one file have different inode numbers',
    reason:
      'libfuse 3 numbers paths unless an option says otherwise, which the package does not set',
    without: 'links',
    shows: [
      { op: 'link', path: 'a', to: 'linked' },
      { op: 'tree', path: '.', without: ['xattrs'] },
    ],
  },
  {
    packages: NATIVE,
    what: 'a file deleted while open is ENOENT once its directory is deleted too',
    reason: 'libfuse 2 asks by path, and has none for it any more',
    leavesOut: [{ op: 'rmdir' }, { op: 'rename', to: 'd' }, { op: 'rename', to: 'd/e' }],
    shows: [
      { op: 'unlink', path: 'd/a' },
      { op: 'rmdir', path: 'd' },
      { op: 'fstat', slot: 2 },
    ],
    gives: { errno: 'ENOENT' },
  },
  {
    packages: NATIVE,
    what: 'setting times is ENOTSUP',
    reason: 'the package hands over the access time for both',
    leavesOut: [{ op: 'utimens' }, { op: 'utime_now' }],
    shows: [{ op: 'utimens', path: 'a', atime: 1_000_000_000, mtime: 1_500_000_000 }],
    gives: { errno: 'ENOTSUP' },
  },
  {
    packages: NATIVE,
    what: 'extended attributes and access lists are ENOTSUP',
    reason: 'the package answers a buffer that is too short with memory from behind the value',
    leavesOut: [{ op: 'setxattr' }, { op: 'getxattr' }, { op: 'listxattr' }, { op: 'removexattr' }],
    without: 'xattrs',
    shows: [{ op: 'setxattr', path: 'a', name: 'user.one', size: 1, seed: 1, flags: 0 }],
    gives: { errno: 'ENOTSUP' },
  },
  {
    packages: NATIVE,
    what: 'fallocate is ENOTSUP',
    reason: 'the package has no such callback',
    leavesOut: [{ op: 'fallocate' }],
    shows: [{ op: 'fallocate', slot: 1, mode: 0, offset: 0, size: 100_000 }],
    gives: { errno: 'ENOTSUP' },
  },
  {
    packages: NATIVE,
    what: 'holes are told as data',
    reason: 'the package has no callback for SEEK_DATA and SEEK_HOLE',
    shows: [
      { op: 'open', slot: 1, path: 'holes', flags: O_RDWR_CREAT, mode: 0o600 },
      { op: 'ftruncate', slot: 1, size: 1_000_000 },
      // data from the beginning on
      { op: 'seek_outside', slot: 1, offset: -1_000_000, whence: 3 },
    ],
    gives: { ok: 0 },
  },
  {
    packages: NATIVE,
    what: 'renameat2 with flags is EINVAL',
    reason: "libfuse 2's rename has no flags",
    leavesOut: [{ op: 'rename2' }],
    shows: [{ op: 'rename2', path: 'a', to: 'b', flags: 1 }],
    gives: { errno: 'EINVAL' },
  },
]

/** What differs in the table of POSIX rules, by the names of its cases. */
export interface TableDifference {
  readonly cases: RegExp
  readonly reason: string
  /** whether such a case is in every sample, so that it must be seen */
  readonly isAlwaysTried?: boolean
}

/** For fuse-napi: the other package lets nobody in but the daemon's own user, and the table is about several. */
export const tableDifferences: readonly TableDifference[] = [
  { cases: /tmpfile/, reason: "libfuse's interface by path has no word for a file without one" },
  {
    cases: /^in a removed directory/,
    reason: 'libfuse forgets the number of a directory whose last path is gone: ESTALE for ENOENT',
    isAlwaysTried: true,
  },
  {
    cases: /^times chown nothing$/,
    reason: 'libfuse has no callback for a change of nothing, which would move the change time',
  },
  {
    cases: /^times link$/,
    reason: 'a new link is a new file to libfuse, with an inode number and a history of its own',
  },
]

/** Those that hold for a package. */
export function differencesOf(name: PackageName): Difference[] {
  return differences.filter(({ packages }) => packages.includes(name))
}

/** Whether the random calls leave a call out, by itself or as a part of another. */
export function isKnownToDiffer(known: readonly Difference[], call: Call): boolean {
  const { inner } = call
  if (inner !== undefined && isKnownToDiffer(known, inner as Call)) return true
  const hasAll = (fields: Readonly<Record<string, unknown>>): boolean =>
    Object.entries(fields).every(([name, value]) => call[name] === value)
  return known.some(({ leavesOut }) => leavesOut?.some(hasAll))
}
