// The kernel's structs, byte by byte. Offsets are those of linux/fuse.h, written out here a second time on purpose:
// the requests are built with DataView and the replies read with it, without the code under test.

import { readdir, readFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import t from 'tap'
import { CofferError, FilesystemError, StoreError } from '../../src/errors.ts'
import { decodeAttributeChanges, RequestReader } from '../../src/fuse/decode.ts'
import { direntBytes, ReplyWriter } from '../../src/fuse/encode.ts'
import { errnoNumber, errnoOf } from '../../src/fuse/errno.ts'
import type { Attributes } from '../../src/fuse/filesystem.ts'
import { agree, encodeAgreement } from '../../src/fuse/init.ts'

const IN_HEADER = 40
const OUT_HEADER = 16
const LITTLE = true
/** Requests lie anywhere in the area, and what is around them must not matter. */
const REQUEST_OFFSET = 64

interface Arguments {
  readonly request: RequestReader
  readonly view: DataView
}

/** A request with `length` bytes of arguments, surrounded by 0xaa; `view` is on the arguments. */
function requestOf(length: number, fill: (view: DataView) => void = () => undefined): Arguments {
  const area = new ArrayBuffer(REQUEST_OFFSET + IN_HEADER + ((length + 3) & ~3) + 64)
  new Uint8Array(area).fill(0xaa)
  const header = new DataView(area, REQUEST_OFFSET, IN_HEADER)
  header.setUint32(0, IN_HEADER + length, LITTLE)
  header.setUint32(4, 3, LITTLE)
  header.setBigUint64(8, 0x1122334455667788n, LITTLE)
  header.setBigUint64(16, 0x0000_1234_5678_9abcn, LITTLE)
  header.setUint32(24, 1000, LITTLE)
  header.setUint32(28, 4294967294, LITTLE)
  header.setUint32(32, 77, LITTLE)
  const view = new DataView(area, REQUEST_OFFSET + IN_HEADER, length)
  new Uint8Array(area, REQUEST_OFFSET + IN_HEADER, length).fill(0)
  fill(view)
  const request = new RequestReader(area)
  if (!request.seek(REQUEST_OFFSET, IN_HEADER + length)) throw new Error('not a request')
  return { request, view }
}

function withText(bytes: readonly number[]): RequestReader {
  return requestOf(bytes.length, view => {
    for (const [index, byte] of bytes.entries()) view.setUint8(index, byte)
  }).request
}

/** A writer whose area is full of an earlier reply. */
function replyOf(capacity = 4096): { reply: ReplyWriter; view: DataView } {
  const area = new ArrayBuffer(capacity + 64)
  new Uint8Array(area).fill(0xee)
  return { reply: new ReplyWriter(area, capacity), view: new DataView(area) }
}

const u32 = (view: DataView, offset: number) => view.getUint32(offset, LITTLE)
const u64 = (view: DataView, offset: number) => view.getBigUint64(offset, LITTLE)
const i64 = (view: DataView, offset: number) => view.getBigInt64(offset, LITTLE)

const ATTRIBUTES: Attributes = {
  inode: 2 ** 53 - 1,
  mode: 0o100644,
  linkCount: 3,
  uid: 4294967294,
  gid: 1001,
  deviceNumber: 0x80000001,
  sizeBytes: 2 ** 40 + 5,
  blockCount: 2 ** 33 + 1,
  accessTime: { seconds: -1, nanoseconds: 999_999_999 },
  modifyTime: { seconds: -(2 ** 40) - 3, nanoseconds: 0 },
  changeTime: { seconds: 2 ** 32 + 7, nanoseconds: 1 },
}

/** fuse_attr */
function checkAttributes(t: Tap, view: DataView, at: number): void {
  t.equal(u64(view, at), 2n ** 53n - 1n, 'ino')
  t.equal(u64(view, at + 8), 2n ** 40n + 5n, 'size')
  t.equal(u64(view, at + 16), 2n ** 33n + 1n, 'blocks')
  t.equal(i64(view, at + 24), -1n, 'atime')
  t.equal(i64(view, at + 32), -(2n ** 40n) - 3n, 'mtime')
  t.equal(i64(view, at + 40), 2n ** 32n + 7n, 'ctime')
  t.equal(u32(view, at + 48), 999_999_999, 'atimensec')
  t.equal(u32(view, at + 52), 0, 'mtimensec')
  t.equal(u32(view, at + 56), 1, 'ctimensec')
  t.equal(u32(view, at + 60), 0o100644, 'mode')
  t.equal(u32(view, at + 64), 3, 'nlink')
  t.equal(u32(view, at + 68), 4294967294, 'uid')
  t.equal(u32(view, at + 72), 1001, 'gid')
  t.equal(u32(view, at + 76), 0x80000001, 'rdev')
  t.equal(u32(view, at + 80), 1024 * 1024, 'blksize')
  t.equal(u32(view, at + 84), 0, 'flags')
}

type Tap = Pick<typeof t, 'equal'>

void t.test('a request header is read field by field', async t => {
  const { request } = requestOf(8)
  t.equal(request.opcode, 3)
  t.equal(request.uniqueLow, 0x55667788)
  t.equal(request.uniqueHigh, 0x11223344)
  t.equal(request.node, 0x1234_5678_9abc)
  t.equal(request.length, 8)
  t.same(request.caller(), { uid: 1000, gid: 4294967294, pid: 77 })
})

void t.test(
  'what is shorter than a header, or of another length than it says, is no request',
  async t => {
    const { request } = requestOf(8)
    t.notOk(request.seek(REQUEST_OFFSET, IN_HEADER - 1))
    t.notOk(request.seek(REQUEST_OFFSET, IN_HEADER + 7))
    t.notOk(request.seek(REQUEST_OFFSET, IN_HEADER + 9))
    t.notOk(request.seek(REQUEST_OFFSET, 0))
    t.ok(request.seek(REQUEST_OFFSET, IN_HEADER + 8))
  },
)

void t.test('64-bit numbers are exact up to 2^53 - 1 and refused beyond', async t => {
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 53n - 1n), value => {
      const { request } = requestOf(16, view => view.setBigUint64(8, value, LITTLE))
      return BigInt(request.u64(8)) === value
    }),
  )
  for (const value of [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
    const { request } = requestOf(8, view => view.setBigUint64(0, value, LITTLE))
    t.throws(() => request.u64(0), { code: 'EINVAL' })
    t.throws(() => request.u64(0, 'EFBIG'), { code: 'EFBIG' })
  }
})

void t.test(
  'times before 1970 are negative seconds with nanoseconds that count upwards',
  async t => {
    const limit = 2n ** 53n - 1n
    fc.assert(
      fc.property(fc.bigInt(-limit, limit), fc.nat(999_999_999), (seconds, nanoseconds) => {
        const { request } = requestOf(16, view => {
          view.setBigInt64(0, seconds, LITTLE)
          view.setUint32(8, nanoseconds, LITTLE)
        })
        const time = request.time(0, 8)
        return BigInt(time.seconds) === seconds && time.nanoseconds === nanoseconds
      }),
    )
    const { request, view } = requestOf(16)
    view.setUint32(8, 1_000_000_000, LITTLE)
    t.throws(() => request.time(0, 8), { code: 'EINVAL' }, 'a whole second of nanoseconds')
    view.setUint32(8, 0, LITTLE)
    for (const seconds of [2n ** 53n, -(2n ** 63n)]) {
      view.setBigInt64(0, seconds, LITTLE)
      t.throws(() => request.time(0, 8), { code: 'EINVAL' })
    }
  },
)

void t.test('names end with a NUL inside the request', async t => {
  t.equal(withText([0x61, 0xff, 0]).name(0), 'a\xff', 'one char per byte')
  t.equal(withText([0x61, 0, 0x62, 0]).name(2), 'b')
  t.throws(() => withText([0x61, 0x62]).name(0), { code: 'EINVAL' }, 'no NUL')
  t.throws(() => withText([0x61, 0]).name(2), { code: 'EINVAL' }, 'nothing left')
  t.throws(() => withText([0]).name(0), { code: 'EINVAL' }, 'empty')
  t.equal(withText([0]).text(0), '', 'which a text may be')
  const long = Array<number>(255).fill(0x6e)
  t.equal(withText([...long, 0]).name(0).length, 255)
  t.throws(() => withText([...long, 0x6e, 0]).name(0), { code: 'ENAMETOOLONG' })

  // A NUL right behind the request, left by an earlier one, is not the name's.
  const area = new ArrayBuffer(256)
  new Uint8Array(area, IN_HEADER, 2).fill(0x61)
  new DataView(area).setUint32(0, IN_HEADER + 2, LITTLE)
  const request = new RequestReader(area)
  t.ok(request.seek(0, IN_HEADER + 2))
  t.throws(() => request.name(0), { code: 'EINVAL' })
})

void t.test('data lies within the request', async t => {
  const request = withText([1, 2, 3, 4])
  t.same([...request.data(1, 3)], [2, 3, 4])
  t.equal(request.data(4, 0).length, 0)
  t.throws(() => request.data(1, 4), { code: 'EINVAL' })
  t.throws(() => request.data(0, 0xffffffff), { code: 'EINVAL' })
})

void t.test('setattr_in becomes the fields that are to change', async t => {
  const { request, view } = requestOf(88, view => {
    view.setBigUint64(8, 5n, LITTLE)
    view.setBigUint64(16, 2n ** 40n, LITTLE)
    view.setBigInt64(32, -5n, LITTLE)
    view.setBigInt64(40, 2n ** 33n, LITTLE)
    view.setBigInt64(48, 9n, LITTLE)
    view.setUint32(56, 1, LITTLE)
    view.setUint32(60, 2, LITTLE)
    view.setUint32(64, 3, LITTLE)
    view.setUint32(68, 0o104755, LITTLE)
    view.setUint32(76, 1000, LITTLE)
    view.setUint32(80, 1001, LITTLE)
  })
  const changes = (valid: number) => {
    view.setUint32(0, valid, LITTLE)
    return decodeAttributeChanges(request)
  }
  t.strictSame(changes(0), {})
  t.strictSame(changes(1 << 0), { mode: 0o104755 })
  t.strictSame(changes(1 << 1), { uid: 1000 })
  t.strictSame(changes(1 << 2), { gid: 1001 })
  t.strictSame(changes(1 << 3), { sizeBytes: 2 ** 40 })
  t.strictSame(changes(1 << 4), { accessTime: { seconds: -5, nanoseconds: 1 } })
  t.strictSame(changes(1 << 5), { modifyTime: { seconds: 2 ** 33, nanoseconds: 2 } })
  t.strictSame(changes(1 << 6), { handle: 5 })
  t.strictSame(changes((1 << 4) | (1 << 7)), { accessTime: 'now' })
  t.strictSame(changes((1 << 5) | (1 << 8)), { modifyTime: 'now' })
  t.strictSame(changes(1 << 10), { changeTime: { seconds: 9, nanoseconds: 3 } })
  t.strictSame(changes(1 << 11), { killPrivileges: true })
  t.strictSame(
    changes((1 << 7) | (1 << 8) | (1 << 9)),
    {},
    'lock owner and "now" alone say nothing',
  )
  view.setBigInt64(16, -1n, LITTLE)
  t.throws(() => changes(1 << 3), { code: 'EFBIG' }, 'a size that no file has')
})

void t.test('a reply header has a negative errno, a notification a positive code', async t => {
  const { reply, view } = replyOf()
  reply.header(0x55667788, 0x91223344, 2, 16)
  t.equal(u32(view, 0), 16)
  t.equal(view.getInt32(4, LITTLE), -2)
  t.equal(u64(view, 8), 0x9122334455667788n)
  reply.header(0, 0, 0, 24)
  t.equal(view.getInt32(4, LITTLE), 0)
  reply.header(0, 0, -3, 24)
  t.equal(view.getInt32(4, LITTLE), 3)
})

void t.test('64-bit numbers are written exactly, negative ones too', async t => {
  const limit = 2n ** 53n - 1n
  const { reply, view } = replyOf()
  const exact = fc.property(fc.bigInt(-limit, limit), value => {
    reply.u64(32, Number(value))
    return i64(view, 32) === value
  })
  t.doesNotThrow(() => fc.assert(exact))
})

void t.test('attr_out', async t => {
  const { reply, view } = replyOf()
  t.equal(reply.attributes(ATTRIBUTES), OUT_HEADER + 104)
  t.equal(u64(view, OUT_HEADER), 86400n, 'attr_valid')
  t.equal(u64(view, OUT_HEADER + 8), 0n, 'attr_valid_nsec and dummy')
  checkAttributes(t, view, OUT_HEADER + 16)
  t.equal(view.getUint8(OUT_HEADER + 104), 0xee, 'nothing behind it is touched')
})

void t.test('entry_out', async t => {
  const { reply, view } = replyOf()
  t.equal(
    reply.entry(OUT_HEADER, { attributes: ATTRIBUTES, generation: 2 ** 34 }),
    OUT_HEADER + 128,
  )
  t.equal(u64(view, OUT_HEADER), 2n ** 53n - 1n, 'nodeid')
  t.equal(u64(view, OUT_HEADER + 8), 2n ** 34n, 'generation')
  t.equal(u64(view, OUT_HEADER + 16), 86400n, 'entry_valid')
  t.equal(u64(view, OUT_HEADER + 24), 86400n, 'attr_valid')
  t.equal(u64(view, OUT_HEADER + 32), 0n, 'their nanoseconds')
  checkAttributes(t, view, OUT_HEADER + 40)

  t.equal(reply.entry(OUT_HEADER, undefined), OUT_HEADER + 128)
  t.equal(u64(view, OUT_HEADER), 0n, 'no inode: no such name')
  t.equal(u64(view, OUT_HEADER + 16), 86400n, 'which may be remembered')
  for (let at = 24; at < 128; at += 8) t.equal(u64(view, OUT_HEADER + at), 0n)
  reply.noEntry(OUT_HEADER, 0)
  t.equal(u64(view, OUT_HEADER + 16), 0n, 'not looked up: not remembered')
})

void t.test('open_out', async t => {
  const { reply, view } = replyOf()
  const flags = (directIo: boolean, keepCache: boolean, isFlushed = true) => {
    const file = { handle: 2 ** 40, directIo, keepCache, isFlushed }
    t.equal(reply.opened(OUT_HEADER, file), OUT_HEADER + 16)
    t.equal(u64(view, OUT_HEADER), 2n ** 40n, 'fh')
    t.equal(u32(view, OUT_HEADER + 12), 0, 'padding')
    return u32(view, OUT_HEADER + 8)
  }
  t.equal(flags(false, false), 0)
  t.equal(flags(false, true), 1 << 1)
  t.equal(flags(true, false), (1 << 0) | (1 << 6))
  t.equal(flags(false, false, false), 1 << 5)
  t.equal(reply.openedDirectory(OUT_HEADER), OUT_HEADER + 16)
  t.equal(u64(view, OUT_HEADER), 0n)
  t.equal(u32(view, OUT_HEADER + 8), (1 << 1) | (1 << 3), 'its listing is kept')
  t.equal(u32(view, OUT_HEADER + 12), 0, 'padding')
})

void t.test('a dirent is padded to 8 bytes with zeros', async t => {
  for (let length = 1; length <= 255; length += 1) {
    const { reply, view } = replyOf()
    const name = '\xfe'.repeat(length)
    const end = reply.dirent(OUT_HEADER, { inode: 2 ** 52, cookie: 2 ** 51, name, type: 0o120000 })
    const padded = OUT_HEADER + Math.ceil((24 + length) / 8) * 8
    const bytes = [...new Uint8Array(view.buffer, OUT_HEADER + 24, padded - OUT_HEADER - 24)]
    const expected = [...Array<number>(length).fill(0xfe), ...Array<number>(bytes.length).fill(0)]
    const right =
      end === padded &&
      direntBytes(length, false) === padded - OUT_HEADER &&
      direntBytes(length, true) === padded - OUT_HEADER + 128 &&
      u64(view, OUT_HEADER) === 2n ** 52n &&
      u64(view, OUT_HEADER + 8) === 2n ** 51n &&
      u32(view, OUT_HEADER + 16) === length &&
      u32(view, OUT_HEADER + 20) === 10 &&
      bytes.every((byte, index) => byte === expected[index]) &&
      view.getUint8(padded) === 0xee
    t.ok(right, `a name of ${length} bytes`)
  }
})

void t.test('statfs_out', async t => {
  const { reply, view } = replyOf()
  const end = reply.statistics(OUT_HEADER, {
    blockSizeBytes: 4096,
    totalBlocks: 2 ** 40,
    freeBlocks: 2 ** 39,
    availableBlocks: 3,
    totalInodes: 2 ** 35,
    freeInodes: 5,
    nameLengthMax: 255,
  })
  t.equal(end, OUT_HEADER + 80)
  const numbers = [0, 8, 16, 24, 32].map(at => u64(view, OUT_HEADER + at))
  t.same(numbers, [2n ** 40n, 2n ** 39n, 3n, 2n ** 35n, 5n])
  t.equal(u32(view, OUT_HEADER + 40), 4096, 'bsize')
  t.equal(u32(view, OUT_HEADER + 44), 255, 'namelen')
  t.equal(u32(view, OUT_HEADER + 48), 4096, 'frsize')
  for (let at = 52; at < 80; at += 4) t.equal(u32(view, OUT_HEADER + at), 0)
})

void t.test('INIT agrees on what both know', async t => {
  const offer = (major: number, minor: number, flags: number, flags2?: number) =>
    requestOf(flags2 === undefined ? 16 : 64, view => {
      view.setUint32(0, major, LITTLE)
      view.setUint32(4, minor, LITTLE)
      view.setUint32(8, 128 * 1024, LITTLE)
      view.setUint32(12, flags, LITTLE)
      if (flags2 !== undefined) view.setUint32(16, flags2, LITTLE)
    }).request
  t.equal(agree(offer(7, 30, 0)), undefined)
  t.equal(agree(offer(6, 99, 0)), undefined)
  t.equal(agree(offer(7, 31, 0xffffffff))?.flags2, 0, 'no second word was sent')
  t.equal(agree(offer(7, 38, 0xffffffff & ~(1 << 30), 0xffffffff))?.flags2, 0, 'or not announced')

  const agreement = agree(offer(7, 40, 0xffffffff, 0xffffffff))
  t.ok(agreement)
  if (agreement === undefined) return
  const { reply, view } = replyOf()
  t.equal(encodeAgreement(reply, agreement), OUT_HEADER + 64)
  t.equal(u32(view, OUT_HEADER), 7, 'major')
  t.equal(u32(view, OUT_HEADER + 4), 38, 'minor')
  t.equal(u32(view, OUT_HEADER + 8), 128 * 1024, 'max_readahead')
  const flags = u32(view, OUT_HEADER + 12)
  t.ok(flags & (1 << 22), 'FUSE_MAX_PAGES')
  t.ok(flags & (1 << 30), 'FUSE_INIT_EXT')
  t.notOk(flags & (1 << 16), 'no FUSE_WRITEBACK_CACHE')
  t.equal(view.getUint16(OUT_HEADER + 16, LITTLE), 64, 'max_background')
  t.equal(view.getUint16(OUT_HEADER + 18, LITTLE), 48, 'congestion_threshold')
  t.equal(u32(view, OUT_HEADER + 20), 1024 * 1024, 'max_write')
  t.equal(u32(view, OUT_HEADER + 24), 1, 'time_gran')
  t.equal(view.getUint16(OUT_HEADER + 28, LITTLE), 256, 'max_pages')
  t.equal(view.getUint16(OUT_HEADER + 30, LITTLE), 0, 'map_alignment')
  t.equal(u32(view, OUT_HEADER + 32), 1 << 4, 'flags2: FUSE_DIRECT_IO_ALLOW_MMAP')
  for (let at = 36; at < 64; at += 4) t.equal(u32(view, OUT_HEADER + at), 0)
})

/** As JavaScript's own table has them, which comes from the C library. */
const SYSTEM = new Map(Object.entries(constants.errno))

void t.test('errno numbers are the system’s', async t => {
  let known = 0
  for (const [name, number] of SYSTEM) {
    const ours = errnoNumber(name)
    if (ours === undefined) continue
    known += 1
    t.equal(ours, number, name)
  }
  t.ok(known > 40)
})

void t.test('every errno that the sources name has a number', async t => {
  const root = fileURLToPath(new URL('../../../src/', import.meta.url))
  const names = new Set<string>()
  const raised = new Set<string>()
  for (const file of await readdir(root, { recursive: true })) {
    if (!file.endsWith('.ts')) continue
    const text = await readFile(`${root}${file}`, 'utf8')
    for (const [, name = ''] of text.matchAll(/FilesystemError\(\s*'([^']+)'/g)) raised.add(name)
    // What the filesystem's layers only name may be raised by way of a variable.
    if (!/^(fuse|vfs|stream|blocks|dedupe|metadata)\//.test(file)) continue
    for (const [, name = ''] of text.matchAll(/'(E[A-Z0-9]+)'/g)) {
      if (SYSTEM.has(name)) names.add(name)
    }
  }
  t.ok(raised.size > 15, 'the sources were found')
  for (const name of raised) t.ok(errnoNumber(name), `${name} is raised`)
  for (const name of names) t.ok(errnoNumber(name), `${name} is named`)
})

void t.test('what is no known errno becomes EIO', async t => {
  t.equal(errnoOf(new FilesystemError('ENOENT')), 2)
  t.equal(errnoOf(new FilesystemError('EUNHEARDOF')), 5)
  t.equal(errnoOf(new FilesystemError('')), 5)
  t.equal(errnoOf(new FilesystemError('constructor')), 5)
  t.equal(errnoOf(new StoreError('ENOENT', 'a code of the store is no errno')), 5)
  t.equal(errnoOf(new CofferError('ENOENT', 'nor is another error’s')), 5)
  t.equal(errnoOf(Object.assign(new Error('of Node'), { code: 'ENOENT' })), 5)
  for (const value of [undefined, null, 'ENOENT', 2, {}]) t.equal(errnoOf(value), 5)
})
