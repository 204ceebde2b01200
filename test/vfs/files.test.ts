// Open files: what is visible when, what is durable when, and which times follow.

import { test } from 'tap'
import { FilesystemError } from '../../src/errors.ts'
import type { OpenedFile } from '../../src/fuse/filesystem.ts'
import type { Vfs } from '../../src/vfs/vfs.ts'
import { CALLER, failure, later, makeWorld, NO_FLAGS, touch, WRITE } from './fakes.ts'

const O_RDONLY = 0
const O_WRONLY = 1
const O_RDWR = 2
const O_EXCL = 0o200
const O_TRUNC = 0o1000
const O_APPEND = 0o2000
const O_DIRECT = 0o40000
const O_NOATIME = 0o1000000
const O_SYNC = 0o4010000
const EIGHT_TEBIBYTES = 8 * 2 ** 40

const text = (value: string): Buffer => Buffer.from(value)

async function readAll(vfs: Vfs, handle: number): Promise<string> {
  const result = await vfs.read(handle, 0, 1000)
  const bytes = Buffer.concat(result.pieces)
  result.release()
  return bytes.toString()
}

test('create, write, read, append', async t => {
  const { vfs, top } = await makeWorld()
  const { entry, file } = await vfs.create(top, 'f', 0o644, O_WRONLY, CALLER)
  t.equal(file.directIo, true)
  t.equal(await vfs.write(file.handle, 0, text('hello'), WRITE), 5)
  const { inode } = entry.attributes
  t.equal(vfs.getattr(inode).sizeBytes, 5)
  const appending = { killPrivileges: false, flags: O_APPEND }
  await vfs.write(file.handle, 0, text(' world'), appending)
  const reading = await vfs.open(inode, O_RDONLY)
  t.equal(await readAll(vfs, reading.handle), 'hello world')
  const again = await vfs.create(top, 'f', 0o600, O_WRONLY | O_TRUNC, CALLER)
  t.equal(again.entry.attributes.inode, inode)
  t.equal(again.entry.attributes.sizeBytes, 0)
  t.equal(await failure(() => vfs.create(top, 'f', 0o600, O_EXCL, CALLER)), 'EEXIST')
  vfs.mkdir(top, 'd', 0o755, CALLER)
  t.equal(await failure(() => vfs.create(top, 'd', 0o600, O_WRONLY, CALLER)), 'EISDIR')
  t.equal(await failure(() => vfs.read(4711, 0, 1)), 'EBADF')
})

test('direct I/O and page cache', async t => {
  const { vfs, top } = await makeWorld()
  const inode = touch(vfs, top, 'f')
  const open = async (flags: number): Promise<OpenedFile> => vfs.open(inode, flags)
  t.equal((await open(O_RDWR)).directIo, true, 'empty and for writing')
  t.match(await open(O_RDONLY), { directIo: false, keepCache: true })
  const writer = await open(O_WRONLY)
  t.equal(writer.directIo, true)
  await vfs.write(writer.handle, 0, text('x'), WRITE)
  t.match(await open(O_RDWR), { directIo: false, keepCache: false }, 'pages may be stale')
  t.match(await open(O_RDWR), { directIo: false, keepCache: true })
  t.equal((await open(O_RDONLY | O_DIRECT)).directIo, true)
})

test('only who may have written is told of a failure at the close', async t => {
  const { vfs, top } = await makeWorld()
  const inode = touch(vfs, top, 'f')
  const open = async (flags: number): Promise<OpenedFile> => vfs.open(inode, flags)
  t.equal((await open(O_WRONLY)).isFlushed, true)
  t.equal((await open(O_RDWR)).isFlushed, true)
  t.equal((await open(O_RDONLY)).isFlushed, false)
})

test('what a crash leaves: the size that is in block files', async t => {
  const world = await makeWorld()
  const { top, committer } = world
  const { entry, file } = await world.vfs.create(top, 'f', 0o644, O_WRONLY, CALLER)
  const { inode } = entry.attributes
  await world.vfs.write(file.handle, 0, text('12345'), WRITE)
  await world.vfs.fsync(file.handle)
  await world.vfs.write(file.handle, 5, text('678'), WRITE)
  await committer.commit()
  t.equal(world.vfs.containerByName('c').logicalBytes, 8)
  await world.restart()
  t.equal(world.vfs.getattr(inode).sizeBytes, 5)
  t.equal(world.vfs.getattr(inode).blockCount, 1)
  t.equal(world.vfs.containerByName('c').logicalBytes, 5, 'the container agrees')
  const reading = await world.vfs.open(inode, O_RDONLY)
  t.equal(await readAll(world.vfs, reading.handle), '12345')
})

test('synchronous handles', async t => {
  const world = await makeWorld()
  const { vfs, top, committer } = world
  const { entry, file } = await vfs.create(top, 'f', 0o644, O_WRONLY | O_SYNC, CALLER)
  const before = committer.commits
  await vfs.write(file.handle, 0, text('abc'), WRITE)
  t.equal(committer.commits, before + 1)
  await world.restart()
  t.equal(world.vfs.getattr(entry.attributes.inode).sizeBytes, 3)
})

const NO_SPACE = new FilesystemError('ENOSPC')

test('failures of the background reach write, close and fsync of every handle once', async t => {
  const { vfs, top, contents } = await makeWorld()
  const { entry, file } = await vfs.create(top, 'f', 0o644, O_WRONLY, CALLER)
  const { inode } = entry.attributes
  const other = await vfs.open(inode, O_WRONLY)
  const owner = contents.open_.get(inode)?.owner
  const asks: (() => unknown)[] = [
    () => vfs.fsync(file.handle),
    () => vfs.flush(file.handle),
    () => vfs.write(file.handle, 0, text('x'), WRITE),
  ]
  for (const ask of asks) {
    t.equal(await failure(ask), undefined)
    owner?.failed(NO_SPACE)
    t.equal(await failure(ask), 'ENOSPC')
    t.equal(await failure(ask), undefined)
    const isSync = ask === asks[0]
    t.equal(await failure(() => vfs.fsync(file.handle)), isSync ? undefined : 'ENOSPC')
    for (const each of asks) t.equal(await failure(each), undefined, 'fsync has the last word')
    t.equal(await failure(() => vfs.fsync(other.handle)), 'ENOSPC', 'who else has it open, too')
    t.equal(await failure(() => vfs.fsync(other.handle)), undefined)
  }
  owner?.failed(NO_SPACE)
  const both = [vfs.fsync(file.handle), vfs.fsync(file.handle)]
  t.same(await Promise.all(both.map(each => failure(() => each))), ['ENOSPC', 'ENOSPC'])
  const late = await vfs.open(inode, O_WRONLY)
  t.equal(await failure(() => vfs.fsync(late.handle)), undefined, 'somebody has heard of it before')
})

test('a failure that nobody has heard of reaches who opens the file next, or wants it longer', async t => {
  const { vfs, top, contents } = await makeWorld()
  const { entry, file } = await vfs.create(top, 'f', 0o644, O_WRONLY, CALLER)
  const { inode } = entry.attributes
  const failUnheard = async (): Promise<void> => {
    const { handle } = await vfs.open(inode, O_WRONLY)
    const content = contents.open_.get(inode)
    await vfs.write(handle, 0, text('abc'), WRITE)
    vfs.release(handle)
    content?.owner.failed(NO_SPACE)
    await content?.settle()
    await later()
    t.notOk(contents.open_.has(inode), 'the content is closed')
  }
  vfs.release(file.handle)
  await failUnheard()
  const next = await vfs.open(inode, O_WRONLY)
  t.equal(await failure(() => vfs.write(next.handle, 3, text('d'), WRITE)), 'ENOSPC')
  t.equal(await failure(() => vfs.write(next.handle, 3, text('d'), WRITE)), undefined)
  vfs.release(next.handle)
  await failUnheard()
  t.equal(await failure(() => vfs.setattr(inode, { sizeBytes: 2 })), undefined)
  t.equal(await failure(() => vfs.setattr(inode, { sizeBytes: 10 })), 'ENOSPC', 'not with zeros')
  t.equal(await failure(() => vfs.setattr(inode, { sizeBytes: 10 })), undefined)
  await failUnheard()
  t.equal(await failure(() => vfs.setattr(inode, { sizeBytes: 0 })), undefined)
  t.equal(
    await failure(() => vfs.setattr(inode, { sizeBytes: 1 })),
    undefined,
    'it is empty anyway',
  )
})

test('a content is closed when it is clean and unused', async t => {
  const { vfs, top, contents } = await makeWorld()
  const { entry, file } = await vfs.create(top, 'f', 0o644, O_WRONLY, CALLER)
  vfs.release(file.handle)
  t.equal(contents.open_.size, 0, 'clean')
  const { handle } = await vfs.open(entry.attributes.inode, O_WRONLY)
  await vfs.write(handle, 0, text('x'), WRITE)
  vfs.release(handle)
  t.equal(contents.open_.size, 1, 'kept for its data')
  await contents.flushAll()
  await later()
  t.equal(contents.open_.size, 0)
  t.equal(vfs.getattr(entry.attributes.inode).sizeBytes, 1)
})

test('the largest file', async t => {
  const { vfs, top } = await makeWorld()
  const { file, entry } = await vfs.create(top, 'f', 0o644, O_WRONLY, CALLER)
  t.equal(await failure(() => vfs.write(file.handle, EIGHT_TEBIBYTES, text('x'), WRITE)), 'EFBIG')
  const { inode } = entry.attributes
  t.equal(await failure(() => vfs.setattr(inode, { sizeBytes: EIGHT_TEBIBYTES + 1 })), 'EFBIG')
  t.equal(await failure(() => vfs.fallocate(file.handle, EIGHT_TEBIBYTES, 1, 0)), 'EFBIG')
  t.equal(await failure(() => vfs.setattr(top, { sizeBytes: 0 })), 'EISDIR')
})

test('fallocate and lseek', async t => {
  const { vfs, top } = await makeWorld()
  const { file, entry } = await vfs.create(top, 'f', 0o644, O_RDWR, CALLER)
  const { handle } = file
  const size = (): number => vfs.getattr(entry.attributes.inode).sizeBytes
  await vfs.write(handle, 0, text('abcdef'), WRITE)
  await vfs.fallocate(handle, 0, 10, 1)
  t.equal(size(), 6, 'KEEP_SIZE')
  await vfs.fallocate(handle, 0, 10, 0)
  t.equal(size(), 10)
  await vfs.fallocate(handle, 0, 4, 0)
  t.equal(size(), 10, 'never shrinks')
  await vfs.fallocate(handle, 1, 2, 3)
  t.equal(await readAll(vfs, handle), 'a\0\0def\0\0\0\0')
  await vfs.fallocate(handle, 4, 20, 0x10)
  t.equal(size(), 24, 'ZERO_RANGE extends')
  t.equal((await readAll(vfs, handle)).slice(0, 5), 'a\0\0d\0')
  await vfs.fallocate(handle, 20, 100, 0x11)
  t.equal(size(), 24)
  t.equal(await failure(() => vfs.fallocate(handle, 0, 1, 0x08)), 'EOPNOTSUPP')
  t.equal(await failure(() => vfs.fallocate(handle, 0, 0, 0)), 'EINVAL')
  t.equal(await vfs.lseek(handle, 3, 3), 3)
  t.equal(await vfs.lseek(handle, 3, 4), 24)
  t.equal(await failure(() => vfs.lseek(handle, 24, 3)), 'ENXIO')
  t.equal(await failure(() => vfs.lseek(handle, 0, 0)), 'EINVAL')
})

test('times', async t => {
  const { vfs, top, clock } = await makeWorld()
  const { file, entry } = await vfs.create(top, 'f', 0o644, O_RDWR, CALLER)
  const { inode } = entry.attributes
  const seconds = (): number[] => {
    const { accessTime, modifyTime, changeTime } = vfs.getattr(inode)
    return [accessTime.seconds, modifyTime.seconds, changeTime.seconds]
  }
  const t0 = clock.seconds
  clock.seconds += 10
  await vfs.write(file.handle, 0, text('x'), WRITE)
  t.same(seconds(), [t0, t0 + 10, t0 + 10])
  clock.seconds += 10
  await vfs.read(file.handle, 0, 1)
  t.same(seconds(), [t0 + 20, t0 + 10, t0 + 10], 'relatime: older than the change')
  clock.seconds += 10
  await vfs.read(file.handle, 0, 1)
  t.same(seconds(), [t0 + 20, t0 + 10, t0 + 10], 'relatime: newer than the change')
  clock.seconds += 86_400
  const quiet = await vfs.open(inode, O_RDONLY | O_NOATIME)
  await vfs.read(quiet.handle, 0, 1)
  t.equal(seconds()[0], t0 + 20)
  await vfs.read(file.handle, 0, 1)
  t.equal(seconds()[0], clock.seconds, 'relatime: older than a day')
  clock.seconds += 10
  await vfs.setattr(inode, {
    accessTime: { seconds: -5, nanoseconds: 999_999_999 },
    modifyTime: { seconds: 2 ** 34, nanoseconds: 1 },
  })
  t.match(vfs.getattr(inode), {
    accessTime: { seconds: -5, nanoseconds: 999_999_999 },
    modifyTime: { seconds: 2 ** 34, nanoseconds: 1 },
    changeTime: { seconds: clock.seconds },
  })
  clock.seconds += 10
  await vfs.setattr(inode, { sizeBytes: 0 })
  t.same(seconds().slice(1), [clock.seconds, clock.seconds], 'truncation')
  await vfs.setattr(inode, { accessTime: 'now' })
  t.equal(seconds()[0], clock.seconds)
  const parent = (): number => vfs.getattr(top).modifyTime.seconds
  clock.seconds += 10
  vfs.rename(top, 'f', top, 'g', NO_FLAGS)
  t.equal(parent(), clock.seconds)
  t.equal(seconds()[2], clock.seconds)
  clock.seconds += 10
  vfs.unlink(top, 'g')
  t.equal(parent(), clock.seconds)
})

test('times, owners and modes survive a restart', async t => {
  const world = await makeWorld()
  const inode = touch(world.vfs, world.top, 'f')
  await world.vfs.setattr(inode, {
    mode: 0o100751,
    uid: 2 ** 32 - 2,
    gid: 12,
    accessTime: { seconds: -(2 ** 33), nanoseconds: 5 },
    modifyTime: { seconds: 2 ** 33, nanoseconds: 999_999_999 },
  })
  const before = world.vfs.getattr(inode)
  await world.committer.commit()
  await world.restart()
  t.same(world.vfs.getattr(inode), before)
  t.equal(before.mode, 0o100751)
  const next = touch(world.vfs, world.top, 'g')
  t.ok(next > inode, 'numbers are never used twice')
})

test('privileges are dropped when the kernel says so, and by every chown', async t => {
  const { vfs, top } = await makeWorld()
  const { file, entry } = await vfs.create(top, 'f', 0o6755, O_RDWR, CALLER)
  const { inode } = entry.attributes
  await vfs.write(file.handle, 0, text('x'), WRITE)
  await vfs.setattr(inode, { accessTime: 'now' })
  t.equal(vfs.getattr(inode).mode, 0o106755)
  await vfs.write(file.handle, 0, text('x'), { killPrivileges: true, flags: 0 })
  t.equal(vfs.getattr(inode).mode, 0o100755)
  await vfs.setattr(inode, { mode: 0o6745 })
  await vfs.setattr(inode, { uid: 6 })
  t.equal(vfs.getattr(inode).mode, 0o102745, 'setgid without group execution stays')
})

test('a read-only store can be read', async t => {
  let isReadOnly = false
  const { vfs, top, committer } = await makeWorld({ isReadOnly: () => isReadOnly })
  const { file, entry } = await vfs.create(top, 'f', 0o644, O_RDWR, CALLER)
  const { inode } = entry.attributes
  await vfs.write(file.handle, 0, text('abc'), WRITE)
  isReadOnly = true
  const { touches } = committer
  const changes: (() => unknown)[] = [
    () => vfs.write(file.handle, 0, text('x'), WRITE),
    () => vfs.fallocate(file.handle, 0, 10, 0),
    () => vfs.setattr(inode, { mode: 0o600 }),
    () => vfs.create(top, 'g', 0o644, O_RDWR, CALLER),
    () => vfs.create(top, 'f', 0o644, O_RDWR | O_TRUNC, CALLER),
    () => vfs.open(inode, O_RDWR | O_TRUNC),
    () => vfs.mkdir(top, 'g', 0o755, CALLER),
    () => vfs.mknod(top, 'g', 0o100644, 0, CALLER),
    () => vfs.symlink(top, 'g', 'x', CALLER),
    () => vfs.link(inode, top, 'g'),
    () => vfs.rename(top, 'f', top, 'g', NO_FLAGS),
    () => vfs.unlink(top, 'f'),
    () => vfs.rmdir(top, 'f'),
    () => vfs.setxattr(inode, 'user.a', text('x'), 0),
    () => vfs.removexattr(inode, 'user.a'),
    () => vfs.addContainer({ name: 'd', group: 1, uid: 0, gid: 0 }),
    () => vfs.deleteContainer('c', { deleteFiles: true }),
  ]
  for (const change of changes) t.equal(await failure(change), 'EROFS', String(change))
  t.equal(await readAll(vfs, file.handle), 'abc')
  t.equal(committer.touches, touches)
})

test('statfs', async t => {
  const { vfs } = await makeWorld()
  const { totalBlocks, freeBlocks, nameLengthMax } = vfs.statfs(1)
  t.same([totalBlocks, freeBlocks, nameLengthMax], [100, 40, 255])
})
