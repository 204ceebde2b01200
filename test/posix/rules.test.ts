// Rules that random calls seldom meet: access lists, large sparse files, copies that share, locks of processes that die.

import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { MountedCoffer, mountSkipReason, shell, tool } from '../helpers/mounted.ts'
import { Agent, Sides, type Call } from './agents.ts'

const ALICE = [1000, 1000]
const BOB = [1001, 1001]
const O_RDWR_CREAT = 0o102
const LOCK_EX = 2
const F_WRLCK = 1
const GIB = 2 ** 30
const TIB = 2 ** 40
/** names of a listing that goes on from any place; nightly it is 100,000 */
const NAMES = Number(process.env['COFFER_POSIX_NAMES'] ?? 20_000)

/** the access list of an xattr: tag, permissions and id of each entry */
function acl(...entries: readonly [tag: number, permissions: number, id?: number][]): string {
  const bytes = Buffer.alloc(4 + 8 * entries.length)
  bytes.writeUInt32LE(2, 0)
  for (const [index, [tag, permissions, id]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + 8 * index)
    bytes.writeUInt16LE(permissions, 6 + 8 * index)
    bytes.writeUInt32LE(id ?? 0xffffffff, 8 + 8 * index)
  }
  return bytes.toString('hex')
}

const ACCESS = 'system.posix_acl_access'
const DEFAULT = 'system.posix_acl_default'
/** bob may write, the mask and the owner say what they say */
const FOR_BOB = acl([1, 7], [2, 6, 1001], [4, 5], [0x10, 6], [0x20, 0])
const PLAIN = acl([1, 6], [4, 4], [0x20, 0])

const get = (path: string, name: string): Call => ({ op: 'getxattr_hex', path, name })
const set = (path: string, name: string, value: string): Call => ({
  op: 'setxattr_hex',
  path,
  name,
  value,
})
const stat = (path: string): Call => ({ op: 'stat', path })
const open = (slot: number, path: string, user?: readonly number[]): Call => ({
  op: 'open',
  slot,
  path,
  flags: O_RDWR_CREAT,
  mode: 0o666,
  ...(user && { user }),
})

/** each must give the same here and there */
const ACL_CALLS: readonly Call[] = [
  open(1, 'f', ALICE),
  { op: 'chmod', path: 'f', mode: 0o2640 },
  open(2, 'f', BOB),
  set('f', ACCESS, FOR_BOB),
  stat('f'),
  open(2, 'f', BOB),
  { op: 'chmod', path: 'f', mode: 0o604, user: ALICE },
  get('f', ACCESS),
  open(2, 'f', BOB),
  set('f', ACCESS, PLAIN),
  get('f', ACCESS),
  stat('f'),
  set('f', DEFAULT, FOR_BOB),
  set('f', ACCESS, 'ff'),
  { op: 'removexattr', path: 'f', name: ACCESS },
  { op: 'mkdir', path: 'd', mode: 0o777 },
  set('d', DEFAULT, FOR_BOB),
  { op: 'umask', mask: 0o077 },
  open(1, 'd/made'),
  stat('d/made'),
  get('d/made', ACCESS),
  { op: 'mkdir', path: 'd/below', mode: 0o711 },
  stat('d/below'),
  get('d/below', ACCESS),
  get('d/below', DEFAULT),
  { op: 'mknod', path: 'd/fifo', mode: 0o010666 },
  get('d/fifo', ACCESS),
  { op: 'symlink', path: 'd/link', target: 'made' },
  stat('d/link'),
  { op: 'tmpfile', path: 'd', to: 'd/named', mode: 0o666, size: 5, seed: 1 },
  get('d/named', ACCESS),
  { op: 'listxattr', path: 'd' },
  { op: 'removexattr', path: 'd', name: DEFAULT },
  open(1, 'd/masked'),
  stat('d/masked'),
  { op: 'umask', mask: 0o022 },
  { op: 'setxattr', path: 'f', name: 'trusted.t', size: 1, seed: 1 },
  { op: 'listxattr', path: 'f', user: ALICE },
  { op: 'listxattr', path: 'f' },
  { op: 'setxattr', path: 'f', name: `user.${'n'.repeat(250)}`, size: 1, seed: 1 },
  { op: 'setxattr', path: 'f', name: `user.${'n'.repeat(251)}`, size: 1, seed: 1 },
  { op: 'mknod', path: 'null', mode: 0o020666, major: 1, minor: 3 },
  stat('null'),
  { op: 'mknod', path: 'mine', mode: 0o020666, major: 1, minor: 3, user: ALICE },
]

/** what a rule's test is given */
interface Place {
  readonly coffer: MountedCoffer
  readonly top: string
  readonly plain: string
}

async function accessLists(t: Test, { top, plain }: Place): Promise<void> {
  const sides = new Sides(top, plain)
  t.teardown(() => sides.end())
  await sides.home('acl')
  for (const call of ACL_CALLS) {
    const { mount, plain: expected } = await sides.run(0, call)
    assert.deepEqual(mount, expected, JSON.stringify(call))
  }
  t.pass(`${ACL_CALLS.length} calls agree`)
}

async function sharedCopy(t: Test, { coffer, top }: Place): Promise<void> {
  await shell(`openssl rand ${GIB / 8} > ${top}/one`)
  await shell(`for n in 1 2 3 4 5 6 7 8; do cat ${top}/one; done > ${top}/large`)
  await shell(`sync ${top}/large`)
  const before = await tool('du', '-s', '--block-size=1', coffer.store)
  const started = performance.now()
  await tool('cp', '--reflink=auto', `${top}/large`, `${top}/copy`)
  const milliseconds = performance.now() - started
  await shell(`sync ${top}/copy`)
  const after = await tool('du', '-s', '--block-size=1', coffer.store)
  await tool('cmp', `${top}/large`, `${top}/copy`)
  const grownBytes = Number.parseInt(after, 10) - Number.parseInt(before, 10)
  t.comment(`1 GiB copied in ${milliseconds.toFixed(0)} ms, ${grownBytes} bytes`)
  t.ok(grownBytes < GIB / 32, 'nothing was stored twice')
  await shell(`rm ${top}/large ${top}/one; cp ${top}/copy /dev/null`)
  await tool('rm', `${top}/copy`)
}

async function sparseFile(t: Test, { top }: Place): Promise<void> {
  const file = join(top, 'sparse')
  const started = performance.now()
  await tool('truncate', '-s', String(8 * TIB), file)
  await shell(`echo end | dd of=${file} bs=1 seek=$((7 * ${TIB})) conv=notrunc status=none`)
  const agent = new Agent('/')
  t.teardown(() => agent.end())
  await agent.run({ op: 'home', path: top })
  await agent.run(open(1, 'sparse'))
  t.same(await agent.run({ op: 'seek_kinds', slot: 1 }), { ok: 8 * TIB })
  t.same(await agent.run({ op: 'ftruncate', slot: 1, size: 5 }), { ok: null })
  t.same(await agent.run({ op: 'ftruncate', slot: 1, size: 9 * TIB }), { errno: 'EFBIG' })
  await agent.run({ op: 'unlink', path: 'sparse' })
  const seconds = (performance.now() - started) / 1000
  t.ok(seconds < 5, `${seconds.toFixed(1)} s`)
}

async function locks(t: Test, { top }: Place): Promise<void> {
  const holder = new Agent('/')
  const other = new Agent('/')
  t.teardown(() => other.end())
  for (const agent of [holder, other]) {
    await agent.run({ op: 'home', path: top })
    await agent.run(open(1, 'locked'))
    await agent.run(open(2, 'flocked'))
  }
  const lock: Call = { op: 'lockf', slot: 1, kind: F_WRLCK, offset: 0, size: 1 }
  const flock: Call = { op: 'flock', slot: 2, kind: LOCK_EX }
  for (const call of [lock, flock]) {
    t.same(await holder.run(call), { ok: null })
    t.same(await other.run(call), { errno: 'EAGAIN' })
  }
  await holder.kill()
  for (const call of [lock, flock]) t.same(await other.run(call), { ok: null })
}

const LISTING_PROGRAM = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
class Entry(ctypes.Structure):
    _fields_ = [('ino', ctypes.c_uint64), ('off', ctypes.c_int64), ('len', ctypes.c_uint16), ('type', ctypes.c_ubyte), ('name', ctypes.c_char * 256)]
libc.opendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.POINTER(Entry)
libc.telldir.restype = ctypes.c_long
for f in (libc.readdir, libc.telldir): f.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
top, count = sys.argv[1], int(sys.argv[2])
os.mkdir(top)
os.chdir(top)
for n in range(count): os.mknod('n%d' % n)
d = libc.opendir(b'.')
names, places = [], []
while True:
    place = libc.telldir(d)
    entry = libc.readdir(d)
    if not entry: break
    names.append(entry.contents.name); places.append(place)
assert len(set(names)) == count + 2, len(set(names))
for n in range(0, count, 3): os.unlink('n%d' % n)
for n in range(1000): os.mknod('new%d' % n)
here = set(os.listdir(b'.')) | {b'.', b'..'}
for at in range(5, len(names), len(names) // 50):
    if names[at] not in here: continue
    libc.seekdir(d, places[at])
    found = libc.readdir(d).contents.name
    # what is new may lie in between
    while found.startswith(b'new'): found = libc.readdir(d).contents.name
    assert found == names[at], at
print('ok')
`

async function listing(t: Test, { top }: Place): Promise<void> {
  t.equal(await tool('python3', '-c', LISTING_PROGRAM, join(top, 'many'), String(NAMES)), 'ok\n')
}

test('POSIX rules on a mount', { skip: mountSkipReason }, async t => {
  const coffer = new MountedCoffer()
  const plain = mkdtempSync(join(tmpdir(), 'coffer-plain-'))
  for (const directory of [plain, coffer.base]) chmodSync(directory, 0o755)
  t.teardown(async () => {
    await coffer.remove()
    await rm(plain, { recursive: true, force: true })
  })
  await coffer.start('--allow-other')
  await coffer.coffer('container', 'add', 'c')
  const top = join(coffer.mount, 'c')
  chmodSync(top, 0o777)

  const place = { coffer, top, plain }
  await t.test('access lists, limits, device nodes', t => accessLists(t, place))
  await t.test('a copy shares its chunks', t => sharedCopy(t, place))
  await t.test('8 TiB of hole cost nothing', t => sparseFile(t, place))
  await t.test('locks go with their holders', t => locks(t, place))
  await t.test('a listing goes on from any place, whatever comes and goes', t => listing(t, place))
})
