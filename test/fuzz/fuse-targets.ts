// Targets: FUSE requests of any shape to a real filesystem, and a start over namespace records of any shape.

import { constants } from 'node:fs'
import { Opcode } from '../../src/fuse/protocol.ts'
import { Vfs } from '../../src/vfs/vfs.ts'
import { FakeCommitter, FakeMetadata, HASH_KEY, makeWorld } from '../vfs/fakes.ts'
import { FuzzKernel, HollowStore } from './fuse-kernel.ts'
import { metadataOf, packRecord } from './record-targets.ts'
import { accepted, isAccepted, type FuzzTarget } from './target.ts'

const ROOT = 1
const ARGUMENT_BYTES_MAX = 4096
const REQUESTS_MAX = 40

/** One request of an input: opcode 1, node 1, length of the arguments 2, arguments. */
function request(opcode: number, node: number, ...args: (Buffer | string)[]): Buffer {
  const body = Buffer.concat(args.map(arg => (typeof arg === 'string' ? cString(arg) : arg)))
  return Buffer.concat([Buffer.of(opcode, node, body.length & 0xff, body.length >> 8), body])
}

const cString = (text: string): Buffer => Buffer.from(`${text}\0`)
const u32 = (...values: number[]): Buffer =>
  Buffer.concat(
    values.map(value => {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32LE(value >>> 0)
      return bytes
    }),
  )
const u64 = (...values: number[]): Buffer =>
  Buffer.concat(
    values.map(value => {
      const bytes = Buffer.alloc(8)
      bytes.writeBigUInt64LE(BigInt(value))
      return bytes
    }),
  )

/** The container's top is inode 2; the first file or directory made in it is 3, and the first handle is 1. */
const TOP = 2
const FIRST = 3
const init = request(Opcode.INIT, 0, u32(7, 38, 65_536, 0x7fff_ffff, 0xffff, ...Array(11).fill(0)))
const create = request(Opcode.CREATE, TOP, u32(constants.O_RDWR, 0o100644, 0o22, 0), 'file')
const ACL = Buffer.from(
  '0200000001000700ffffffff02000600e803000004000500ffffffff10000700ffffffff20000500ffffffff',
  'hex',
)

const sequences: readonly (readonly Buffer[])[] = [
  [
    init,
    create,
    request(Opcode.WRITE, FIRST, u64(1, 4096), u32(5, 0), u64(0), u32(2, 0), Buffer.from('hello')),
    request(Opcode.READ, FIRST, u64(1, 0), u32(4096, 0), u64(0), u32(0, 0)),
    request(Opcode.FLUSH, FIRST, u64(1), u32(0, 0), u64(0)),
    request(Opcode.FSYNC, FIRST, u64(1), u32(1, 0)),
    request(Opcode.FALLOCATE, FIRST, u64(1, 0, 8192), u32(3, 0)),
    request(Opcode.LSEEK, FIRST, u64(1, 0), u32(3, 0)),
    request(Opcode.COPY_FILE_RANGE, FIRST, u64(1, 0, FIRST, 1, 8192, 10, 0)),
    request(Opcode.RELEASE, FIRST, u64(1), u32(2, 0), u64(0)),
  ],
  [
    request(Opcode.MKDIR, TOP, u32(0o755, 0o22), 'directory'),
    request(Opcode.MKNOD, FIRST, u32(0o100644, 0, 0o22, 0), 'inner'),
    request(Opcode.SYMLINK, TOP, 'link', '../target'),
    request(Opcode.READLINK, 5),
    request(Opcode.LINK, TOP, u64(4), 'second'),
    request(Opcode.OPENDIR, TOP, u32(0, 0)),
    request(Opcode.READDIR, TOP, u64(1, 0), u32(4096, 0), u64(0), u32(0, 0)),
    request(Opcode.READDIRPLUS, TOP, u64(1, 2), u32(4096, 0), u64(0), u32(0, 0)),
    request(Opcode.FSYNCDIR, TOP, u64(1), u32(0, 0)),
    request(Opcode.RELEASEDIR, TOP, u64(1), u32(0, 0), u64(0)),
    request(Opcode.RENAME2, TOP, u64(FIRST), u32(0, 0), 'second', 'third'),
    request(Opcode.RENAME2, TOP, u64(TOP), u32(2, 0), 'link', 'directory'),
    request(Opcode.RENAME, TOP, u64(TOP), 'link', 'file'),
    request(Opcode.UNLINK, FIRST, 'inner'),
    request(Opcode.RMDIR, TOP, 'directory'),
    request(Opcode.FORGET, 4, u64(1)),
    request(Opcode.BATCH_FORGET, 0, u32(2, 0), u64(FIRST, 1, 4, 1)),
  ],
  [
    init,
    create,
    request(
      Opcode.SETATTR,
      FIRST,
      u32(0x7ff, 0),
      u64(1, 100_000, 0, 5, 5, 5),
      u32(7, 7, 7, 0o755, 0, 1, 1, 0),
    ),
    request(Opcode.GETATTR, FIRST, u32(0, 0), u64(0)),
    request(Opcode.SETXATTR, FIRST, u32(5, 0, 0, 0), 'user.name', Buffer.from('value')),
    request(Opcode.GETXATTR, FIRST, u32(100, 0), 'user.name'),
    request(Opcode.LISTXATTR, FIRST, u32(0, 0)),
    request(Opcode.SETXATTR, FIRST, u32(ACL.length, 0, 1, 0), 'system.posix_acl_access', ACL),
    request(Opcode.SETXATTR, TOP, u32(ACL.length, 0, 0, 0), 'system.posix_acl_default', ACL),
    request(Opcode.MKDIR, TOP, u32(0o777, 0o22), 'heir'),
    request(Opcode.REMOVEXATTR, FIRST, 'user.name'),
    request(Opcode.STATFS, FIRST),
    request(Opcode.ACCESS, FIRST, u32(7, 0)),
    request(Opcode.IOCTL, FIRST, u64(1), u32(0, 0x5401), u64(0), u32(64, 64)),
    request(Opcode.OPEN, FIRST, u32(0o1002, 1)),
    request(Opcode.TMPFILE, TOP, u32(2, 0o100600, 0, 0)),
    request(Opcode.LOOKUP, TOP, 'file'),
    request(Opcode.INTERRUPT, 0, u64(3)),
    request(Opcode.DESTROY, 0),
  ],
  [
    request(Opcode.LOOKUP, ROOT, 'c'),
    request(Opcode.MKDIR, ROOT, u32(0o755, 0o22), 'container'),
    request(Opcode.UNLINK, ROOT, 'c'),
    request(Opcode.RENAME2, ROOT, u64(TOP), u32(0, 0), 'c', 'inside'),
    request(Opcode.SETATTR, ROOT, u32(1, 0), Buffer.alloc(80)),
    request(Opcode.OPENDIR, ROOT, u32(0, 0)),
    request(Opcode.READDIRPLUS, ROOT, u64(1, 0), u32(131_072, 0), u64(0), u32(0, 0)),
  ],
]

const requests: FuzzTarget = {
  name: 'fuse',
  samples: sequences.map(list => Buffer.concat(list)),
  async run(input) {
    const store = new HollowStore()
    const findings: unknown[] = []
    const { vfs } = await makeWorld({ content: store, reportError: error => findings.push(error) })
    const kernel = new FuzzKernel(vfs)
    const bytes = Buffer.from(input)
    for (let at = 0, count = 0; at + 4 <= bytes.length && count < REQUESTS_MAX; count++) {
      const length = Math.min(bytes.readUInt16LE(at + 2), ARGUMENT_BYTES_MAX)
      const args = bytes.subarray(at + 4, at + 4 + length)
      kernel.send(bytes[at] ?? 0, bytes[at + 1] ?? 0, args)
      at += 4 + length
    }
    await kernel.settle()
    await vfs.stop()
    if (findings.length > 0) throw findings[0]
  },
}

const start: FuzzTarget = {
  name: 'namespace-start',
  samples: await namespaceRecords(),
  async run(input) {
    const metadata = metadataOf(input)
    const findings: unknown[] = []
    const open = (): Vfs =>
      new Vfs({
        metadata,
        committer: metadata,
        content: new HollowStore(),
        now: () => ({ seconds: 0, nanoseconds: 0 }),
        statistics: () => ({ totalBytes: 4096, freeBytes: 4096 }),
        hashKey: HASH_KEY,
        reportError: error => findings.push(error),
      })
    const vfs = accepted(open)
    if (vfs === undefined) return
    const isOpen = await isAccepted(() => vfs.start())
    if (!isOpen) return
    await isAccepted(() => vfs.getattr(ROOT))
    await isAccepted(async () => {
      await vfs.readdir(TOP, 0, 100)
    })
    accepted(() => vfs.fileInfo(FIRST))
    await isAccepted(() => vfs.listxattr(FIRST))
    await vfs.deletionsDone()
    await vfs.stop()
    for (const finding of findings) await isAccepted(() => Promise.reject(finding))
  },
}

/** Every record that a small namespace has, one an input. */
async function namespaceRecords(): Promise<Uint8Array[]> {
  const metadata = new FakeMetadata()
  const committer = new FakeCommitter(metadata)
  const { vfs } = await makeWorld({ metadata, committer, content: new HollowStore() })
  committer.participant = vfs
  const caller = { uid: 0, gid: 0, pid: 1 }
  const { file, entry } = await vfs.create(TOP, 'file', 0o644, 2, caller)
  vfs.setxattr(entry.attributes.inode, 'user.a', Buffer.from('b'), 0)
  vfs.symlink(TOP, 'link', '../x', caller)
  vfs.unlink(TOP, 'file')
  await committer.commit()
  vfs.release(file.handle)
  return [...metadata.records].map(([key, value]) => packRecord(Buffer.from(key, 'latin1'), value))
}

export const fuseTargets: readonly FuzzTarget[] = [requests, start]
