// Alerts of damage end when the damage does: by deletion, by the cleaner, by a repaired disk; and not before.

import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { contentOf, OpenStore, sha256 } from '../helpers/open-store.ts'

const FILE_BYTES = 6_000_000
const codesOf = (store: OpenStore): string[] =>
  store.storage.alerts
    .list()
    .map(({ code }) => code)
    .filter(code => code.startsWith('DAMAGED'))
    .sort()
const BOTH = ['DAMAGED_BLOCK', 'DAMAGED_FILE']

/** A store with one file in one block file, which is damaged; and how to repair it. */
async function damagedStore(t: Test) {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-damage-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const store = await OpenStore.open(directory)
  store.addContainer('a')
  await store.write('a/file', contentOf(1, FILE_BYTES))
  await store.close()
  const folder = join(directory, 'store', 'blocks', '1', '000000')
  const [name = ''] = await readdir(folder)
  const path = join(folder, name)
  const whole = await readFile(path)
  const damaged = Buffer.from(whole)
  damaged.fill(0xff, FILE_BYTES / 2, FILE_BYTES / 2 + 100)
  await writeFile(path, damaged)
  return { directory, repair: () => writeFile(path, whole), damage: () => writeFile(path, damaged) }
}

t.test(
  'a repaired block file ends both alerts, and the damage that comes back is said',
  async t => {
    const { directory, repair, damage } = await damagedStore(t)
    const store = await OpenStore.open(directory)
    await t.rejects(store.read('a/file'), { code: 'EIO' })
    t.same(codesOf(store), BOTH)
    const { text } = store.storage.alerts.list().find(({ code }) => code === 'DAMAGED_FILE') ?? {}
    t.match(text, /^Inode (\d+) of container a can't .* block file 1 .*"find a -inum \1"/)
    await store.storage.damage.look()
    await store.storage.damage.look()
    t.same(codesOf(store), BOTH, 'as long as it is there')
    await repair()
    await store.storage.damage.look()
    t.same(codesOf(store), [])
    t.equal(sha256(await store.read('a/file')), sha256(contentOf(1, FILE_BYTES)))
    await damage()
    store.storage.damage.tick(0)
    await store.close()

    const again = await OpenStore.open(directory)
    await t.rejects(again.read('a/file'), { code: 'EIO' })
    await again.close()
    const later = await OpenStore.open(directory)
    t.same(codesOf(later), BOTH, 'over a restart')
    await later.storage.damage.look()
    t.same(codesOf(later), BOTH, 'found again without knowing where')
    await later.close()
  },
)

t.test("a deleted file's alert ends, its block's when the cleaner has freed it", async t => {
  const { directory } = await damagedStore(t)
  const store = await OpenStore.open(directory)
  await t.rejects(store.read('a/file'), { code: 'EIO' })
  store.remove('a/file')
  await store.storage.damage.look()
  t.same(codesOf(store), ['DAMAGED_BLOCK'])
  await store.sync()
  await store.storage.vfs.deletionsDone()
  await store.storage.cleaner.start('manual').done
  await store.storage.damage.look()
  t.same(codesOf(store), [])
  await store.close()
})

t.test('a block file that is missing is damage as long as a file needs it', async t => {
  const { directory } = await damagedStore(t)
  const folder = join(directory, 'store', 'blocks', '1', '000000')
  await rm(folder, { recursive: true })
  const store = await OpenStore.open(directory)
  await t.rejects(store.read('a/file'), { code: 'EIO' })
  await store.storage.damage.look()
  t.same(codesOf(store), BOTH)
  await store.write('a/file', contentOf(2, 1000))
  await store.sync()
  await store.storage.damage.look()
  t.same(codesOf(store), ['DAMAGED_BLOCK'], 'the file was overwritten')
  await store.close()
})
