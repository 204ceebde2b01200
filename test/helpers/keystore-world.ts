// The two places of one group's keystore in a directory of their own, with what a store remembers of them.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CHUNK_KEY_BYTES } from '../../src/native/data-path.ts'
import { GroupKeys, KeystorePlaces } from '../../src/crypto/index.ts'
import type { PlaceFinding, PlacesOptions } from '../../src/crypto/index.ts'

export const SCRYPT = { logCost: 4, blockSize: 8, parallelism: 1 }
/** Fresh bytes each time: whoever takes them wipes them. */
export function chunkKeyBytes(): Uint8Array {
  return new Uint8Array(CHUNK_KEY_BYTES).fill(0xa5)
}
export const OLD = Buffer.from('the old passphrase')
export const NEW = Buffer.from('das neue Paßwort')

export const STORE = '000102030405060708090a0b0c0d0e0f'

export function placesIn(base: string): PlacesOptions {
  return { primary: join(base, 'primary'), backup: join(base, 'backup'), store: STORE }
}

export class World {
  readonly base: string
  /** identity of the store */
  store = STORE
  formerStores: string[] = []
  /** what the store remembers */
  sequence = 0
  isKnownEncrypted = false
  /** ids of keys that some block file has */
  usedIds: ReadonlySet<number> = new Set()
  nowSeconds = 1_000_000
  findings: PlaceFinding[] = []
  /** throws in `written`, as a crash before the commit */
  crashesBeforeCommit = false

  constructor(base: string) {
    this.base = base
  }

  get places(): KeystorePlaces {
    const { store, formerStores } = this
    return new KeystorePlaces({ ...placesIn(this.base), store, formerStores })
  }

  get paths(): [string, string] {
    return [join(this.base, 'primary/3.keystore'), join(this.base, 'backup/3.keystore')]
  }

  keys(places = this.places): GroupKeys {
    return new GroupKeys({
      group: 3,
      places,
      nowSeconds: () => this.nowSeconds,
      usedIds: () => this.usedIds,
      hasData: () => true,
      recordedSequence: () => this.sequence,
      isKnownEncrypted: () => this.isKnownEncrypted,
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
    await keys.load()
    return keys
  }
}

interface Teardown {
  teardown(done: () => Promise<void>): void
}

export async function emptyWorld(test: Teardown): Promise<World> {
  const base = await mkdtemp(join(tmpdir(), 'coffer-keys-'))
  test.teardown(() => rm(base, { recursive: true, force: true }))
  return new World(base)
}

/** A group that is encrypted, with one key. */
export async function newWorld(test: Teardown): Promise<World> {
  const world = await emptyWorld(test)
  const keys = await world.loaded()
  await keys.setPassphrase(undefined, OLD, chunkKeyBytes())
  await keys.set({ isOn: true })
  return world
}
