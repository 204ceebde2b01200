// Inodes without a name, containers that go, and what a restart finds of both.

import { test } from 'tap'
import { FilesystemError } from '../../src/errors.ts'
import {
  CALLER,
  failure,
  later,
  list,
  makeDirectory,
  makeWorld,
  NO_FLAGS,
  numberOf,
  touch,
  WRITE,
} from './fakes.ts'

const O_RDWR = 2
const NO_SPACE = new FilesystemError('ENOSPC')

test('an unlinked file lives as long as its handle', async t => {
  const world = await makeWorld()
  const { vfs, top, contents, committer, metadata } = world
  const { file, entry } = await vfs.create(top, 'f', 0o644, O_RDWR, CALLER)
  const { inode } = entry.attributes
  await vfs.write(file.handle, 0, Buffer.from('abc'), WRITE)
  vfs.unlink(top, 'f')
  vfs.forget(inode, 1)
  await later()
  await committer.commit()
  t.equal(metadata.count('O'), 1, 'marked for a crash')
  t.equal(vfs.getattr(inode).linkCount, 0)
  await vfs.write(file.handle, 3, Buffer.from('def'), WRITE)
  t.equal(vfs.containerByName('c').logicalBytes, 0)
  vfs.release(file.handle)
  await later()
  t.same(contents.discarded, [inode])
  await committer.commit()
  t.equal(metadata.count('O'), 0)
  t.equal(metadata.count('I'), 2, 'the root and the container')
  t.equal(await failure(() => vfs.getattr(inode)), 'ENOENT')
})

test('a file that goes before it was stored is not stored', async t => {
  const { vfs, top, contents, errors } = await makeWorld()
  const { file, entry } = await vfs.create(top, 'f', 0o644, O_RDWR, CALLER)
  const { inode } = entry.attributes
  vfs.forget(inode, 1)
  await vfs.write(file.handle, 0, Buffer.from('abc'), WRITE)
  vfs.release(file.handle)
  t.equal(contents.open_.size, 1)
  vfs.unlink(top, 'f')
  await later()
  t.same(contents.discarded, [inode])
  t.equal(contents.open_.size, 0)
  t.equal(contents.flushed.size, 0)
  t.same(errors, [])
})

test('orphans of an earlier run are finished at start', async t => {
  const world = await makeWorld()
  const { top, contents, committer, metadata } = world
  const { file, entry } = await world.vfs.create(top, 'f', 0o644, O_RDWR, CALLER)
  const { inode } = entry.attributes
  world.vfs.setxattr(inode, 'user.a', Buffer.from('b'), 0)
  await world.vfs.write(file.handle, 0, Buffer.from('abc'), WRITE)
  await world.vfs.fsync(file.handle)
  const directory = makeDirectory(world.vfs, top, 'd')
  t.equal(world.vfs.lookup(top, 'd')?.attributes.inode, directory, 'the kernel holds it')
  world.vfs.unlink(top, 'f')
  world.vfs.rmdir(top, 'd')
  await committer.commit()
  t.equal(metadata.count('O'), 2)
  contents.discardFailure = new FilesystemError('EROFS')
  await world.restart()
  t.equal(world.errors.length, 1, 'the failure is told')
  await committer.commit()
  t.equal(metadata.count('O'), 1, 'and the mark stays')
  contents.discardFailure = undefined
  await world.restart()
  await committer.commit()
  t.same(contents.discarded, [inode])
  t.same(
    ['O', 'X', 'I'].map(table => metadata.count(table)),
    [0, 0, 2],
  )
})

test('a deletion that finds no room goes on when there is some', async t => {
  const world = await makeWorld()
  const { vfs, top, contents, committer, metadata } = world
  const inode = touch(vfs, top, 'f')
  contents.discardFailure = NO_SPACE
  vfs.unlink(top, 'f')
  await vfs.deletionsDone()
  await committer.commit()
  await later()
  t.same(contents.discarded, [])
  t.equal(metadata.count('O'), 1, 'the mark stays')
  contents.discardFailure = undefined
  await committer.commit()
  await later()
  t.same(contents.discarded, [inode])
  await committer.commit()
  t.equal(metadata.count('O'), 0)
  t.same(world.errors, [], 'which nobody has to be told')
})

test('at the end it is left to the next start', async t => {
  const world = await makeWorld()
  const { vfs, top, contents, committer, metadata } = world
  const inode = touch(vfs, top, 'f')
  contents.discardFailure = NO_SPACE
  vfs.unlink(top, 'f')
  await vfs.deletionsDone()
  await vfs.stop()
  contents.discardFailure = undefined
  await committer.commit()
  await later()
  t.same(contents.discarded, [], 'nothing begins after the last commit')
  t.equal(metadata.count('O'), 1)
  await world.restart()
  t.same(contents.discarded, [inode])
})

test('the deletion of a container goes on as well', async t => {
  const world = await makeWorld()
  const { vfs, top, committer, metadata, contents } = world
  const files = 9000
  for (let index = 0; index < files; index++) touch(vfs, top, `f${index}`)
  await committer.commit()
  const { durable } = committer
  committer.durable = async () => {
    throw NO_SPACE
  }
  vfs.deleteContainer('c', { deleteFiles: true })
  await vfs.deletionsDone()
  t.ok(contents.discarded.length < files, 'it met the full disk on its way')
  committer.durable = durable
  await committer.commit()
  await later()
  await vfs.deletionsDone()
  await committer.commit()
  t.equal(contents.discarded.length, files)
  t.same(
    ['I', 'D', 'K', 'O'].map(table => metadata.count(table)),
    [1, 0, 0, 0],
  )
  t.same(world.errors, [])
})

test('containers', async t => {
  const { vfs, changedEntries } = await makeWorld()
  const info = vfs.addContainer({ name: 'd', group: 7, uid: 3, gid: 4, mode: 0o700 })
  t.match(vfs.getattr(info.root), { uid: 3, gid: 4, mode: 0o040700, linkCount: 2 })
  t.same(
    vfs.containers().map(({ name, group }) => [name, group]),
    [
      ['c', 1],
      ['d', 7],
    ],
  )
  const add = (name: string): (() => unknown) => {
    return () => vfs.addContainer({ name, group: 1, uid: 0, gid: 0 })
  }
  t.equal(await failure(add('d')), 'CONTAINER_EXISTS')
  t.equal(await failure(add('a/b')), 'CONTAINER_NAME_INVALID')
  t.equal(await failure(add('..')), 'CONTAINER_NAME_INVALID')
  t.equal(await failure(() => vfs.containerByName('e')), 'CONTAINER_NOT_FOUND')
  t.equal(numberOf(vfs, 1, 'd'), info.root)
  vfs.deleteContainer('d', { deleteFiles: false })
  t.equal(numberOf(vfs, 1, 'd'), undefined)
  t.equal(vfs.getattr(1).linkCount, 3)
  await vfs.deletionsDone()
  t.same(changedEntries, ['c', 'd', 'd'])
})

test('a renamed container is the same one, also after a restart', async t => {
  const world = await makeWorld()
  const { vfs, top, committer, changedEntries, clock } = world
  vfs.addContainer({ name: 'other', group: 1, uid: 0, gid: 0 })
  const { file } = await vfs.create(top, 'f', 0o644, O_RDWR, CALLER)
  await committer.commit()
  clock.seconds += 5
  changedEntries.length = 0
  const before = vfs.containerByName('c')
  t.match(vfs.renameContainer('c', 'd'), { ...before, name: 'd' })
  t.same(changedEntries, ['c', 'd'], 'the kernel forgets both')
  t.equal(numberOf(vfs, 1, 'c'), undefined)
  t.equal(numberOf(vfs, 1, 'd'), top)
  t.same(await list(vfs, 1), ['d', 'other'])
  t.match(vfs.getattr(1), { linkCount: 4, modifyTime: { seconds: clock.seconds } })
  t.equal(vfs.getattr(top).changeTime.seconds, clock.seconds)
  await vfs.write(file.handle, 0, Buffer.from('abc'), WRITE)
  await vfs.fsync(file.handle)
  t.match(vfs.containerByName('d'), { logicalBytes: 3, fileCount: 1 })

  const refused = (name: string, newName: string): Promise<string | undefined> =>
    failure(() => vfs.renameContainer(name, newName))
  t.equal(await refused('c', 'e'), 'CONTAINER_NOT_FOUND')
  t.equal(await refused('d', 'other'), 'CONTAINER_EXISTS')
  t.equal(await refused('d', 'd'), 'CONTAINER_EXISTS')
  for (const name of ['', '.', '..', 'a/b', 'n'.repeat(256)]) {
    t.equal(await refused('d', name), 'CONTAINER_NAME_INVALID')
  }
  vfs.deleteContainer('other', { deleteFiles: false })
  vfs.renameContainer('d', 'other')
  vfs.addContainer({ name: 'd', group: 1, uid: 0, gid: 0 })
  await vfs.deletionsDone()
  await committer.commit()

  await world.restart()
  t.same(await list(world.vfs, 1), ['d', 'other'], 'names that became free are taken again')
  t.match(world.vfs.containerByName('other'), { id: before.id, root: top, fileCount: 1 })
  t.equal(numberOf(world.vfs, top, '..'), 1)
})

test('a rename that was not committed did not happen', async t => {
  const world = await makeWorld()
  await world.committer.commit()
  world.vfs.renameContainer('c', 'd')
  await world.restart()
  t.same(await list(world.vfs, 1), ['c'])
  t.equal(world.vfs.containerByName('c').root, world.top)
})

test('container statistics', async t => {
  const world = await makeWorld()
  const { top } = world
  const stats = (): number[] => {
    const { logicalBytes, fileCount } = world.vfs.containerByName('c')
    return [logicalBytes, fileCount]
  }
  const { file, entry } = await world.vfs.create(top, 'f', 0o644, O_RDWR, CALLER)
  await world.vfs.write(file.handle, 0, Buffer.alloc(100), WRITE)
  world.vfs.symlink(top, 's', 'target', CALLER)
  makeDirectory(world.vfs, top, 'd')
  t.same(stats(), [100, 2])
  world.vfs.link(entry.attributes.inode, top, 'g')
  t.same(stats(), [100, 2])
  await world.vfs.setattr(entry.attributes.inode, { sizeBytes: 30 })
  t.same(stats(), [30, 2])
  await world.vfs.fsync(file.handle)
  await world.restart()
  t.same(stats(), [30, 2])
  world.vfs.unlink(top, 'f')
  t.same(stats(), [30, 2])
  touch(world.vfs, top, 'h')
  world.vfs.rename(top, 'h', top, 'g', NO_FLAGS)
  t.same(stats(), [0, 2])
  await world.committer.commit()
  await world.restart()
  t.same(stats(), [0, 2])
})

test('a deleted container is gone at once and its tree soon', async t => {
  const world = await makeWorld()
  const { top, committer, metadata, contents } = world
  const deep = makeDirectory(world.vfs, makeDirectory(world.vfs, top, 'a'), 'b')
  for (let index = 0; index < 1000; index++) touch(world.vfs, deep, `f${index}`)
  await committer.commit()
  t.equal(
    await failure(() => world.vfs.deleteContainer('c', { deleteFiles: false })),
    'CONTAINER_NOT_EMPTY',
  )
  world.vfs.deleteContainer('c', { deleteFiles: true })
  t.same(world.vfs.containers(), [])
  t.same(await list(world.vfs, 1), [])
  t.equal(await failure(() => touch(world.vfs, deep, 'new')), 'ENOENT')
  await world.vfs.stop()
  await committer.commit()
  t.ok(metadata.count('D') > 0, 'stopped on the way')
  await world.restart()
  t.same(world.vfs.containers(), [])
  await world.vfs.deletionsDone()
  await committer.commit()
  t.same(
    ['I', 'D', 'K', 'O'].map(table => metadata.count(table)),
    [1, 0, 0, 0],
  )
  t.equal(contents.discarded.length, 1000)
  t.same(world.errors, [])
  const again = world.vfs.addContainer({ name: 'c', group: 1, uid: 0, gid: 0 })
  t.ok(again.id > 1, 'ids are never used twice')
})

test('a small cache forgets what nobody needs, and nothing else', async t => {
  const world = await makeWorld({ cachedInodesMax: 10 })
  const { vfs, top, committer } = world
  const { file, entry } = await vfs.create(top, 'open', 0o644, O_RDWR, CALLER)
  for (let index = 0; index < 100; index++) touch(vfs, top, `f${index}`)
  await vfs.write(file.handle, 0, Buffer.from('abc'), WRITE)
  await committer.commit()
  for (let index = 0; index < 100; index++) {
    const inode = numberOf(vfs, top, `f${index}`) ?? 0
    await vfs.setattr(inode, { mode: 0o600 })
    if (index % 7 === 0) await committer.commit()
  }
  await committer.commit()
  for (let index = 0; index < 100; index++) {
    t.equal(vfs.lookup(top, `f${index}`)?.attributes.mode, 0o100600)
  }
  t.equal(vfs.getattr(entry.attributes.inode).sizeBytes, 3)
})

test('changes made while a commit is under way belong to the next', async t => {
  const world = await makeWorld()
  const { vfs, top, committer } = world
  const first = touch(vfs, top, 'first')
  const commit = committer.commit()
  vfs.unlink(top, 'first')
  const second = touch(vfs, top, 'second')
  await vfs.setattr(second, { mode: 0o600 })
  await commit
  t.equal(numberOf(vfs, top, 'first'), undefined)
  t.equal(numberOf(vfs, top, 'second'), second)
  await world.restart()
  t.equal(numberOf(world.vfs, top, 'first'), first, 'exactly the commit')
  t.equal(numberOf(world.vfs, top, 'second'), undefined)
})

test('the committer knows how many records a commit will have, so that it can keep it small', async t => {
  const { vfs, top, committer } = await makeWorld()
  const numbers = Array.from({ length: 1000 }, (_, index) => index)
  const told = async (change: () => unknown): Promise<number> => {
    await committer.commit()
    await change()
    return committer.toldRecords
  }
  const bounds = async (what: string, change: () => unknown): Promise<void> => {
    const records = await told(change)
    await committer.commit()
    const { committedRecords } = committer
    t.ok(committedRecords >= 1000, `${what}: ${committedRecords} records`)
    t.ok(records >= 0.6 * committedRecords, `${what}: it was told of ${records}`)
    t.ok(records <= committedRecords, `${what}: and not of more`)
  }
  await bounds('files', () => numbers.map(number => touch(vfs, top, `f${number}`)))
  await bounds('modes', async () => {
    for (const number of numbers) {
      const entry = vfs.lookup(top, `f${number}`)
      if (entry === undefined) throw new Error('it was made above')
      await vfs.setattr(entry.attributes.inode, { mode: 0o600 })
      // one record, however often it changes
      await vfs.setattr(entry.attributes.inode, { mode: 0o640 })
    }
  })
  await bounds('renames', () => numbers.map(n => vfs.rename(top, `f${n}`, top, `g${n}`, NO_FLAGS)))
  await bounds('deletions', () => numbers.map(number => vfs.unlink(top, `g${number}`)))
})

test('every change is told to the committer', async t => {
  const { vfs, top, committer } = await makeWorld()
  const inode = touch(vfs, top, 'f')
  const changes: (() => unknown)[] = [
    () => touch(vfs, top, 'g'),
    () => vfs.setattr(inode, { mode: 0o600 }),
    () => vfs.setxattr(inode, 'user.a', Buffer.alloc(1), 0),
    () => vfs.rename(top, 'f', top, 'h', NO_FLAGS),
    () => vfs.unlink(top, 'h'),
    () => vfs.addContainer({ name: 'd', group: 1, uid: 0, gid: 0 }),
  ]
  for (const change of changes) {
    const before = committer.touches
    await change()
    t.ok(committer.touches > before)
  }
})
