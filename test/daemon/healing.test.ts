// Damage that new backups heal: the same data comes again, and files that could not be read can be, now and after
// restarts and passes of the cleaner. Block files are damaged on disk, below a whole store without a mount.

import '../helpers/cheap-scrypt.ts'
import { mkdtemp, open, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { contentOf, OpenStore, sha256 } from '../helpers/open-store.ts'

const FILE_BYTES = 6_000_000
const PASSPHRASE = Buffer.from('correct horse')
const GROUP = 'vault'
const MARK_BYTES = 64

async function newDirectory(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-healing-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

async function openAgain(directory: string): Promise<OpenStore> {
  const store = await OpenStore.open(directory)
  const { encryption, groups } = store.storage
  for (const { id } of encryption.lockedGroups())
    await encryption.unlock(groups.byId(id), PASSPHRASE)
  return store
}

/** A closed store with `a/first` to `a/third`. */
async function prepare(directory: string, isEncrypted: boolean): Promise<void> {
  const store = await OpenStore.open(directory)
  const { encryption, groups } = store.storage
  groups.add(GROUP, 'fast')
  if (isEncrypted) {
    await encryption.setPassphrase(groups.named(GROUP), undefined, PASSPHRASE)
    await encryption.set(groups.named(GROUP), { isOn: true })
  }
  store.addContainer('a', GROUP)
  await store.write('a/first', contentOf(1, FILE_BYTES))
  await store.write('a/second', contentOf(2, FILE_BYTES))
  await store.copy('a/first', 'a/third')
  await store.close()
}

/** Turns bytes over in every block file, in so many places each. @returns how many block files there are */
async function damageBlocks(directory: string, places: number): Promise<number> {
  const folder = join(directory, 'store', 'blocks')
  const names = (await readdir(folder, { recursive: true })).filter(name => name.endsWith('.blk'))
  for (const name of names) {
    const path = join(folder, name)
    const { size } = await stat(path)
    const file = await open(path, 'r+')
    for (let place = 0; place < places; place++) {
      const at = Math.floor(((place + 0.5) / places) * (size - MARK_BYTES))
      const bytes = Buffer.alloc(MARK_BYTES)
      await file.read(bytes, 0, MARK_BYTES, at)
      await file.write(
        bytes.map(byte => byte ^ 0x55),
        0,
        MARK_BYTES,
        at,
      )
    }
    await file.close()
  }
  return names.length
}

function damageAlerts(store: OpenStore): string[] {
  const codes = store.storage.alerts.list().map(({ code }) => code)
  return codes.filter(code => code.startsWith('DAMAGED')).sort()
}

async function reads(store: OpenStore, name: string, seed: number): Promise<boolean> {
  const found = await store.read(name).then(sha256, (error: Error) => error.message)
  return found === sha256(contentOf(seed, FILE_BYTES))
}

for (const isEncrypted of [false, true]) {
  const where = isEncrypted ? 'in an encrypted group' : 'in clear'
  t.test(`the same data again makes old files readable, ${where}`, async t => {
    const directory = await newDirectory(t)
    await prepare(directory, isEncrypted)
    const damagedCount = await damageBlocks(directory, 12)
    let store = await openAgain(directory)
    await t.rejects(store.read('a/first'), { code: 'EIO' })
    t.same(damageAlerts(store), ['DAMAGED_BLOCK', 'DAMAGED_FILE'])
    await store.close()

    store = await openAgain(directory)
    // The restart has not made it a place for hits again.
    await store.write('a/again', contentOf(1, FILE_BYTES), true)
    t.ok(await reads(store, 'a/again', 1))
    t.ok(await reads(store, 'a/first', 1), 'the file that was damaged')
    t.ok(await reads(store, 'a/third', 1), 'and one that nobody had read')
    await t.rejects(store.read('a/second'), { code: 'EIO' }, 'what has not come again')
    await store.storage.damage.look()
    t.equal(damageAlerts(store).filter(code => code === 'DAMAGED_FILE').length, 1)
    await store.write('a/second-again', contentOf(2, FILE_BYTES), true)
    await store.storage.damage.look()
    t.notOk(damageAlerts(store).includes('DAMAGED_FILE'), 'healed without being read')
    t.ok(damageAlerts(store).includes('DAMAGED_BLOCK'), 'the block file is still there')

    const { outcome, counts } = await store.storage.cleaner.start('manual').done
    t.match({ outcome, freed: counts.freedBlocks }, { outcome: 'complete', freed: damagedCount })
    await store.storage.damage.look()
    t.same(damageAlerts(store), [])
    const names = ['a/first', 'a/third', 'a/again', 'a/second', 'a/second-again']
    for (let life = 0; life < 2; life++) {
      for (const name of names)
        t.ok(await reads(store, name, name.includes('second') ? 2 : 1), name)
      t.same(damageAlerts(store), [])
      await store.close()
      store = await openAgain(directory)
      t.equal((await store.storage.cleaner.start('manual').done).outcome, 'complete')
    }
    await store.close()
  })
}

t.test('what was healed is durable, also without a close in order', async t => {
  const directory = await newDirectory(t)
  await prepare(directory, false)
  await damageBlocks(directory, 12)
  let store = await openAgain(directory)
  await t.rejects(store.read('a/first'), { code: 'EIO' })
  await store.write('a/again', contentOf(1, FILE_BYTES))
  await store.write('a/second', contentOf(2, FILE_BYTES), true)
  await store.storage.damage.look()
  // As by a kill: nothing is committed any more.
  await store.storage.metadata.abandon()
  await store.close().catch(() => undefined)
  store = await openAgain(directory)
  const { counts } = await store.storage.cleaner.start('manual').done
  t.equal(
    counts.freedBlocks,
    1,
    'nothing refers to the damaged block file, before anything is read',
  )
  t.ok(await reads(store, 'a/first', 1))
  t.ok(await reads(store, 'a/third', 1))
  await store.close()
})

t.test('a damaged copy heals nothing', async t => {
  const directory = await newDirectory(t)
  await prepare(directory, false)
  await damageBlocks(directory, 12)
  let store = await openAgain(directory)
  await t.rejects(store.read('a/first'), { code: 'EIO' })
  await store.write('a/again', contentOf(1, FILE_BYTES), true)
  await store.close()
  await damageBlocks(directory, 40)
  store = await openAgain(directory)
  await t.rejects(store.read('a/again'), { code: 'EIO' })
  await store.storage.damage.look()
  await t.rejects(store.read('a/first'), { code: 'EIO' })
  // It comes a third time, and now everything is whole.
  await store.write('a/third', contentOf(1, FILE_BYTES), true)
  await store.storage.damage.look()
  for (const name of ['a/first', 'a/again', 'a/third']) t.ok(await reads(store, name, 1), name)
  await store.close()
})

t.test('healing beside the cleaner and writers loses nothing', async t => {
  const directory = await newDirectory(t)
  await prepare(directory, false)
  await damageBlocks(directory, 12)
  const store = await openAgain(directory)
  await t.rejects(store.read('a/first'), { code: 'EIO' })
  await t.rejects(store.read('a/second'), { code: 'EIO' })
  for (let round = 0; round < 4; round++) {
    const passing = store.storage.cleaner.start('manual').done
    const looking = store.storage.damage.look()
    await store.write(`a/first-${round}`, contentOf(1, FILE_BYTES))
    if (round > 0) await store.write('a/second-again', contentOf(2, FILE_BYTES), true)
    const reading = Promise.allSettled([store.read('a/first'), store.read('a/second')])
    await store.storage.damage.look()
    await Promise.all([passing, looking, reading])
    t.ok(await reads(store, 'a/first', 1), `round ${round}`)
    store.remove(`a/first-${round}`)
  }
  for (const name of ['a/second', 'a/second-again']) t.ok(await reads(store, name, 2), name)
  await store.storage.damage.look()
  t.equal((await store.storage.cleaner.start('manual').done).outcome, 'complete')
  await store.storage.damage.look()
  t.same(damageAlerts(store), [])
  t.ok(await reads(store, 'a/third', 1))
  await store.close()
})

t.test('it is looked at soon after something has happened, once for all of it', async t => {
  const directory = await newDirectory(t)
  await prepare(directory, false)
  await damageBlocks(directory, 12)
  const store = await openAgain(directory)
  const { damage, cleaner } = store.storage
  let nowMs = 0
  const wait = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second++) {
      damage.tick((nowMs += 1000))
      await damage.settled()
    }
  }
  await wait(1)
  await t.rejects(store.read('a/first'), { code: 'EIO' })
  await wait(20)
  t.ok(damageAlerts(store).includes('DAMAGED_FILE'))
  await store.write('a/again', contentOf(1, FILE_BYTES), true)
  await store.write('a/second-again', contentOf(2, FILE_BYTES), true)
  await wait(20)
  t.same(damageAlerts(store), ['DAMAGED_BLOCK'])
  await cleaner.start('manual').done
  await wait(20)
  t.same(damageAlerts(store), [])
  await store.close()
})
