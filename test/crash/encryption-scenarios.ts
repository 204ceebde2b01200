// The changes of a group's keys that encryption.test.ts interrupts, with the state before and the one after.

import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { OpenStore } from '../helpers/open-store.ts'

export const OLD = Buffer.from('correct horse')
export const NEW = Buffer.from('battery staple')
export const GROUP = 'vault'

export interface Scenario {
  readonly name: string
  /** Runs on a group with data in clear. */
  prepare(store: OpenStore): Promise<void>
  /** Runs in another process, on the group as `prepare` left it, unlocked unless `startsLocked`. */
  change(store: OpenStore): Promise<void>
  readonly startsLocked?: boolean
  /** a keystore that is not proved may be put aside, which is an alert */
  readonly putsAside?: boolean
  /** as `describe` says it */
  readonly before: string
  readonly after: string
}

type Settings = Parameters<OpenStore['storage']['encryption']['set']>[1]

function set(store: OpenStore, settings: Settings): Promise<void> {
  const { encryption, groups } = store.storage
  return encryption.set(groups.named(GROUP), settings)
}

function setPassphrase(store: OpenStore, current?: Buffer, next = OLD): Promise<void> {
  const { encryption, groups } = store.storage
  return encryption.setPassphrase(groups.named(GROUP), current, next)
}

/** Encrypted, with data of two keys. */
async function encrypt(store: OpenStore): Promise<void> {
  await setPassphrase(store)
  await set(store, { isOn: true })
  await store.write('v/first', Buffer.alloc(90_000, 'under the first key'), true)
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'the first passphrase',
    prepare: async () => {},
    change: store => setPassphrase(store),
    before: 'no passphrase',
    after: 'old passphrase, off, internal, keys: none',
  },
  {
    name: 'another passphrase',
    prepare: encrypt,
    change: store => setPassphrase(store, OLD, NEW),
    putsAside: true,
    before: 'old passphrase, on, internal, keys: 1 active',
    after: 'new passphrase, on, internal, keys: 1 active',
  },
  {
    name: 'another passphrase of a locked group',
    prepare: encrypt,
    change: store => setPassphrase(store, OLD, NEW),
    putsAside: true,
    startsLocked: true,
    before: 'old passphrase, on, internal, keys: 1 active',
    after: 'new passphrase, on, internal, keys: 1 active',
  },
  {
    name: 'encryption on',
    prepare: store => setPassphrase(store),
    change: store => set(store, { isOn: true }),
    before: 'old passphrase, off, internal, keys: none',
    after: 'old passphrase, on, internal, keys: 1 active',
  },
  {
    name: 'rotation',
    prepare: encrypt,
    change: store => store.storage.encryption.rotate(store.storage.groups.named(GROUP)),
    before: 'old passphrase, on, internal, keys: 1 active',
    after: 'old passphrase, on, internal, keys: 1 decrypt-only 2 active',
  },
  {
    name: 'from internal to static mode',
    prepare: encrypt,
    change: store => set(store, { mode: 'static' }),
    before: 'old passphrase, on, internal, keys: 1 active',
    after: 'old passphrase, on, static, keys: 1 decrypt-only 2 active',
  },
  {
    name: 'from static to internal mode',
    prepare: async store => {
      await encrypt(store)
      await set(store, { mode: 'static' })
    },
    change: store => set(store, { mode: 'internal' }),
    before: 'old passphrase, on, static, keys: 1 decrypt-only 2 active',
    after: 'old passphrase, on, internal, keys: 1 decrypt-only 2 decrypt-only 3 active',
  },
  {
    name: 'unlock beside a forged copy',
    prepare: async store => {
      await encrypt(store)
      const [, backup] = await keystorePaths(store)
      const forged = await readFile(backup)
      forged.writeBigUInt64LE(99n, 16)
      const body = forged.subarray(0, -32)
      forged.set(createHash('sha256').update(body).digest(), body.length)
      await writeFile(backup, forged)
    },
    change: unlockAnew,
    startsLocked: true,
    putsAside: true,
    before: 'old passphrase, on, internal, keys: 1 active',
    after: 'old passphrase, on, internal, keys: 1 active',
  },
  {
    name: 'unlock beside an older copy',
    prepare: async store => {
      await encrypt(store)
      const [primary] = await keystorePaths(store)
      const older = await readFile(primary)
      await store.storage.encryption.rotate(store.storage.groups.named(GROUP))
      await writeFile(primary, older)
    },
    change: unlockAnew,
    startsLocked: true,
    before: 'old passphrase, on, internal, keys: 1 decrypt-only 2 active',
    after: 'old passphrase, on, internal, keys: 1 decrypt-only 2 active',
  },
]

async function keystorePaths(store: OpenStore): Promise<[primary: string, backup: string]> {
  const { id } = store.storage.groups.named(GROUP)
  const backups = join(store.directory, 'keystore-backup')
  const folder = (await readdir(backups)).find(name => name !== 'stores') ?? ''
  const name = `${id}.keystore`
  return [join(store.directory, 'store', 'keystores', name), join(backups, folder, name)]
}

async function unlockAnew(store: OpenStore): Promise<void> {
  const { encryption, groups } = store.storage
  const group = groups.named(GROUP)
  if (!encryption.isLocked(group.id)) await encryption.lock(group)
  await encryption.unlock(group, OLD)
}

/** Tries both passphrases on a store that has just been opened; one that works leaves the group unlocked. */
export async function describe(store: OpenStore): Promise<string> {
  const { encryption, groups } = store.storage
  const group = groups.named(GROUP)
  if (!encryption.hasPassphrase(group.id)) return 'no passphrase'
  const works: string[] = []
  for (const [name, passphrase] of Object.entries({ old: OLD, new: NEW })) {
    try {
      await encryption.unlock(group, passphrase)
      works.push(name)
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      // The second: a copy of an earlier passphrase is still there, and doesn't count.
      if (code !== 'WRONG_PASSPHRASE' && code !== 'KEYSTORE_ROLLED_BACK') throw error
    }
  }
  const info = encryption.info(group.id)
  if (info === undefined) return 'no keystore that can be used'
  const keys = info.keys.map(({ id, state }) => `${id} ${state}`).join(' ')
  const state = `${works.join(' and ')} passphrase, ${info.isOn ? 'on' : 'off'}, ${info.mode}`
  return `${state}, keys: ${keys === '' ? 'none' : keys}`
}
