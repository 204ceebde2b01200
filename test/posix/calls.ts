// Random calls for the comparison with a plain directory: few names, few places, so that they meet.

import fc from 'fast-check'
import type { Call } from './agents.ts'

const O_RDONLY = 0
const O_WRONLY = 1
const O_RDWR = 2
const O_CREAT = 0o100
const O_EXCL = 0o200
const O_TRUNC = 0o1000
const O_APPEND = 0o2000
const O_DIRECTORY = 0o200000
const O_NOFOLLOW = 0o400000
const O_SYNC = 0o4010000

const NAMES = ['a', 'b', 'd', 'd/a', 'd/e', 'd/e/f', 'é\xff', 'a/x', 'd/.', 'n'.repeat(256)]
const path = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('a', 'b', 'd', 'd/a', 'd/e', 'd/e/f') },
  { weight: 1, arbitrary: fc.constantFrom(...NAMES) },
)
const slot = fc.constantFrom(1, 2)
const seed = fc.nat(9)
const offset = fc.oneof(
  fc.constantFrom(0, 1, 4095, 4096, 65_536, 100_000, 1_000_000),
  fc.nat(200_000),
)
const size = fc.oneof(fc.constantFrom(0, 1, 4096, 65_536, 150_000), fc.nat(100_000))
const mode = fc.constantFrom(0, 0o600, 0o644, 0o755, 0o777, 0o777, 0o1777, 0o2755, 0o4755, 0o6711)
/** mostly root, who is refused the least */
const user = fc.constantFrom(
  undefined,
  undefined,
  undefined,
  [1000, 1000, 2000],
  [1000, 1000, 2000],
  [1001, 1001],
)
const owner = fc.constantFrom(-1, 0, 1000, 1001)
const group = fc.constantFrom(-1, 0, 1000, 2000)
const nanoseconds = fc.constantFrom(0, 1_000_000_000, 1_700_000_000_123_456_768, 999_999_999)

/** A call: `user` is added to those of paths, where permissions are checked. */
function call(
  weight: number,
  op: string,
  parts: Readonly<Record<string, fc.Arbitrary<unknown>>>,
): fc.WeightedArbitrary<Call> {
  const record = fc.record({ op: fc.constant(op), ...parts })
  return { weight, arbitrary: record.map(one => one as Call) }
}

const flags = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(O_RDWR | O_CREAT, O_RDWR, O_RDWR | O_CREAT | O_APPEND) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        fc.constantFrom(O_RDONLY, O_WRONLY, O_RDWR),
        fc.constantFrom(0, O_CREAT, O_CREAT | O_EXCL),
        fc.constantFrom(0, 0, O_TRUNC, O_APPEND, O_SYNC, O_DIRECTORY, O_NOFOLLOW),
      )
      .map(([access, creation, more]) => access | creation | more),
  },
)

const xattr = fc.constantFrom(
  'user.one',
  'user.two',
  'trusted.t',
  'security.s',
  'user.',
  'odd',
  'system.odd',
)

const plain: fc.WeightedArbitrary<Call>[] = [
  call(12, 'open', { slot, path, flags, mode, user }),
  call(3, 'close', { slot }),
  call(6, 'pread', { slot, offset, size }),
  call(10, 'pwrite', { slot, offset, size, seed }),
  call(5, 'append', { slot, size, seed }),
  call(2, 'direct', { path, offset, seed }),
  call(4, 'truncate', { path, size: offset, user }),
  call(4, 'ftruncate', { slot, size: offset }),
  call(1, 'fsync', { slot }),
  call(1, 'fdatasync', { slot }),
  call(3, 'fallocate', { slot, mode: fc.constantFrom(0, 1, 3, 0x10, 0x11, 2), offset, size }),
  call(3, 'seek_kinds', { slot }),
  call(1, 'seek_outside', { slot, offset: fc.nat(5), whence: fc.constantFrom(3, 4) }),
  call(4, 'copy', { slot, to: slot, offset, at: offset, size }),
  call(3, 'mmap', { slot, offset, size, seed }),
  call(5, 'mkdir', { path, mode, user }),
  call(3, 'rmdir', { path, user }),
  call(4, 'unlink', { path, user }),
  call(6, 'rename', { path, to: path, user }),
  call(3, 'rename2', { path, to: path, flags: fc.constantFrom(1, 2, 3), user }),
  call(4, 'link', { path, to: path, user }),
  call(3, 'symlink', { target: fc.constantFrom('a', 'd', '../a', 'nowhere', 'b'), path, user }),
  call(2, 'readlink', { path, user }),
  call(2, 'mknod', {
    path,
    mode: fc.constantFrom(0o010644, 0o140600, 0o100640),
    user,
  }),
  call(6, 'chmod', { path, mode, user }),
  {
    weight: 5,
    arbitrary: fc
      .record({ op: fc.constant('chown'), path, uid: owner, gid: group, user })
      // A change of nothing by somebody who may change nothing is that filesystem's own affair (docs/posix.md); the table has it.
      .map(one => (one.uid === -1 && one.gid === -1 ? { ...one, user: undefined } : one) as Call),
  },
  call(2, 'utimens', { path, atime: nanoseconds, mtime: nanoseconds, user }),
  call(1, 'utime_now', { path, user }),
  call(3, 'setxattr', {
    path,
    name: xattr,
    size: fc.constantFrom(0, 1, 100),
    seed,
    flags: fc.constantFrom(0, 1, 2),
    user,
  }),
  call(2, 'getxattr', { path, name: xattr, user }),
  call(1, 'listxattr', { path, user }),
  call(2, 'removexattr', { path, name: xattr, user }),
  call(2, 'flock', { slot, kind: fc.constantFrom(1, 2, 8) }),
  call(3, 'lockf', { slot, kind: fc.constantFrom(0, 1, 2), offset: fc.nat(3), size: fc.nat(3) }),
  call(2, 'ofd_lock', { slot, kind: fc.constantFrom(0, 1, 2), offset: fc.nat(3), size: fc.nat(3) }),
  call(1, 'get_lock', { slot, kind: fc.constantFrom(0, 1), offset: fc.nat(3), size: fc.nat(3) }),
  call(2, 'tmpfile', { path, to: path, mode, size, seed, user }),
  call(3, 'stat', { path, user }),
  call(2, 'fstat', { slot }),
  call(2, 'access', { path, mode: fc.nat(7), user }),
  call(2, 'readdir', { path, user }),
  call(1, 'types', { path, user }),
  call(1, 'unlinked', { path, offset, size, seed, user }),
  call(1, 'umask', { mask: fc.constantFrom(0, 0o022, 0o077) }),
]

const anyPlain = fc.oneof(...plain)

export const anyCall: fc.Arbitrary<Call> = fc.oneof(
  { weight: 9, arbitrary: anyPlain },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('times'),
      paths: fc.constant(['a', 'b', 'd', 'd/a', 'd/e', '.']),
      inner: anyPlain,
    }),
  },
)

/** What every sequence begins with, so that most of its calls find something. */
export const PRELUDE: readonly Call[] = [
  { op: 'mkdir', path: 'd', mode: 0o777 },
  { op: 'chmod', path: 'd', mode: 0o777 },
  { op: 'open', slot: 1, path: 'a', flags: O_RDWR | O_CREAT, mode: 0o666 },
  { op: 'pwrite', slot: 1, offset: 0, size: 10_000, seed: 1 },
  { op: 'open', slot: 2, path: 'd/a', flags: O_RDWR | O_CREAT, mode: 0o600, user: [1000, 1000] },
]
