// The dispatcher with a false kernel: whatever comes, it never throws and answers exactly once.

import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { FilesystemError } from '../../src/errors.ts'
import { Dispatcher, type ReplyLink } from '../../src/fuse/dispatch.ts'
import { errnoNumber } from '../../src/fuse/errno.ts'
import type { Entry, ReadResult } from '../../src/fuse/filesystem.ts'
import { operationFamilies } from '../../src/fuse/latencies.ts'
import { operations } from '../../src/fuse/operations.ts'
import { NAME_BYTES_MAX, Opcode } from '../../src/fuse/protocol.ts'
import { MemoryFilesystem } from './memory-filesystem.ts'

const IN_HEADER = 40
const OUT_HEADER = 16
const REPLY_BYTES = 256 * 1024
const SLOT_BYTES = 16 * 1024
const SLOT_COUNT = 64
const LITTLE = true
const ROOT = 1
const UNANSWERED: ReadonlySet<number> = new Set([
  Opcode.FORGET,
  Opcode.BATCH_FORGET,
  Opcode.INTERRUPT,
])

interface Reply {
  readonly unique: number
  readonly errno: number
  readonly body: Buffer
}

/** The kernel's side: hands requests in, keeps the replies. */
class Kernel implements ReplyLink {
  readonly area = new ArrayBuffer(REPLY_BYTES + SLOT_COUNT * SLOT_BYTES)
  readonly replyBytes = REPLY_BYTES
  readonly #bytes = Buffer.from(this.area)
  readonly replies: Reply[] = []
  /** slots that requests are in */
  readonly slots = new Set<number>()
  /** what a reply is answered with: an errno tells that nobody hears it */
  deaf = 0
  /** whether replies with data are written later */
  slow = false
  /** who sends */
  caller = { uid: 0, pid: 0 }
  readonly written: number[] = []
  #unique = 0
  readonly dispatcher: Dispatcher

  readonly filesystem: MemoryFilesystem

  constructor(filesystem = new MemoryFilesystem()) {
    this.filesystem = filesystem
    this.dispatcher = new Dispatcher(filesystem, this, () => undefined)
  }

  /** @returns the request's unique number */
  send(opcode: number, node: number, args: Uint8Array, lie = 0): number {
    this.#unique += 1
    const slot = Array.from({ length: SLOT_COUNT }, (_, index) => index).find(
      index => !this.slots.has(index),
    )
    if (slot === undefined) throw new Error('no slot was given back')
    const offset = REPLY_BYTES + slot * SLOT_BYTES
    const length = IN_HEADER + args.length
    const header = new DataView(this.area, offset, IN_HEADER)
    header.setUint32(0, length + lie, LITTLE)
    header.setUint32(4, opcode, LITTLE)
    header.setBigUint64(8, BigInt(this.#unique), LITTLE)
    header.setBigUint64(16, BigInt(node), LITTLE)
    header.setUint32(24, this.caller.uid, LITTLE)
    header.setUint32(32, this.caller.pid, LITTLE)
    this.#bytes.set(args, offset + IN_HEADER)
    this.slots.add(slot)
    this.dispatcher.arrived(performance.now())
    if (this.dispatcher.handle(slot, offset, length)) this.releaseSlot(slot)
    return this.#unique
  }

  /** Sends, waits, and takes the only reply. */
  async ask(opcode: number, node: number, args: Uint8Array): Promise<Reply> {
    const unique = this.send(opcode, node, args)
    await this.settle()
    const replies = this.replies.filter(reply => reply.unique === unique)
    const [reply] = replies
    if (reply === undefined || replies.length > 1) throw new Error(`${replies.length} replies`)
    return reply
  }

  /** Until nothing is under way: the filesystem in memory takes a few turns at most. */
  async settle(): Promise<void> {
    for (let turns = 0; turns < 6; turns += 1) {
      await turn()
      for (const id of this.written.splice(0)) this.dispatcher.complete(id)
    }
  }

  #take(body: Buffer): void {
    const header = new DataView(this.area, 0, OUT_HEADER)
    const length = header.getUint32(0, LITTLE)
    const errno = 0 - header.getInt32(4, LITTLE)
    if (length !== OUT_HEADER + body.length) throw new Error('a reply of another length')
    if (errno !== 0 && body.length > 0) throw new Error('an error with data')
    const unique = Number(header.getBigUint64(8, LITTLE))
    this.replies.push({ unique, errno, body })
  }

  reply(length: number): number {
    if (length < OUT_HEADER || length > REPLY_BYTES) throw new Error('a reply that does not fit')
    this.#take(Buffer.from(this.#bytes.subarray(OUT_HEADER, length)))
    return this.deaf
  }

  replyPieces(id: number, pieces: readonly Uint8Array[]): boolean {
    this.#take(Buffer.concat(pieces))
    if (this.slow) this.written.push(id)
    return !this.slow
  }

  releaseSlot(slot: number): void {
    if (!this.slots.delete(slot)) throw new Error('a slot was given back twice')
  }
}

/** Arguments from 32-bit words, then bytes. */
function args(words: readonly number[], ...rest: string[]): Uint8Array {
  const head = Buffer.alloc(words.length * 4)
  for (const [index, word] of words.entries()) head.writeUInt32LE(word, index * 4)
  return Buffer.concat([head, ...rest.map(part => Buffer.from(part, 'latin1'))])
}

/** Bytes of arguments before the names and data, by opcode: what a well-formed request has. */
const HEAD_WORDS: readonly (readonly [opcode: number, words: number])[] = [
  [Opcode.LOOKUP, 0],
  [Opcode.FORGET, 2],
  [Opcode.GETATTR, 4],
  [Opcode.SETATTR, 22],
  [Opcode.READLINK, 0],
  [Opcode.SYMLINK, 0],
  [Opcode.MKNOD, 4],
  [Opcode.MKDIR, 2],
  [Opcode.UNLINK, 0],
  [Opcode.RMDIR, 0],
  [Opcode.RENAME, 2],
  [Opcode.RENAME2, 4],
  [Opcode.LINK, 2],
  [Opcode.OPEN, 2],
  [Opcode.CREATE, 4],
  [Opcode.READ, 10],
  [Opcode.WRITE, 10],
  [Opcode.STATFS, 0],
  [Opcode.RELEASE, 6],
  [Opcode.FSYNC, 4],
  [Opcode.SETXATTR, 2],
  [Opcode.GETXATTR, 2],
  [Opcode.LISTXATTR, 2],
  [Opcode.REMOVEXATTR, 0],
  [Opcode.FLUSH, 6],
  [Opcode.INIT, 16],
  [Opcode.OPENDIR, 2],
  [Opcode.READDIR, 10],
  [Opcode.READDIRPLUS, 10],
  [Opcode.RELEASEDIR, 6],
  [Opcode.FSYNCDIR, 4],
  [Opcode.INTERRUPT, 2],
  [Opcode.DESTROY, 0],
  [Opcode.IOCTL, 8],
  [Opcode.BATCH_FORGET, 6],
  [Opcode.FALLOCATE, 8],
  [Opcode.LSEEK, 6],
  [Opcode.TMPFILE, 4],
]

interface Sent {
  readonly opcode: number
  readonly node: number
  readonly bytes: Uint8Array
  readonly lie: number
}

const opcodes = fc.oneof(
  fc.constantFrom(...HEAD_WORDS.map(([opcode]) => opcode)),
  fc.nat(70),
  fc.nat(0xffffffff),
)
const nodes = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(ROOT, ROOT, 2, 3) },
  { weight: 1, arbitrary: fc.nat(12) },
  { weight: 1, arbitrary: fc.nat(Number.MAX_SAFE_INTEGER) },
)
const lies = fc.oneof(
  { weight: 20, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.constantFrom(-40, -1, 1, 4, 4096, 0x7fffffff) },
)

const garbage: fc.Arbitrary<Sent> = fc.record({
  opcode: opcodes,
  node: nodes,
  bytes: fc.uint8Array({ maxLength: 200 }),
  lie: lies,
})

const word = fc.oneof(
  { weight: 4, arbitrary: fc.nat(8) },
  { weight: 1, arbitrary: fc.constantFrom(255, 4096, 65536, 1 << 20, 0x7fffffff, 0xffffffff) },
)
/** Mostly names that meet again; also some without end, too long, empty or with odd bytes. */
const tail = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a\0', 'b\0', 'a\0b\0', 'b\0a\0', 'c\0data', 'd\0') },
  {
    weight: 1,
    arbitrary: fc.constantFrom('', '\0', '\0\0', 'a', 'a\0b', '\xff\xfe\0', '..\0', 'a\0\0'),
  },
  { weight: 1, arbitrary: fc.constantFrom(255, 256, 4000).map(n => `${'n'.repeat(n)}\0`) },
)

const wellFormed: fc.Arbitrary<Sent> = fc
  .tuple(
    fc.constantFrom(...HEAD_WORDS),
    nodes,
    fc.array(word, { minLength: 22, maxLength: 22 }),
    fc.array(fc.boolean(), { minLength: 22, maxLength: 22 }),
    tail,
    fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(100) }),
    lies,
  )
  .map(([[opcode, count], node, words, zeros, end, cut, lie]) => {
    // Half of the words are 0, so that many a 64-bit number is a small one.
    const head = words.slice(0, count).map((value, index) => (zeros[index] === true ? 0 : value))
    const whole = args(head, end)
    return { opcode, node, lie, bytes: whole.subarray(0, Math.max(0, whole.length - cut)) }
  })

function populated(): MemoryFilesystem {
  const filesystem = new MemoryFilesystem()
  filesystem.plant('a', Buffer.alloc(300_000, 7))
  filesystem.plant('b', Buffer.from('b'))
  return filesystem
}

void t.test('whatever is sent gets exactly one answer with a sane errno', async t => {
  const answers = new Map<number, number>()
  const requests = fc.array(fc.oneof(garbage, wellFormed, wellFormed), {
    minLength: 1,
    maxLength: 40,
  })
  const property = fc.asyncProperty(requests, fc.boolean(), async (list, slow) => {
    const kernel = new Kernel(populated())
    kernel.slow = slow
    await kernel.filesystem.open(2, 0)
    const expected = new Map<number, number>()
    for (const { opcode, node, bytes, lie } of list) {
      const unique = kernel.send(opcode, node, bytes, lie)
      expected.set(unique, lie !== 0 || UNANSWERED.has(opcode) ? 0 : 1)
    }
    await kernel.settle()
    for (const { unique, errno } of kernel.replies) {
      expected.set(unique, (expected.get(unique) ?? 0) - 1)
      // EIO would be an exception that nobody foresaw: the filesystem in memory never has one.
      if (errno < 0 || errno > 133 || errno === 5) throw new Error(`errno ${errno}`)
      answers.set(errno, (answers.get(errno) ?? 0) + 1)
    }
    for (const [unique, missing] of expected) {
      if (missing !== 0) throw new Error(`request ${unique}: ${missing} answers are missing`)
    }
    const { latencies } = kernel.dispatcher
    const timed = operationFamilies.reduce((sum, family) => sum + latencies[family].count, 0)
    if (timed !== kernel.replies.length) throw new Error(`${timed} answers were timed`)
    if (kernel.slots.size > 0) throw new Error('a slot is not given back')
    if (kernel.filesystem.readsHeld !== 0) throw new Error('a read is not released')
    if (kernel.dispatcher.completions.size !== 0) throw new Error('a completion is not taken')
  })
  await t.resolves(fc.assert(property, { numRuns: 1000 }))
  for (const code of ['EINVAL', 'ENOSYS', 'ENOENT', 'ENAMETOOLONG', 'EBADF', 'ESTALE']) {
    t.ok(answers.get(errnoNumber(code) ?? 0), `${code} came up`)
  }
  t.ok((answers.get(0) ?? 0) > 1000, 'and so did success')
})

void t.test('a request one byte short of its fixed part is EINVAL', async t => {
  const kernel = new Kernel(populated())
  const fixed: [number, number][] = [...operations.entries()].flatMap(([opcode, operation]) =>
    operation === undefined ? [] : [[opcode, operation.argumentBytes]],
  )
  fixed.push([Opcode.READ, 40], [Opcode.WRITE, 40], [Opcode.INIT, 16])
  for (const [opcode, bytes] of fixed) {
    if (bytes === 0) continue
    for (const length of [0, bytes - 1]) {
      const { errno } = await kernel.ask(opcode, ROOT, new Uint8Array(length))
      t.equal(errno, 22, `opcode ${opcode}, ${length} bytes`)
    }
  }
  t.equal(kernel.filesystem.nodes.size, 3, 'nothing was created')
})

void t.test('unknown opcodes are ENOSYS, known ones that we refuse say why', async t => {
  const kernel = new Kernel()
  for (const opcode of [0, 7, 31, 63, 64, 4096, 0xffffffff]) {
    t.equal((await kernel.ask(opcode, ROOT, new Uint8Array(64))).errno, 38, `opcode ${opcode}`)
  }
  t.equal((await kernel.ask(Opcode.IOCTL, ROOT, new Uint8Array(32))).errno, 25)
  t.equal((await kernel.ask(Opcode.TMPFILE, ROOT, new Uint8Array(32))).errno, 95)
})

void t.test('names are checked before the filesystem sees them', async t => {
  const kernel = new Kernel()
  const cases: [string, number][] = [
    [`${'n'.repeat(NAME_BYTES_MAX)}\0`, 0],
    [`${'n'.repeat(NAME_BYTES_MAX + 1)}\0`, 36],
    ['without end', 22],
    ['\0\0', 22],
  ]
  for (const [name, errno] of cases) {
    t.equal((await kernel.ask(Opcode.LOOKUP, ROOT, args([], name))).errno, errno)
    t.equal((await kernel.ask(Opcode.MKDIR, ROOT, args([0o755, 0], name))).errno, errno)
  }
  t.equal((await kernel.ask(Opcode.RENAME, ROOT, args([1, 0], 'a\0b'))).errno, 22, 'the second too')
  t.equal((await kernel.ask(Opcode.SYMLINK, ROOT, args([], 'a\0'))).errno, 22, 'no target')
  const value = args([10, 0], 'user.x\0', 'short')
  t.equal((await kernel.ask(Opcode.SETXATTR, ROOT, value)).errno, 22, 'a value that is cut off')
  t.equal(
    (await kernel.ask(Opcode.WRITE, ROOT, args([1, 0, 0, 0, 5, 0, 0, 0, 0, 0], 'four'))).errno,
    22,
  )
})

void t.test('a filesystem that fails unexpectedly is EIO, at once and later', async t => {
  class Broken extends MemoryFilesystem {
    override lookup(): Entry {
      throw new TypeError('a bug')
    }
    override async read(): Promise<ReadResult> {
      throw new TypeError('a bug')
    }
    override async write(): Promise<number> {
      throw new FilesystemError('ENOSPC')
    }
    override async fsyncdir(): Promise<void> {
      throw new FilesystemError('EUNHEARDOF')
    }
    override forget(): void {
      throw new TypeError('a bug')
    }
  }
  const kernel = new Kernel(new Broken())
  t.equal((await kernel.ask(Opcode.LOOKUP, ROOT, args([], 'a\0'))).errno, 5)
  t.equal((await kernel.ask(Opcode.READ, ROOT, new Uint8Array(40))).errno, 5)
  t.equal((await kernel.ask(Opcode.WRITE, ROOT, new Uint8Array(40))).errno, 28)
  t.equal((await kernel.ask(Opcode.FSYNCDIR, ROOT, new Uint8Array(16))).errno, 5)
  kernel.send(Opcode.FORGET, ROOT, args([1, 0]))
  kernel.send(Opcode.BATCH_FORGET, ROOT, args([1, 0, 1, 0, 1, 0]))
  await kernel.settle()
  t.equal(kernel.replies.length, 4)
  t.equal(kernel.slots.size, 0)
})

void t.test('a read that gives more than was asked for is EIO and released', async t => {
  class Generous extends MemoryFilesystem {
    released = 0
    override async read(): Promise<ReadResult> {
      return {
        pieces: [new Uint8Array(10)],
        release: () => {
          this.released += 1
        },
      }
    }
  }
  const filesystem = new Generous()
  const kernel = new Kernel(filesystem)
  const read = (sizeBytes: number) =>
    kernel.ask(Opcode.READ, ROOT, args([1, 0, 0, 0, sizeBytes, 0, 0, 0, 0, 0]))
  t.equal((await read(9)).errno, 5)
  t.equal(filesystem.released, 1)
  t.equal((await read(10)).body.length, 10)
  t.equal((await read(1024 * 1024 + 1)).errno, 22, 'more than the kernel ever asks for')
  t.equal(filesystem.released, 2)
})

void t.test('the data of a write stays until the write is done', async t => {
  const kernel = new Kernel(populated())
  const { handle } = await kernel.filesystem.open(3, 0)
  kernel.send(Opcode.WRITE, 3, args([handle, 0, 0, 0, 4, 0, 0, 0, 0, 0], 'data'))
  t.equal(kernel.slots.size, 1, 'the slot is kept')
  // Were it used again, this would overwrite the data.
  kernel.send(Opcode.LOOKUP, ROOT, args([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 'xxxx\0'))
  await kernel.settle()
  t.equal(kernel.slots.size, 0)
  t.equal(kernel.filesystem.nodes.get(3)?.data.toString('latin1', 0, 4), 'data')
  t.equal(kernel.dispatcher.bytesWritten, 4)
})

void t.test('each answer is timed once, in the family of its operation', async t => {
  class Slow extends MemoryFilesystem {
    override async write(): Promise<number> {
      await delay(30)
      throw new FilesystemError('ENOSPC')
    }
  }
  const kernel = new Kernel(new Slow())
  const { latencies } = kernel.dispatcher
  await kernel.ask(Opcode.LOOKUP, ROOT, args([], 'none\0'))
  await kernel.ask(Opcode.MKDIR, ROOT, args([0o755, 0], 'd\0'))
  await kernel.ask(Opcode.READ, ROOT, args([1, 0, 0, 0, 10, 0, 0, 0, 0, 0]))
  await kernel.ask(0, ROOT, new Uint8Array(64))
  kernel.send(Opcode.FORGET, ROOT, args([1, 0]))
  kernel.send(Opcode.WRITE, ROOT, args([1, 0, 0, 0, 4, 0, 0, 0, 0, 0], 'data'))
  await delay(60)
  const counts = operationFamilies.map(family => [family, latencies[family].count])
  t.same(Object.fromEntries(counts), {
    read: 1,
    write: 1,
    fsync: 0,
    create: 1,
    lookup: 1,
    other: 1,
  })
  t.ok(latencies.write.maxMicroseconds >= 29_000, 'until the answer')
  t.equal(latencies.lookup.summary().p50Microseconds, latencies.lookup.maxMicroseconds)
})

void t.test('forgets reach the filesystem, in ones and in batches', async t => {
  const kernel = new Kernel(populated())
  for (const name of ['a\0', 'a\0', 'b\0']) await kernel.ask(Opcode.LOOKUP, ROOT, args([], name))
  const references = () => [2, 3].map(inode => kernel.filesystem.nodes.get(inode)?.references)
  t.same(references(), [2, 1])
  kernel.send(Opcode.FORGET, 2, args([1, 0]))
  t.same(references(), [1, 1])
  kernel.send(Opcode.BATCH_FORGET, 0, args([3, 0, 2, 0, 1, 0, 3, 0, 1, 0]))
  t.same(references(), [1, 1], 'a batch that says more than it has is none')
  kernel.send(Opcode.BATCH_FORGET, 0, args([2, 0, 2, 0, 1, 0, 3, 0, 1, 0]))
  t.same(references(), [0, 0])
  t.equal(kernel.replies.length, 3)
})

void t.test('an answer that nobody hears is taken back', async t => {
  const kernel = new Kernel(populated())
  const { filesystem } = kernel
  const open = filesystem.openHandles
  kernel.deaf = 2
  await kernel.ask(Opcode.LOOKUP, ROOT, args([], 'a\0'))
  await kernel.ask(Opcode.OPEN, 2, args([0, 0]))
  await kernel.ask(Opcode.OPENDIR, ROOT, args([0, 0]))
  await kernel.ask(Opcode.CREATE, ROOT, args([0, 0o644, 0, 0], 'c\0'))
  await kernel.ask(Opcode.MKDIR, ROOT, args([0o755, 0], 'd\0'))
  await kernel.ask(Opcode.READDIRPLUS, ROOT, args([1, 0, 0, 0, 4096, 0, 0, 0, 0, 0]))
  t.equal(filesystem.openHandles, open)
  const references = [...filesystem.nodes.values()].map(node => node.references)
  t.same(references, [0, 0, 0, 0, 0])
})

void t.test('OPENDIR is refused where the kernel then goes on without it', async t => {
  const NO_OPENDIR_SUPPORT = 1 << 24
  for (const [flags, errno] of [
    [0, 0],
    [NO_OPENDIR_SUPPORT, 38],
  ] as const) {
    const kernel = new Kernel(populated())
    t.equal((await kernel.ask(Opcode.INIT, 0, args([7, 41, 0, flags]))).errno, 0)
    const opened = await kernel.ask(Opcode.OPENDIR, ROOT, new Uint8Array(8))
    t.equal(opened.errno, errno)
    const listing = args([0, 0, 0, 0, 4096, 0, 0, 0, 0, 0])
    const { body } = await kernel.ask(Opcode.READDIR, ROOT, listing)
    t.ok(body.length > 0, 'a listing needs no handle')
    t.equal((await kernel.ask(Opcode.RELEASEDIR, ROOT, new Uint8Array(24))).errno, 0)
    await kernel.settle()
  }
})

void t.test('READDIRPLUS holds a reference for each entry that fits, and for no other', async t => {
  // Entries take 160 bytes for "." and ".." and 256 each for these names, which are longer than was estimated:
  // more of them are looked up than fit.
  const names = ['a', 'b', 'c', 'd'].map(letter => letter.repeat(100))
  const cases = [
    [4096, 4],
    [1100, 3],
    [900, 2],
    [600, 1],
    [340, 0],
    [0, 0],
  ] as const
  for (const deaf of [0, 2]) {
    for (const [room, fitting] of cases) {
      const kernel = new Kernel()
      for (const name of names) kernel.filesystem.plant(name, Buffer.alloc(0))
      kernel.deaf = deaf
      const listing = args([0, 0, 0, 0, room, 0, 0, 0, 0, 0])
      const { body, errno } = await kernel.ask(Opcode.READDIRPLUS, ROOT, listing)
      t.equal(errno, 0)
      t.ok(body.length <= room)
      const held = [2, 3, 4, 5].map(inode => kernel.filesystem.nodes.get(inode)?.references)
      const heard = deaf === 0 ? fitting : 0
      t.same(
        held,
        names.map((_, index) => (index < heard ? 1 : 0)),
        `room for ${room} bytes`,
      )
    }
  }
})

void t.test('requests and bytes are counted for who sent them, forgetting for nobody', async t => {
  const kernel = new Kernel(populated())
  const { handle } = await kernel.filesystem.open(3, 0)
  kernel.caller = { uid: 1000, pid: 7 }
  await kernel.ask(Opcode.WRITE, 3, args([handle, 0, 0, 0, 4, 0, 0, 0, 0, 0], 'data'))
  kernel.caller = { uid: 1000, pid: 8 }
  await kernel.ask(Opcode.READ, 3, args([handle, 0, 0, 0, 3, 0, 0, 0, 0, 0]))
  kernel.caller = { uid: 0, pid: 0 }
  kernel.send(Opcode.FORGET, 3, args([0, 0]))
  const clients = kernel.dispatcher.clients.list().sort((a, b) => a.pid - b.pid)
  t.match(clients, [
    { pid: 7, uid: 1000, operations: 1, bytesWritten: 4, bytesRead: 0 },
    { pid: 8, uid: 1000, operations: 1, bytesWritten: 0, bytesRead: 3 },
  ])
  t.equal(clients.length, 2)
})
