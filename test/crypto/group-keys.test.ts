// The keystore's two places and its life, with a store that is cut off at every step.

import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'

import { activeKey, GroupKeys, KeystorePlaces, type PlaceFinding } from '../../src/crypto/index.ts'
import { CHUNK_KEY_BYTES } from '../../src/native/data-path.ts'
import { Secret } from '../../src/native/secret.ts'

const SCRYPT = { logCost: 4, blockSize: 8, parallelism: 1 }
/** Fresh bytes each time: whoever takes them wipes them. */
function chunkKeyBytes(): Uint8Array {
  return new Uint8Array(CHUNK_KEY_BYTES).fill(0xa5)
}
const OLD = Buffer.from('the old passphrase')
const NEW = Buffer.from('das neue Paßwort')

class World {
  readonly base: string
  sequence = 0
  nowSeconds = 1_000_000
  findings: PlaceFinding[] = []
  /** throws in `written`, as a crash before the commit */
  crashesBeforeCommit = false

  constructor(base: string) {
    this.base = base
  }

  get places(): KeystorePlaces {
    return new KeystorePlaces(join(this.base, 'primary'), join(this.base, 'backup'))
  }

  get paths(): [string, string] {
    return [join(this.base, 'primary/3.keystore'), join(this.base, 'backup/3.keystore')]
  }

  keys(places = this.places): GroupKeys {
    return new GroupKeys({
      group: 3,
      places,
      nowSeconds: () => this.nowSeconds,
      usedIds: () => new Set(),
      hasData: () => true,
      written: async sequence => {
        if (this.crashesBeforeCommit) throw new Error('crash')
        this.sequence = sequence
      },
      found: findings => this.findings.push(...findings),
      scrypt: SCRYPT,
    })
  }

  async loaded(places?: KeystorePlaces): Promise<GroupKeys> {
    const keys = this.keys(places)
    this.findings = []
    await keys.load(this.sequence)
    return keys
  }
}

interface Teardown {
  teardown(done: () => Promise<void>): void
}

async function newWorld(test: Teardown): Promise<World> {
  const base = await mkdtemp(join(tmpdir(), 'coffer-keys-'))
  test.teardown(() => rm(base, { recursive: true, force: true }))
  const world = new World(base)
  const keys = await world.loaded()
  await keys.setPassphrase(undefined, OLD, chunkKeyBytes())
  await keys.set({ isOn: true })
  return world
}

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
      t.match(world.findings, [{ path, what, isRepaired: true }])
      t.same(await readFile(path), whole, 'repaired')
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
    t.match(world.findings, [{ path, what: 'older', isRepaired: true }])
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
  await t.rejects(world.places.read(4, 0), { code: 'KEYSTORE_DAMAGED' })
})

t.test('a backup place that can not be written is no reason to stop, but is said', async t => {
  const world = await newWorld(t)
  await rm(join(world.base, 'backup'), { recursive: true })
  await writeFile(join(world.base, 'backup'), 'a file where the directory was')
  const keys = await world.loaded()
  t.match(world.findings, [{ isRepaired: false }])
  await keys.unlock(OLD)
  world.findings = []
  await keys.rotate()
  t.match(world.findings, [{ what: 'unwritable', isRepaired: false }])
  await rm(join(world.base, 'backup'))
  await mkdir(join(world.base, 'backup'))
  t.equal(await opens(world, OLD), true)
})

/** Ends the write of a keystore after this many places. */
class CutOffPlaces extends KeystorePlaces {
  readonly #base: string
  readonly #after: number

  constructor(base: string, after: number) {
    super(join(base, 'primary'), join(base, 'backup'))
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
