// Keystores that were mixed up, forged, put back or replaced: nothing that wasn't proved overwrites a keystore, decides
// whether the group is encrypted, or is lost.

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFile, mkdir, open, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { activeKey } from '../../src/crypto/index.ts'
import {
  emptyWorld,
  NEW,
  newWorld,
  OLD,
  chunkKeyBytes,
  type World,
} from '../helpers/keystore-world.ts'

const OTHER_STORE = 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff'
const FLAGS_AT = 24
const SEQUENCE_AT = 16

/** What an attacker without the passphrase can make of a keystore: any head, with a checksum that fits. */
function forge(file: Buffer, change: (forged: Buffer) => void): Buffer {
  const forged = Buffer.from(file)
  change(forged)
  const body = forged.subarray(0, -32)
  forged.set(createHash('sha256').update(body).digest(), body.length)
  return forged
}

function digest8(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 8)
}

async function namesBeside(path: string): Promise<string[]> {
  return (await readdir(dirname(path))).filter(name => name !== basename(path)).toSorted()
}

async function unlocked(world: World, passphrase = OLD) {
  const keys = await world.loaded()
  await keys.unlock(passphrase)
  return keys
}

t.test('load changes nothing, whatever lies there', async t => {
  const world = await newWorld(t)
  const [primary, backup] = world.paths
  const good = await readFile(primary)
  const contents: (Buffer | undefined)[] = [
    good,
    undefined,
    Buffer.from('nonsense'),
    forge(good, file => file.writeBigUInt64LE(99n, SEQUENCE_AT)),
    forge(good, file => file.write(OTHER_STORE, 96, 'hex')),
  ]
  for (const first of contents) {
    for (const second of contents) {
      await rm(primary, { force: true })
      await rm(backup, { force: true })
      if (first !== undefined) await writeFile(primary, first)
      if (second !== undefined) await writeFile(backup, second)
      await world.loaded()
      for (const [path, expected] of [
        [primary, first],
        [backup, second],
      ] as const) {
        t.strictSame(await readFile(path).catch(() => undefined), expected)
        t.same(await namesBeside(path), [])
      }
    }
  }
})

t.test('a keystore of another store is put aside, never used or overwritten', async t => {
  const world = await newWorld(t)
  const other = await emptyWorld(t)
  other.store = OTHER_STORE
  const strange = await other.loaded()
  await strange.setPassphrase(undefined, OLD, chunkKeyBytes())
  await strange.set({ isOn: true })
  for (let change = 0; change < 5; change++) await strange.rotate()
  const foreign = await readFile(other.paths[0])
  const [primary, backup] = world.paths
  const own = await readFile(primary)
  await writeFile(backup, foreign)
  const keys = await world.loaded()
  t.match(world.findings, [{ path: backup, what: 'foreign', isRepaired: false }])
  await keys.unlock(OLD)
  t.same(await readFile(backup), own)
  t.same(await readFile(primary), own)
  const asidePath = `${backup}.aside-${other.sequence}-${digest8(foreign)}`
  t.match(world.findings.at(-1), { path: backup, what: 'foreign', isRepaired: true, asidePath })
  t.same(await readFile(asidePath), foreign)

  await writeFile(primary, foreign)
  await writeFile(backup, foreign)
  const without = await world.loaded()
  t.equal(without.broken?.code, 'KEYSTORE_DAMAGED')
  t.match(without.broken?.message, OTHER_STORE, 'says whose it is')
  await writeFile(primary, own)
  await without.unlock(OLD)
  t.ok(without.isOpen, 'the right one put back is used')
})

t.test('a forged sequence wins nothing', async t => {
  const world = await newWorld(t)
  const good = await readFile(world.paths[0])
  const forged = forge(good, file => {
    file.writeBigUInt64LE(BigInt(Number.MAX_SAFE_INTEGER), SEQUENCE_AT)
  })
  for (const path of world.paths) {
    for (const round of [1, 2]) {
      await writeFile(path, forged)
      const keys = await unlocked(world)
      t.same(await readFile(path), good, `round ${round}`)
      const asidePath = `${path}.aside-${Number.MAX_SAFE_INTEGER}-${digest8(forged)}`
      t.match(world.findings.at(-1), { path, what: 'unproved', asidePath })
      t.same(await namesBeside(path), [basename(asidePath)])
      await keys.rotate()
      t.equal(world.sequence, (await world.places.read(3))[0]?.head?.sequence)
      await writeFile(world.paths[0], good)
      await writeFile(world.paths[1], good)
      world.sequence = 2
    }
  }
  for (const path of world.paths) await writeFile(path, forged)
  const keys = await world.loaded()
  await t.rejects(keys.unlock(OLD), { code: 'WRONG_PASSPHRASE' })
  await writeFile(world.paths[1], good)
  await keys.unlock(OLD)
  t.ok(keys.isOpen, 'a good copy put back is used')
  t.same(await readFile(world.paths[0]), good)
})

t.test('a forged flag never makes the group clear', async t => {
  const world = await newWorld(t)
  const good = await readFile(world.paths[0])
  const off = forge(good, file => {
    file[FLAGS_AT] = 0
    file.writeBigUInt64LE(BigInt(world.sequence + 5), SEQUENCE_AT)
  })
  for (const places of [[0], [1], [0, 1]]) {
    for (const path of world.paths) await writeFile(path, good)
    for (const place of places) await writeFile(world.paths[place] ?? '', off)
    const keys = await world.loaded()
    t.ok(keys.isEncrypted)
    t.equal(keys.info?.isOn, true)
    t.notOk(keys.isOpen)
  }
  // Without a key in the entries only the store itself knows.
  const bare = await emptyWorld(t)
  await (await bare.loaded()).setPassphrase(undefined, OLD, chunkKeyBytes())
  t.equal((await bare.loaded()).isEncrypted, false, 'a passphrase alone encrypts nothing')
  bare.isKnownEncrypted = true
  const keys = await bare.loaded()
  t.equal(keys.isEncrypted, true)
  t.match(keys.doubt, /has been encrypted/)
  await t.rejects(keys.unlock(OLD), { code: 'KEYSTORE_ROLLED_BACK' })
  for (const path of bare.paths) await rm(path)
  const without = await bare.loaded()
  t.equal(without.broken?.code, 'KEYSTORE_MISSING')
  t.equal(without.isEncrypted, true)
})

t.test('an old passphrase opens nothing after a change', async t => {
  const world = await newWorld(t)
  const before = await readFile(world.paths[0])
  await (await unlocked(world)).setPassphrase(OLD, NEW, chunkKeyBytes())
  await t.rejects(unlocked(world), { code: 'WRONG_PASSPHRASE' })
  const [primary, backup] = world.paths
  await writeFile(backup, before)
  const keys = await world.loaded()
  await t.rejects(keys.unlock(OLD), { code: 'KEYSTORE_ROLLED_BACK', message: primary })
  await t.rejects(keys.unlock(OLD), { code: 'KEYSTORE_ROLLED_BACK', message: backup })
  t.same(await readFile(backup), before, 'and nothing was changed')
  await unlocked(world, NEW)
  t.match(world.findings.at(-1), { path: backup, what: 'older', isRepaired: true })
  t.same(await readFile(`${backup}.previous`), before, 'the successor proves it to be older')
  await unlocked(world, NEW)
  t.same(await namesBeside(backup), [], 'the next unlock erases it')
})

t.test('two keystores that went different ways: the store goes on with its own', async t => {
  const world = await newWorld(t)
  const [primary, backup] = world.paths
  const start = await readFile(primary)
  const drill = await emptyWorld(t)
  drill.sequence = world.sequence
  drill.nowSeconds = world.nowSeconds + 60
  for (const path of drill.paths) {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, start)
  }
  const copy = await unlocked(drill)
  await copy.rotate()
  await copy.rotate()
  const keys = await unlocked(world)
  await keys.rotate()
  const secret = activeKey(keys.keyring)?.secret
  const own = await readFile(primary)
  await copyFile(drill.paths[0], backup)
  const again = await unlocked(world)
  t.ok(secret !== undefined && activeKey(again.keyring)?.secret?.equals(secret))
  t.same(await readFile(backup), own)
  const [aside = ''] = await namesBeside(backup)
  t.match(aside, /\.aside-4-/)
  t.same(await readFile(join(dirname(backup), aside)), await readFile(drill.paths[0]))
})

t.test('a keystore of version 1 opens and is made anew in version 2', async t => {
  const world = await emptyWorld(t)
  world.sequence = 3
  const old = await readFile(join('test', 'fixtures', 'keystore-1', '3.keystore'))
  for (const path of world.paths) {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, old)
  }
  const keys = await unlocked(world)
  t.equal(keys.keyring.keys.length, 2)
  const [copy, backup] = await world.places.read(3)
  t.match(copy?.head, { version: 2, store: world.store, sequence: 4, sinceSeconds: 1_000_000 })
  t.equal(copy?.digest, backup?.digest)
  t.equal(copy?.head?.predecessors[0]?.slice(0, 8), digest8(old))
  t.equal(world.sequence, 4)
  t.match(world.findings, [], 'nothing to be said of it')
  await unlocked(world)
  t.same(await namesBeside(world.paths[0]), [])
})

t.test('a strange keystore of version 1 with the same passphrase does not count', async t => {
  const world = await newWorld(t)
  const [primary, backup] = world.paths
  const own = await readFile(backup)
  const strange = await readFile(join('test', 'fixtures', 'keystore-1', '3.keystore'))
  await writeFile(primary, strange)
  const keys = await unlocked(world)
  t.equal(keys.keyring.keys.length, 1)
  t.same(await readFile(primary), own)
  t.same(await readFile(`${primary}.aside-3-${digest8(strange)}`), strange)
})

t.test('a keystore of a former identity is bound anew', async t => {
  const world = await newWorld(t)
  world.formerStores = [world.store]
  world.store = OTHER_STORE
  await unlocked(world)
  for (const { head } of await world.places.read(3)) t.equal(head?.store, OTHER_STORE)
  world.formerStores = []
  await unlocked(world)
})

t.test('the bytes of a replaced keystore are overwritten', async t => {
  const world = await newWorld(t)
  const keys = await unlocked(world)
  const changes: (() => Promise<void>)[] = [
    () => keys.setPassphrase(OLD, NEW, chunkKeyBytes()),
    () => keys.rotate(),
    () => keys.set({ mode: 'static' }),
  ]
  for (const change of changes) {
    const files = await Promise.all(world.paths.map(path => open(path)))
    const { size } = (await files[0]?.stat()) ?? { size: 0 }
    await change()
    for (const file of files) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(size), 0, size, 0)
      t.equal(bytesRead, size)
      t.ok(buffer.equals(Buffer.alloc(size)), 'the old file holds zeros')
      await file.close()
    }
    for (const path of world.paths) t.same(await namesBeside(path), [])
  }
})

t.test('damaged files are kept, a few of them', async t => {
  const world = await newWorld(t)
  const [primary] = world.paths
  for (let number = 0; number < 7; number++) {
    await writeFile(primary, `damage ${number}`)
    await unlocked(world)
  }
  const names = await namesBeside(primary)
  t.equal(names.length, 4)
  t.ok(names.every(name => name.includes('.damaged-')))
  t.ok(names.includes(`3.keystore.damaged-${digest8(Buffer.from('damage 6'))}`))
})

t.test(
  'an earlier state of the store is restored: the key of its data is not given up',
  async t => {
    const world = await newWorld(t)
    const [primary, backup] = world.paths
    const image = await readFile(primary)
    const imageSequence = world.sequence
    const later = await unlocked(world)
    const first = activeKey(later.keyring)?.secret
    await later.rotate()
    await later.retire(new Set([1]))
    const newest = await readFile(backup)
    await writeFile(primary, image)
    world.sequence = imageSequence
    world.usedIds = new Set([0, 1])
    for (let round = 0; round < 3; round++) {
      const keys = await unlocked(world)
      t.equal(keys.keyring.keys.find(({ id }) => id === 1)?.state, 'active', `unlock ${round}`)
      t.notOk(keys.keyring.keys.find(({ id }) => id === 1)?.secret?.isWiped)
      if (round === 1) await keys.rotate()
      keys.lock()
      if (round === 1) break
    }
    t.ok(first?.isWiped, 'the retired one')
    const asides = (await namesBeside(backup)).filter(name => name.includes('aside'))
    t.equal(asides.length, 1)
    t.same(await readFile(join(dirname(backup), asides[0] ?? '')), newest, 'nor is the newer one')
  },
)

t.test('a pipe or a link in the place of a keystore is waited for by nobody', async t => {
  const world = await newWorld(t)
  const [, backup] = world.paths
  for (const replace of [
    () => promisify(execFile)('mkfifo', [backup]),
    () => symlink('/dev/zero', backup),
  ]) {
    await rm(backup)
    await replace()
    const keys = await unlocked(world)
    t.ok(keys.isOpen)
    keys.lock()
  }
})

t.test('a forged copy that can not be derived from keeps no good one closed', async t => {
  const world = await newWorld(t)
  const [primary, backup] = world.paths
  const forged = forge(await readFile(primary), file => {
    // scrypt with r = 1 wants N below 2 ^ 16.
    file[36] = 16
    file[37] = 1
  })
  await writeFile(backup, forged)
  const keys = await unlocked(world)
  t.ok(keys.isOpen)
})
