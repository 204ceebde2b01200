// Names with one and the same hash: found each for itself, and never torn apart by the end of a window.

import { test } from 'tap'
import { Dentries } from '../../src/vfs/dentries.ts'
import type { NameHash } from '../../src/vfs/name-hash.ts'
import { FakeCommitter, FakeMetadata } from './fakes.ts'

const DIRECTORY = 9
const FILE = 0o100000
/** three hashes for everything */
const poorHash: NameHash = name => 10 + (name.length % 3)

test('names that collide', async t => {
  const metadata = new FakeMetadata()
  const committer = new FakeCommitter(metadata)
  const dentries = new Dentries(metadata, poorHash, () => committer.touched())
  committer.participant = dentries
  const names: string[] = []
  for (let index = 0; index < 30; index++) names.push('n'.repeat(index + 1))
  for (const [index, name] of names.entries()) {
    dentries.set(DIRECTORY, name, { inode: index + 100, type: FILE })
    if (index === 15) await committer.commit()
  }
  dentries.remove(DIRECTORY, 'nnnn')
  for (const [index, name] of names.entries()) {
    t.equal(dentries.find(DIRECTORY, name)?.inode, name === 'nnnn' ? undefined : index + 100)
  }
  const seen: string[] = []
  let windows = 0
  for (let cookie = 0; ; windows++) {
    const { entries, isLast } = await dentries.window(DIRECTORY, cookie, 2)
    const cookies = new Set(entries.map(entry => entry.cookie))
    t.ok(cookies.size <= 1, 'ten or so share a cookie and come together')
    seen.push(...entries.map(entry => entry.name))
    cookie = entries.at(-1)?.cookie ?? cookie
    if (isLast) break
  }
  t.same(
    seen.sort(),
    names.filter(name => name !== 'nnnn'),
  )
  t.ok(windows >= 2)
})
