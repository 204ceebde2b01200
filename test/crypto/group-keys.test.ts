// The keystore's two places and its life, with a store that is cut off at every step.

import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'

import { activeKey, KeystorePlaces } from '../../src/crypto/index.ts'
import type { GroupKeys, PlaceFinding } from '../../src/crypto/index.ts'
import {
  NEW,
  newWorld,
  OLD,
  placesIn,
  chunkKeyBytes,
  type World,
} from '../helpers/keystore-world.ts'
import { Secret } from '../../src/native/secret.ts'

async function opens(world: World, passphrase: Buffer): Promise<boolean> {
  const keys = await world.loaded()
  try {
    await keys.unlock(passphrase)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'WRONG_PASSPHRASE') return false
    throw error
  }
}

t.test('a passphrase opens what it wrapped, and nothing else does', async t => {
  const world = await newWorld(t)
  const keys = await world.loaded()
  t.equal(keys.isOpen, false)
  t.equal(keys.info?.isOn, true, 'settings are readable while it is locked')
  await t.rejects(keys.unlock(NEW), { code: 'WRONG_PASSPHRASE' })
  await keys.unlock(OLD)
  t.ok(keys.keyring.chunkKey.equals(Secret.take(chunkKeyBytes())))
  t.equal(activeKey(keys.keyring)?.id, 1)
  const { chunkKey } = keys.keyring
  const secret = activeKey(keys.keyring)?.secret
  t.equal(secret?.isWiped, false)
  keys.lock()
  t.ok(secret?.isWiped && chunkKey.isWiped, 'a lock wipes the keys')
  t.throws(() => chunkKey.handle, { code: 'KEY_WIPED' })
  t.throws(() => keys.keyring, { code: 'GROUP_LOCKED' })
})

t.test('limits of passphrases', async t => {
  const world = await newWorld(t)
  const keys = await world.loaded()
  const bad: [Buffer, string][] = [
    [Buffer.alloc(0), 'PASSPHRASE_LENGTH'],
    [Buffer.alloc(256, 'x'), 'PASSPHRASE_LENGTH'],
    [Buffer.from([0x66, 0xff, 0xfe]), 'PASSPHRASE_ENCODING'],
  ]
  for (const [passphrase, code] of bad) {
    await t.rejects(keys.setPassphrase(OLD, passphrase, chunkKeyBytes()), { code })
  }
  await t.rejects(keys.setPassphrase(undefined, NEW, chunkKeyBytes()), {
    code: 'PASSPHRASE_REQUIRED',
  })
  const longest = Buffer.from('ä'.repeat(127) + 'x')
  t.equal(longest.length, 255)
  await keys.setPassphrase(OLD, longest, chunkKeyBytes())
  t.equal(await opens(world, longest), true)
})

t.test(
  'wrong passphrases have to wait, longer each time; the right one afterwards works',
  async t => {
    const world = await newWorld(t)
    const keys = await world.loaded()
    for (let i = 0; i < 3; i++) await t.rejects(keys.unlock(NEW), { code: 'WRONG_PASSPHRASE' })
    await t.rejects(keys.unlock(OLD), { code: 'TRY_LATER' })
    world.nowSeconds += 1
    await t.rejects(keys.unlock(NEW), { code: 'WRONG_PASSPHRASE' })
    world.nowSeconds += 1
    await t.rejects(keys.unlock(OLD), { code: 'TRY_LATER' })
    world.nowSeconds += 1
    await keys.unlock(OLD)
    t.ok(keys.isOpen)
  },
)

t.test('either copy alone opens the group, and is what the other is repaired from', async t => {
  const world = await newWorld(t)
  const whole = await readFile(world.paths[0])
  const flipped = Uint8Array.from(whole)
  flipped[100] = (flipped[100] ?? 0) ^ 4
  const spoils: [string, (path: string) => Promise<void>, string][] = [
    ['deleted', path => rm(path), 'missing'],
    ['truncated', path => writeFile(path, whole.subarray(0, 99)), 'damaged'],
    ['emptied', path => writeFile(path, ''), 'damaged'],
    ['flipped', path => writeFile(path, flipped), 'damaged'],
  ]
  for (const place of [0, 1] as const) {
    for (const [name, spoil, what] of spoils) {
      const path = world.paths[place]
      await spoil(path)
      t.equal(await opens(world, OLD), true, `${name} in place ${place}`)
      t.match(world.findings, [
        { path, what, isRepaired: false },
        { path, what, isRepaired: false },
        { path, what, isRepaired: true },
      ])
      t.same(await readFile(path), whole, 'repaired by the unlock')
    }
  }
})

t.test('an older copy is replaced by the newer one; two older ones are refused', async t => {
  const world = await newWorld(t)
  const older = await readFile(world.paths[0])
  const keys = await world.loaded()
  await keys.unlock(OLD)
  await keys.rotate()
  const newer = await readFile(world.paths[1])
  for (const path of world.paths) {
    await writeFile(path, older)
    t.equal(await opens(world, OLD), true)
    t.match(world.findings.at(-1), { path, what: 'older', isRepaired: true })
    t.same(await readFile(path), newer)
  }
  for (const path of world.paths) await writeFile(path, older)
  t.equal((await world.loaded()).broken?.code, 'KEYSTORE_ROLLED_BACK')
  for (const path of world.paths) await writeFile(path, 'nonsense')
  t.equal((await world.loaded()).broken?.code, 'KEYSTORE_DAMAGED')
  for (const path of world.paths) await rm(path)
  t.equal((await world.loaded()).broken?.code, 'KEYSTORE_MISSING')
})

t.test('a keystore of another group is no keystore of this one', async t => {
  const world = await newWorld(t)
  for (const name of ['primary', 'backup']) {
    await cp(join(world.base, name, '3.keystore'), join(world.base, name, '4.keystore'))
  }
  t.match(await world.places.read(4), [{ what: 'foreign' }, { what: 'foreign' }])
})

t.test('a backup place that can not be written is no reason to stop, but is said', async t => {
  const world = await newWorld(t)
  await rm(join(world.base, 'backup'), { recursive: true })
  await writeFile(join(world.base, 'backup'), 'a file where the directory was')
  const keys = await world.loaded()
  t.match(world.findings, [{ what: 'missing', isRepaired: false }])
  await keys.unlock(OLD)
  world.findings = []
  await keys.rotate()
  t.match(world.findings, [{ what: 'missing', isRepaired: false }])
  await rm(join(world.base, 'backup'))
  await mkdir(join(world.base, 'backup'))
  t.equal(await opens(world, OLD), true)
})

/** Ends the write of a keystore after this many places. */
class CutOffPlaces extends KeystorePlaces {
  readonly #base: string
  readonly #after: number

  constructor(base: string, after: number) {
    super(placesIn(base))
    this.#base = base
    this.#after = after
  }

  override async write(_group: number, bytes: Uint8Array): Promise<PlaceFinding[]> {
    const names = ['primary', 'backup']
    for (const name of names.slice(0, this.#after)) {
      await writeFile(join(this.#base, name, '3.keystore'), bytes)
    }
    const next = names[this.#after]
    // A temporary file of which half is there.
    if (next !== undefined) {
      const path = join(this.#base, next, '3.keystore.new')
      await writeFile(path, bytes.subarray(0, bytes.length / 2))
    }
    throw new Error('crash')
  }
}

const changes: [string, (keys: GroupKeys) => Promise<void>][] = [
  ['set-passphrase', keys => keys.setPassphrase(OLD, NEW, chunkKeyBytes())],
  ['rotate', keys => keys.rotate()],
  ['mode change', keys => keys.set({ mode: 'static' })],
  ['retire', async keys => void (await keys.retire(new Set([1])))],
]

for (const [name, change] of changes) {
  t.test(
    `${name}, cut off at every step: exactly one passphrase opens, all keys are there`,
    async t => {
      for (const step of [0, 1, 2, 3]) {
        const world = await newWorld(t)
        const before = await world.loaded()
        await before.unlock(OLD)
        await before.rotate()
        before.lock()
        const isCommitStep = step === 3
        const keys = await world.loaded(
          isCommitStep ? undefined : new CutOffPlaces(world.base, step),
        )
        await keys.unlock(OLD)
        const original = await world.loaded()
        await original.unlock(OLD)
        const secrets = original.keyring.keys.map(key => key.secret)
        world.crashesBeforeCommit = isCommitStep
        await t.rejects(change(keys), { message: 'crash' })
        world.crashesBeforeCommit = false
        // After the first place only, either one opens: the first that is used decides.
        const isNew = name === 'set-passphrase' && step > 0
        t.equal(await opens(world, isNew ? NEW : OLD), true, `step ${step}: the one that counts`)
        t.equal(await opens(world, isNew ? OLD : NEW), false, `step ${step}: the other one`)
        const after = await world.loaded()
        await after.unlock(isNew ? NEW : OLD)
        for (const [index, secret] of secrets.entries()) {
          const found = after.keyring.keys.find(key => key.id === index + 1)
          const isRetired = name === 'retire' && step > 0 && index === 0
          t.ok(
            isRetired || (secret !== undefined && found?.secret?.equals(secret)),
            `key ${index + 1}`,
          )
        }
        t.same(
          await readFile(world.paths[0]),
          await readFile(world.paths[1]),
          'both places agree again',
        )
      }
    },
  )
}
