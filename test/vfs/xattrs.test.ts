// Extended attributes and their limits.

import { test } from 'tap'
import { failure, makeWorld, touch } from './fakes.ts'

const XATTR_CREATE = 1
const XATTR_REPLACE = 2

test('set, get, list, remove', async t => {
  const world = await makeWorld()
  const { vfs, top, committer } = world
  const inode = touch(vfs, top, 'f')
  const value = Buffer.from('value')
  vfs.setxattr(inode, 'user.a', value, 0)
  value.fill(0)
  t.equal(Buffer.from(vfs.getxattr(inode, 'user.a')).toString(), 'value', 'copied')
  t.equal(await failure(() => vfs.setxattr(inode, 'user.a', value, XATTR_CREATE)), 'EEXIST')
  t.equal(await failure(() => vfs.setxattr(inode, 'user.b', value, XATTR_REPLACE)), 'ENODATA')
  vfs.setxattr(inode, 'security.capability', Buffer.from([1, 2, 3]), XATTR_CREATE)
  vfs.setxattr(inode, 'trusted.x', Buffer.alloc(0), 0)
  t.same(vfs.listxattr(inode), ['user.a', 'security.capability', 'trusted.x'])
  await committer.commit()
  await world.restart()
  t.same(world.vfs.listxattr(inode), ['user.a', 'security.capability', 'trusted.x'])
  t.same([...world.vfs.getxattr(inode, 'security.capability')], [1, 2, 3])
  t.equal(world.vfs.getxattr(inode, 'trusted.x').length, 0)
  for (const name of world.vfs.listxattr(inode)) world.vfs.removexattr(inode, name)
  t.same(world.vfs.listxattr(inode), [])
  t.equal(await failure(() => world.vfs.removexattr(inode, 'user.a')), 'ENODATA')
  t.equal(await failure(() => world.vfs.getxattr(inode, 'user.a')), 'ENODATA')
  await committer.commit()
  t.equal(world.metadata.count('X'), 0)
})

test('limits', async t => {
  const { vfs, top } = await makeWorld()
  const inode = touch(vfs, top, 'f')
  const set = (name: string, size: number): (() => unknown) => {
    return () => vfs.setxattr(inode, name, Buffer.alloc(size), 0)
  }
  t.equal(await failure(set('user.a', 64 * 1024 + 1)), 'E2BIG')
  t.equal(await failure(set(`user.${'a'.repeat(251)}`, 1)), 'ERANGE')
  t.equal(await failure(set(`user.${'a'.repeat(250)}`, 1)), undefined)
  t.equal(await failure(set('user.', 1)), 'EINVAL')
  t.equal(await failure(set('system.posix_acl_access', 1)), 'EINVAL', 'no access list')
  t.equal(await failure(set('other.a', 1)), 'EOPNOTSUPP')
  let count = 0
  let code: string | undefined
  while (code === undefined && count < 20) code = await failure(set(`user.${count++}`, 64 * 1024))
  t.equal(code, 'ENOSPC')
  t.equal(count, 16, '1 MiB for all')
})
