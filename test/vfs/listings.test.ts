// Listings of large directories while entries come and go, and going on from a cookie.

import { test } from 'tap'
import { nameHash } from '../../src/vfs/name-hash.ts'
import { SlowMetadata } from './slow-metadata.ts'
import { failure, HASH_KEY, list, makeDirectory, makeWorld, numberOf, touch } from './fakes.ts'

const ENTRIES = 10_000

test('10,000 entries while others come and go', async t => {
  const { vfs, top, committer } = await makeWorld()
  for (let index = 0; index < ENTRIES; index++) {
    touch(vfs, top, `keep${index}`)
    if (index % 4 === 0) touch(vfs, top, `gone${index}`)
    if (index === ENTRIES / 2) await committer.commit()
  }
  const seen = new Map<string, number>()
  let cookie = 0
  for (let round = 0; ; round++) {
    const entries = await vfs.readdir(top, cookie, 100)
    if (entries.length === 0) break
    for (const { name, cookie: next } of entries) {
      cookie = next
      seen.set(name, (seen.get(name) ?? 0) + 1)
    }
    touch(vfs, top, `new${round}`)
    const victim = `gone${round * 20}`
    if (numberOf(vfs, top, victim) !== undefined) vfs.unlink(top, victim)
    if (round % 10 === 0) await committer.commit()
  }
  let wrong = 0
  for (let index = 0; index < ENTRIES; index++) if (seen.get(`keep${index}`) !== 1) wrong++
  t.equal(wrong, 0, 'what was there all the time comes exactly once')
  t.equal(Math.max(...seen.values()), 1, 'nothing comes twice')
  t.equal(seen.get('.'), 1)
  t.equal(seen.get('..'), 1)
  t.equal(await failure(() => vfs.readdir(10 ** 9, 0, 1)), 'ENOENT')
  const file = touch(vfs, top, 'file')
  t.equal(await failure(() => vfs.readdir(file, 0, 1)), 'ENOTDIR')
})

test('a listing goes on from any cookie', async t => {
  const world = await makeWorld()
  const { top, committer } = world
  for (let index = 0; index < 500; index++) touch(world.vfs, top, `f${index}`)
  await committer.commit()
  const all = await world.vfs.readdir(top, 0, 1000)
  t.equal(all.length, 502)
  t.same(
    all.slice(0, 2).map(({ name, cookie, inode }) => [name, cookie, inode]),
    [
      ['.', 1, top],
      ['..', 2, 1],
    ],
  )
  await world.restart()
  for (const at of [400, 3, 250, 501, 1, 0]) {
    const rest = await world.vfs.readdir(top, all[at]?.cookie ?? 0, 1000)
    t.same(rest, all.slice(at + 1))
  }
})

test('readers of one directory share what they read, and miss nothing', async t => {
  const metadata = new SlowMetadata()
  const { vfs, top, committer } = await makeWorld({ metadata })
  committer.metadata = metadata
  for (let index = 0; index < ENTRIES; index++) touch(vfs, top, `f${index}`)
  await committer.commit()
  const all = await list(vfs, top, 1000)
  t.same(await Promise.all([list(vfs, top, 1000), list(vfs, top, 300)]), [all, all])
  let before = metadata.ranges
  await list(vfs, top, 1000)
  const alone = metadata.ranges - before
  // One begins while others go on, and then all are side by side.
  const readers = Array.from({ length: 12 }, () => ({ cookie: 0, isAtEnd: false, count: 0 }))
  for (let round = 0; readers.some(({ isAtEnd }) => !isAtEnd); round++) {
    if (round === readers.length) before = metadata.ranges
    for (const reader of readers.slice(0, round + 1).filter(({ isAtEnd }) => !isAtEnd)) {
      const entries = await vfs.readdir(top, reader.cookie, 700)
      reader.cookie = entries.at(-1)?.cookie ?? reader.cookie
      reader.count += entries.length
      reader.isAtEnd = entries.length === 0
    }
  }
  for (const { count } of readers) t.equal(count, ENTRIES + 2)
  const [read, most] = [metadata.ranges - before, readers.length * alone]
  t.ok(read <= most / 2, `${read} windows, not ${most}`)
})

test('who begins while another one reads is shown what came in between', async t => {
  const metadata = new SlowMetadata()
  const { vfs, top, committer } = await makeWorld({ metadata })
  committer.metadata = metadata
  for (let index = 0; index < 500; index++) touch(vfs, top, `f${index}`)
  await committer.commit()
  metadata.isSlow = true
  const first = vfs.readdir(top, 0, 10)
  touch(vfs, top, 'late')
  const second = vfs.readdir(top, 0, 10)
  await metadata.hurry()
  metadata.isSlow = false
  await first
  const names = (await second).map(({ name }) => name)
  for (let cookie = (await second).at(-1)?.cookie ?? 0; ;) {
    const entries = await vfs.readdir(top, cookie, 10)
    const last = entries.at(-1)
    if (last === undefined) break
    names.push(...entries.map(({ name }) => name))
    cookie = last.cookie
  }
  t.ok(names.includes('late'))
  t.equal(names.length, 503)
})

test('rewinding shows what is there now', async t => {
  const { vfs, top } = await makeWorld()
  t.equal((await vfs.readdir(top, 0, 10)).length, 2)
  touch(vfs, top, 'f')
  makeDirectory(vfs, top, 'd')
  const entries = await vfs.readdir(top, 0, 10)
  const types = new Map(entries.map(({ name, type }) => [name, type]))
  t.equal(types.get('f'), 0o100000)
  t.equal(types.get('d'), 0o040000)
})

test('one entry at a time', async t => {
  const { vfs, top, committer } = await makeWorld()
  for (const name of ['a', 'b', 'c', 'd']) touch(vfs, top, name)
  await committer.commit()
  vfs.unlink(top, 'b')
  touch(vfs, top, 'e')
  t.same(await list(vfs, top, 1), ['a', 'c', 'd', 'e'])
})

test('name hashes', async t => {
  const hash = nameHash(HASH_KEY)
  const other = nameHash(Buffer.from('another key here'))
  const hashes = new Set<number>()
  for (let index = 0; index < 50_000; index++) {
    const value = hash(`file-${index}`)
    if (!Number.isInteger(value) || value < 3 || value >= 2 ** 52) t.fail(`hash ${value}`)
    hashes.add(value)
  }
  t.equal(hashes.size, 50_000)
  t.not(hash('a'), other('a'))
  t.not(hash('a'), hash('a\0'))
  t.throws(() => nameHash(Buffer.alloc(15)))
})
