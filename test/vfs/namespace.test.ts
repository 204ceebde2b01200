// Names: making, removing, linking and renaming, and the errno of everything that must not work.

import { test } from 'tap'
import type { FuseFilesystem } from '../../src/fuse/filesystem.ts'
import {
  CALLER,
  failure,
  list,
  makeDirectory,
  makeWorld,
  NO_FLAGS,
  numberOf,
  touch,
} from './fakes.ts'

const EXCHANGE = { noReplace: false, exchange: true }
const NO_REPLACE = { noReplace: true, exchange: false }

test('vfs is what fuse needs', async t => {
  const { vfs } = await makeWorld()
  const filesystem: FuseFilesystem = vfs
  t.ok(filesystem)
})

test('the root holds containers only', async t => {
  const { vfs, top } = await makeWorld()
  touch(vfs, top, 'f')
  const root = vfs.getattr(1)
  t.equal(root.mode, 0o40755)
  t.equal(root.uid, 0)
  t.equal(root.linkCount, 3)
  t.same(await list(vfs, 1), ['c'])
  const file = numberOf(vfs, top, 'f') ?? 0
  const forbidden: (() => unknown)[] = [
    () => vfs.mkdir(1, 'd', 0o755, CALLER),
    () => vfs.mknod(1, 'd', 0o100644, 0, CALLER),
    () => vfs.create(1, 'd', 0o644, 0, CALLER),
    () => vfs.symlink(1, 'd', 'x', CALLER),
    () => vfs.link(file, 1, 'd'),
    () => vfs.unlink(1, 'c'),
    () => vfs.rmdir(1, 'c'),
    () => vfs.rename(1, 'c', 1, 'd', NO_FLAGS),
    () => vfs.rename(top, 'f', 1, 'f', NO_FLAGS),
    () => vfs.rename(1, 'c', top, 'd', NO_FLAGS),
  ]
  for (const operation of forbidden) t.equal(await failure(operation), 'EPERM')
})

test('names', async t => {
  const { vfs, top } = await makeWorld()
  const long = 'n'.repeat(255)
  touch(vfs, top, long)
  touch(vfs, top, '\xff\xfe')
  t.equal(await failure(() => vfs.mkdir(top, `${long}n`, 0o755, CALLER)), 'ENAMETOOLONG')
  t.equal(await failure(() => vfs.lookup(top, `${long}n`)), 'ENAMETOOLONG')
  t.equal(await failure(() => touch(vfs, top, long)), 'EEXIST')
  t.equal(await failure(() => touch(vfs, 4711, 'a')), 'ENOENT')
  const file = numberOf(vfs, top, long) ?? 0
  t.equal(await failure(() => touch(vfs, file, 'a')), 'ENOTDIR')
  t.same(await list(vfs, top), [long, '\xff\xfe'].sort())
  t.equal(vfs.lookup(top, 'nothing'), undefined)
  t.equal(vfs.lookup(top, '.')?.attributes.inode, top)
  t.equal(vfs.lookup(top, '..')?.attributes.inode, 1)
  t.equal(vfs.lookup(file, '.')?.attributes.inode, file)
})

test('a name that was missed is found once it is there, also after commits', async t => {
  const { vfs, top, committer } = await makeWorld()
  t.equal(vfs.lookup(top, 'f'), undefined)
  const first = touch(vfs, top, 'f')
  t.equal(numberOf(vfs, top, 'f'), first)
  await committer.commit()
  t.equal(numberOf(vfs, top, 'f'), first)
  vfs.unlink(top, 'f')
  await committer.commit()
  t.equal(vfs.lookup(top, 'f'), undefined)
  const second = touch(vfs, top, 'f')
  await committer.commit()
  t.equal(numberOf(vfs, top, 'f'), second)
  for (let index = 0; index < 1000; index++) vfs.lookup(top, `missing${index}`)
  t.equal(numberOf(vfs, top, 'f'), second)
})

test('directories count their subdirectories and pass on setgid', async t => {
  const { vfs, top } = await makeWorld()
  const directory = makeDirectory(vfs, top, 'd')
  t.equal(vfs.getattr(top).linkCount, 3)
  t.equal(vfs.getattr(directory).linkCount, 2)
  await vfs.setattr(directory, { mode: 0o2775, gid: 77 })
  const child = vfs.mkdir(directory, 'sub', 0o755, CALLER).attributes
  t.equal(child.gid, 77)
  t.equal(child.mode, 0o42755)
  const file = vfs.mknod(directory, 'f', 0o100600, 0, CALLER).attributes
  t.equal(file.gid, 77)
  t.equal(file.mode, 0o100600)
  t.equal(file.uid, 1000)
  t.equal(await failure(() => vfs.rmdir(top, 'd')), 'ENOTEMPTY')
  t.equal(await failure(() => vfs.rmdir(directory, 'f')), 'ENOTDIR')
  t.equal(await failure(() => vfs.rmdir(directory, 'gone')), 'ENOENT')
  t.equal(await failure(() => vfs.unlink(directory, 'sub')), 'EISDIR')
  t.equal(await failure(() => vfs.unlink(directory, 'gone')), 'ENOENT')
  vfs.rmdir(directory, 'sub')
  vfs.unlink(directory, 'f')
  vfs.rmdir(top, 'd')
  t.equal(vfs.getattr(top).linkCount, 2)
})

test('special files and symlinks', async t => {
  const world = await makeWorld()
  const { vfs, top } = world
  for (const type of [0o010000, 0o140000, 0o020000, 0o060000]) {
    const entry = vfs.mknod(top, `n${type}`, type | 0o640, 0x801, CALLER)
    t.equal(entry.attributes.mode, type | 0o640)
    t.equal(entry.attributes.deviceNumber, 0x801)
  }
  t.equal(await failure(() => vfs.mknod(top, 'd', 0o040755, 0, CALLER)), 'EINVAL')
  const target = 't'.repeat(4095)
  const link = vfs.symlink(top, 's', target, CALLER).attributes
  t.equal(link.mode, 0o120777)
  t.equal(link.sizeBytes, 4095)
  t.equal(await failure(() => vfs.symlink(top, 's2', `${target}t`, CALLER)), 'ENAMETOOLONG')
  t.equal(await failure(() => vfs.readlink(top)), 'EINVAL')
  await world.committer.commit()
  await world.restart()
  t.equal(world.vfs.readlink(link.inode), target)
  t.equal(world.vfs.lookup(top, 's')?.attributes.inode, link.inode)
})

test('hard links', async t => {
  const { vfs, top } = await makeWorld()
  const other = vfs.addContainer({ name: 'other', group: 2, uid: 0, gid: 0 })
  const file = touch(vfs, top, 'f')
  t.equal(vfs.link(file, top, 'g').attributes.linkCount, 2)
  t.equal(await failure(() => vfs.link(file, top, 'g')), 'EEXIST')
  t.equal(await failure(() => vfs.link(top, top, 'h')), 'EPERM')
  t.equal(await failure(() => vfs.link(file, other.root, 'h')), 'EXDEV')
  vfs.rename(top, 'f', top, 'g', NO_FLAGS)
  t.same(await list(vfs, top), ['f', 'g'], 'two names of one file: nothing happens')
  vfs.unlink(top, 'f')
  t.equal(vfs.getattr(file).linkCount, 1)
  vfs.unlink(top, 'g')
  t.equal(vfs.getattr(file).linkCount, 0, 'the kernel still holds it')
  t.equal(await failure(() => vfs.link(file, top, 'back')), 'ENOENT')
  vfs.forget(file, 1)
  await new Promise(resolve => setImmediate(resolve))
  t.equal(await failure(() => vfs.getattr(file)), 'ENOENT')
})

test('the rename matrix', async t => {
  const kinds = ['nothing', 'file', 'empty', 'full'] as const
  type Kind = (typeof kinds)[number]
  const expected: Record<string, Partial<Record<Kind, string>>> = {
    file: { empty: 'EISDIR', full: 'EISDIR' },
    empty: { file: 'ENOTDIR', full: 'ENOTEMPTY' },
    full: { file: 'ENOTDIR', full: 'ENOTEMPTY' },
    nothing: { nothing: 'ENOENT', file: 'ENOENT', empty: 'ENOENT', full: 'ENOENT' },
  }
  for (const sourceKind of kinds) {
    for (const targetKind of kinds) {
      for (const flags of [NO_FLAGS, NO_REPLACE, EXCHANGE]) {
        const { vfs, top } = await makeWorld()
        const a = makeDirectory(vfs, top, 'a')
        const b = makeDirectory(vfs, top, 'b')
        const put = (kind: Kind, parent: number): number | undefined => {
          if (kind === 'nothing') return undefined
          if (kind === 'file') return touch(vfs, parent, 'x')
          const directory = makeDirectory(vfs, parent, 'x')
          if (kind === 'full') touch(vfs, directory, 'inside')
          return directory
        }
        const source = put(sourceKind, a)
        const target = put(targetKind, b)
        let code = expected[sourceKind]?.[targetKind]
        if (sourceKind !== 'nothing') {
          if (flags.noReplace) code = targetKind === 'nothing' ? undefined : 'EEXIST'
          if (flags.exchange) code = targetKind === 'nothing' ? 'ENOENT' : undefined
        }
        const label = `${sourceKind} over ${targetKind} ${JSON.stringify(flags)}`
        t.equal(await failure(() => vfs.rename(a, 'x', b, 'x', flags)), code, label)
        const inA = code !== undefined ? source : flags.exchange ? target : undefined
        const inB = code === undefined ? source : target
        t.equal(numberOf(vfs, a, 'x'), inA, label)
        t.equal(numberOf(vfs, b, 'x'), inB, label)
        for (const [directory, content] of [
          [a, inA],
          [b, inB],
        ] as const) {
          const isDirectory =
            content !== undefined && (vfs.getattr(content).mode & 0o170000) === 0o040000
          t.equal(vfs.getattr(directory).linkCount, isDirectory ? 3 : 2, label)
          if (content !== undefined && isDirectory) {
            t.equal(numberOf(vfs, content, '..'), directory, label)
          }
        }
      }
    }
  }
})

test('a rename may leave a whiteout behind', async t => {
  const WHITEOUT = { noReplace: false, exchange: false, whiteout: true }
  for (const isReplaced of [false, true]) {
    const { vfs, top } = await makeWorld()
    const file = touch(vfs, top, 'f')
    if (isReplaced) touch(vfs, top, 'g')
    vfs.rename(top, 'f', top, 'g', WHITEOUT, CALLER)
    t.equal(numberOf(vfs, top, 'g'), file)
    t.same(await list(vfs, top), ['f', 'g'])
    const left = vfs.getattr(numberOf(vfs, top, 'f') ?? 0)
    t.equal(left.mode, 0o020000, 'a device')
    t.equal(left.deviceNumber, 0)
    t.equal(left.uid, CALLER.uid)
    t.equal(vfs.getattr(top).linkCount, 2)
  }
  const { vfs, top } = await makeWorld()
  touch(vfs, top, 'f')
  const both = { ...WHITEOUT, exchange: true }
  t.equal(await failure(() => vfs.rename(top, 'f', top, 'g', both, CALLER)), 'EINVAL')
  const other = vfs.addContainer({ name: 'other', group: 2, uid: 0, gid: 0 })
  t.equal(await failure(() => vfs.rename(top, 'f', other.root, 'f', WHITEOUT, CALLER)), 'EXDEV')
  t.same(await list(vfs, top), ['f'], 'what fails leaves none')
})

test('renames that would make a loop or cross containers', async t => {
  const { vfs, top } = await makeWorld()
  const other = vfs.addContainer({ name: 'other', group: 2, uid: 0, gid: 0 })
  const a = makeDirectory(vfs, top, 'a')
  const b = makeDirectory(vfs, a, 'b')
  touch(vfs, b, 'x')
  t.equal(await failure(() => vfs.rename(top, 'a', b, 'a', NO_FLAGS)), 'EINVAL')
  t.equal(await failure(() => vfs.rename(top, 'a', a, 'a', NO_FLAGS)), 'EINVAL')
  t.equal(await failure(() => vfs.rename(b, 'x', top, 'a', EXCHANGE)), 'EINVAL')
  t.equal(await failure(() => vfs.rename(b, 'x', top, 'a', NO_FLAGS)), 'EISDIR')
  t.equal(await failure(() => vfs.rename(top, 'a', other.root, 'a', NO_FLAGS)), 'EXDEV')
  const both = { noReplace: true, exchange: true }
  t.equal(await failure(() => vfs.rename(top, 'a', top, 'c', both)), 'EINVAL')
  t.equal(await failure(() => vfs.rename(top, 'a', top, 'a', NO_FLAGS)), undefined)
})

test('nothing can be made in a removed directory', async t => {
  const { vfs, top } = await makeWorld()
  const directory = makeDirectory(vfs, top, 'd')
  vfs.lookup(top, 'd')
  vfs.rmdir(top, 'd')
  t.equal(await failure(() => touch(vfs, directory, 'f')), 'ENOENT')
  t.equal(vfs.getattr(directory).linkCount, 0, 'which the kernel holds')
  vfs.forget(directory, 1)
  t.equal(await failure(() => vfs.getattr(directory)), 'ENOENT')
})
