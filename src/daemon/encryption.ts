// Encryption of the storage groups in operation: which groups are locked, what the data path seals with, rotation, and
// what is written down about keystores.

import type { SealingPolicy } from '../blocks/index.ts'
import {
  activeKey,
  freeKeyCount,
  CryptoError,
  GroupKeys,
  KeystorePlaces,
  needsReseal,
  rotationDueSeconds,
} from '../crypto/index.ts'
import type { EncryptionSettings, KeyringInfo } from '../crypto/index.ts'
import { EvidenceError } from '../deletion-proof.ts'
import { FilesystemError } from '../errors.ts'
import { reporterOf } from '../internal-errors.ts'
import { Secret } from '../native/secret.ts'
import { reportPlaces } from './keystore-alerts.ts'
import type { EncryptionOptions } from './encryption-options.ts'
import { chunkKeyBytes, type StorageGroup } from './storage-groups.ts'

/** Rotations left when the administrator hears of it: half a year at the shortest interval. */
const FREE_KEYS_LOW = 26

export class Encryption {
  readonly #options: EncryptionOptions
  readonly #places: KeystorePlaces
  readonly #keys = new Map<number, GroupKeys>()
  /** of groups whose secrets lie in the metadata, as they always were */
  readonly #clearChunkKeys = new Map<number, Secret>()
  /** being locked: nothing new is let in */
  readonly #closing = new Set<number>()

  constructor(options: EncryptionOptions) {
    this.#options = options
    this.#places = new KeystorePlaces({
      primary: options.primaryDirectory,
      backup: options.backupDirectory,
      store: options.store,
      formerStores: options.formerStores,
    })
  }

  /**
   * Looks at all keystores and changes nothing; groups that anything says to be encrypted are locked from here on. Secrets
   * are dropped only by a keystore that is open: the others can be forged.
   */
  async load(): Promise<void> {
    for (const group of this.#options.groups.list()) {
      const keys = this.#keysOf(group.id)
      await keys.load()
      this.#reportBroken(group, keys)
      this.#reportLock(group.id)
    }
  }

  isLocked(group: number): boolean {
    const keys = this.#keys.get(group)
    if (keys === undefined) return false
    return this.#closing.has(group) || (!keys.isOpen && keys.isEncrypted)
  }

  /** Whether the group's keys are in memory. */
  isOpen(group: number): boolean {
    return this.#keys.get(group)?.isOpen === true
  }

  lockedGroups(): StorageGroup[] {
    return this.#options.groups.list().filter(group => this.isLocked(group.id))
  }

  /** @throws FilesystemError ENOKEY, as fscrypt answers for a file whose key isn't there */
  checkAccess(group: number): void {
    if (this.isLocked(group)) {
      const { name } = this.#options.groups.byId(group)
      throw new FilesystemError('ENOKEY', `The storage group ${name} is locked.`)
    }
  }

  /** How the group's next regions are sealed. @throws FilesystemError ENOKEY */
  policyOf(id: number): SealingPolicy {
    const { compression } = this.#options.groups.byId(id)
    const keys = this.#keys.get(id)
    if (keys?.info?.isOn !== true) {
      this.checkAccess(id)
      return { group: id, compression, keyId: 0 }
    }
    if (!keys.isOpen) throw new FilesystemError('ENOKEY')
    const key = activeKey(keys.keyring)
    if (key?.secret === undefined) throw new Error('an encrypted group has no active key')
    return { group: id, compression, keyId: key.id, key: key.secret }
  }

  /** What cuts and names the group's chunks. @throws FilesystemError ENOKEY */
  chunkKeyOf(id: number): Secret {
    const group = this.#options.groups.byId(id)
    if (group.hasSecrets) {
      let key = this.#clearChunkKeys.get(id)
      if (key === undefined) {
        key = Secret.take(chunkKeyBytes(group))
        this.#clearChunkKeys.set(id, key)
      }
      return key
    }
    const keys = this.#keys.get(id)
    if (keys?.isOpen !== true) throw new FilesystemError('ENOKEY')
    return keys.keyring.chunkKey
  }

  /** @returns undefined for a key that the group doesn't have. @throws FilesystemError ENOKEY while the group is locked */
  lookupKey(id: number, keyId: number): Secret | undefined {
    const keys = this.#keys.get(id)
    if (keys?.isOpen !== true) {
      this.checkAccess(id)
      return undefined
    }
    return keys.keyring.keys.find(each => each.id === keyId)?.secret
  }

  /** Whether the cleaner is to seal again what lies under this key (0 = clear). */
  needsReseal(id: number, keyId: number): boolean {
    const info = this.#keys.get(id)?.info
    return info !== undefined && needsReseal(info, keyId)
  }

  info(id: number): KeyringInfo | undefined {
    return this.#keys.get(id)?.info
  }

  hasPassphrase(id: number): boolean {
    return this.#keys.get(id)?.hasPassphrase ?? false
  }

  /** @throws CryptoError */
  async setPassphrase(
    group: StorageGroup,
    current: Uint8Array | undefined,
    next: Uint8Array,
  ): Promise<void> {
    const keys = this.#keysOf(group.id)
    try {
      await keys.setPassphrase(current, next, chunkKeyBytes(group))
    } finally {
      this.#reportBroken(group, keys)
      this.#reportLock(group.id)
    }
  }

  /** Turns encryption on, changes mode or interval. @throws CryptoError */
  async set(group: StorageGroup, settings: EncryptionSettings): Promise<void> {
    const keys = this.#keysOf(group.id)
    if (!keys.hasPassphrase) {
      throw new CryptoError(
        'PASSPHRASE_REQUIRED',
        `Set a passphrase first: coffer storage-group set-passphrase ${group.name}`,
      )
    }
    await keys.set(settings)
  }

  /** Does something that encryption of the group mustn't be turned on beside: its first container is added, say. */
  beside<Result>(group: StorageGroup, work: () => Result): Promise<Result> {
    return this.#keysOf(group.id).beside(work)
  }

  /** @throws CryptoError WRONG_PASSPHRASE, TRY_LATER, NOT_ENCRYPTED, KEYSTORE_… */
  async unlock(group: StorageGroup, passphrase: Uint8Array): Promise<void> {
    const keys = this.#keysOf(group.id)
    try {
      await keys.unlock(passphrase)
    } finally {
      this.#reportBroken(group, keys)
    }
    if (keys.info?.isOn === true && this.#dropSecrets(group.id)) await this.#options.commit()
    this.#options.record('GROUP_UNLOCKED', `The storage group ${group.name} was unlocked.`)
    this.#options.alerts.clear('UNLOCK_FAILED', group.name)
    this.#reportLock(group.id)
    await this.#rotateIfDue(group)
  }

  /** Nothing of the group's data or keys stays in memory. @throws CryptoError NOT_ENCRYPTED */
  async lock(group: StorageGroup): Promise<void> {
    const keys = this.#keysOf(group.id)
    if (keys.info?.isOn !== true) {
      throw new CryptoError('NOT_ENCRYPTED', `Encryption is not on for ${group.name}.`)
    }
    if (!keys.isOpen || this.#closing.has(group.id)) return
    await this.#options.settle()
    this.#closing.add(group.id)
    try {
      // Once more: what came in between.
      await this.#options.settle()
      await this.#options.forget(group.id)
      // After a change of the keys that is under way: it would open the group again, with keys that are wiped.
      await keys.end()
    } finally {
      this.#closing.delete(group.id)
    }
    this.#reportLock(group.id)
  }

  /** A new content encryption key now. @throws CryptoError KEY_LIMIT, GROUP_LOCKED, NOT_ENCRYPTED */
  async rotate(group: StorageGroup): Promise<void> {
    const keys = this.#keysOf(group.id)
    if (!keys.hasPassphrase) {
      throw new CryptoError('NOT_ENCRYPTED', `Encryption is not on for ${group.name}.`)
    }
    try {
      await keys.rotate()
      this.#options.alerts.clear('KEY_LIMIT_REACHED', group.name)
      this.#reportFreeKeys(group, keys)
      this.#options.record('KEY_ROTATED', `The key of storage group ${group.name} was rotated.`)
    } catch (error) {
      if (error instanceof CryptoError && error.code === 'KEY_LIMIT') {
        this.#options.alerts.raise('KEY_LIMIT_REACHED', error.message, group.name)
      }
      throw error
    }
  }

  /**
   * Erases the keys that no block file has, neither by the records nor by the files' own headers.
   * @returns their ids
   * @throws EvidenceError
   */
  async retireUnusedKeys(id: number): Promise<number[]> {
    const keys = this.#keys.get(id)
    if (keys?.isOpen !== true || keys.info?.isOn !== true) return []
    // Chosen before the settling: these take no new appends, and those that began under them end in it. A key that a
    // rotation replaces meanwhile may be the key of a block file that is in no list yet.
    const candidates = keys.keyring.keys.filter(({ state }) => state === 'decrypt-only')
    if (candidates.length === 0) return []
    await this.#options.settle()
    const used = this.#options.usedKeyIds(id)
    const unused = candidates.filter(key => !used.has(key.id))
    if (unused.length === 0) return []
    // An erased key can't be brought back: the files themselves are asked too.
    for (const keyId of await this.#options.keyIdsOnDisk(id)) {
      if (used.has(keyId)) continue
      const { name } = this.#options.groups.byId(id)
      throw new EvidenceError(
        `key ${keyId} of storage group ${name} is not erased: a block file has it, and no record says so.`,
      )
    }
    const retired = await keys.retire(new Set(unused.map(key => key.id)))
    if (retired.length > 0 && keys.isOpen) {
      this.#reportFreeKeys(this.#options.groups.byId(id), keys)
    }
    return retired
  }

  /** Rotations that are due. Called regularly. */
  async tick(): Promise<void> {
    for (const group of this.#options.groups.list()) await this.#rotateIfDue(group)
  }

  async #rotateIfDue(group: StorageGroup): Promise<void> {
    const keys = this.#keys.get(group.id)
    const info = keys?.info
    const due = info && rotationDueSeconds(info)
    const code = 'KEY_ROTATION_OVERDUE'
    if (keys === undefined || due === undefined || due > this.#options.nowSeconds()) {
      this.#options.alerts.clear(code, group.name)
      return
    }
    if (!keys.isOpen) {
      const text = `The key of storage group ${group.name} is to be rotated, but the group is locked.`
      this.#options.alerts.raise(code, text, group.name)
      return
    }
    await this.rotate(group).catch((error: unknown) => {
      // The limit has its own alert; the active key stays in use.
      if (!(error instanceof CryptoError && error.code === 'KEY_LIMIT')) throw error
    })
    this.#options.alerts.clear(code, group.name)
  }

  /** The group has been deleted: the coming commit remembers that its keystores are to be erased. */
  groupDeleted(id: number): void {
    this.#options.erasures.add(id)
  }

  /**
   * Erases the keystores of groups whose deletion is durable; what fails is tried again by the next start. Keystores with
   * the id of a group that never was are moved aside: the metadata may have lost the group.
   */
  async eraseDeleted(): Promise<void> {
    const { erasures, alerts, groups } = this.#options
    const failures: string[] = []
    for (const id of erasures.ids) {
      // One record must not be enough: a group that is there keeps its keystores, whatever the other one says.
      if (groups.list().some(group => group.id === id)) {
        failures.push(`storage group ${id} is said to be deleted, and is there`)
        continue
      }
      await this.#keys.get(id)?.end()
      this.#keys.delete(id)
      await this.#places.eraseAll(id).then(
        () => erasures.done(id),
        (error: Error) => failures.push(error.message),
      )
    }
    const text = 'The keystore of a deleted storage group could not be erased:'
    if (failures.length === 0) alerts.clear('KEYSTORE_NOT_ERASED')
    else alerts.raise('KEYSTORE_NOT_ERASED', `${text} ${failures.join('; ')}.`)
    const moving = this.#places.moveStraysAside(groups.lastId)
    const moved = (await moving.catch(reporterOf('moving stray keystores aside'))) ?? []
    if (moved.length === 0) return
    const strays = `Keystores of storage groups that never were have been put aside: ${moved.join(', ')}.`
    alerts.raise('KEYSTORE_ASIDE', strays)
  }

  /** Wipes all keys; the data path has ended. */
  close(): void {
    for (const keys of this.#keys.values()) keys.lock()
    for (const key of this.#clearChunkKeys.values()) key.wipe()
  }

  #keysOf(id: number): GroupKeys {
    let keys = this.#keys.get(id)
    if (keys === undefined) {
      keys = new GroupKeys({
        group: id,
        places: this.#places,
        nowSeconds: this.#options.nowSeconds,
        usedIds: () => this.#options.usedKeyIds(id),
        hasData: () => this.#options.hasData(id),
        recordedSequence: () => this.#options.groups.byId(id).keystoreSequence,
        isKnownEncrypted: () => this.#isKnownEncrypted(id),
        written: async sequence => {
          this.#options.groups.setKeystoreSequence(id, sequence)
          // In the same commit: no crash leaves a group that is encrypted and doesn't know it.
          if (this.#keys.get(id)?.info?.isOn === true) this.#dropSecrets(id)
          await this.#options.commit()
        },
        found: findings => {
          const { alerts, groups } = this.#options
          reportPlaces(alerts, groups.byId(id).name, findings)
        },
      })
      this.#keys.set(id, keys)
    }
    return keys
  }

  /** What the metadata says, which whoever changes a keystore file doesn't change with it. */
  #isKnownEncrypted(id: number): boolean {
    const { groups, usedKeyIds } = this.#options
    return !groups.byId(id).hasSecrets || [...usedKeyIds(id)].some(keyId => keyId > 0)
  }

  /** @returns whether there is something to be committed */
  #dropSecrets(id: number): boolean {
    const { groups, secretsDropped } = this.#options
    if (!groups.byId(id).hasSecrets) return false
    groups.dropSecrets(id)
    this.#clearChunkKeys.get(id)?.wipe()
    this.#clearChunkKeys.delete(id)
    secretsDropped()
    return true
  }

  #reportBroken(group: StorageGroup, keys: GroupKeys): void {
    const reason = keys.broken?.message ?? keys.doubt
    if (reason === undefined) this.#options.alerts.clear('KEYSTORE_UNUSABLE', group.name)
    else {
      const text = `The storage group ${group.name} can't be opened. ${reason}`
      this.#options.alerts.raise('KEYSTORE_UNUSABLE', text, group.name)
    }
  }

  #reportFreeKeys({ id, name }: StorageGroup, keys: GroupKeys): void {
    const { alerts, usedKeyIds } = this.#options
    const count = freeKeyCount(keys.keyring, usedKeyIds(id))
    const text = `The storage group ${name} can rotate its key ${count} more times.`
    if (count <= FREE_KEYS_LOW) alerts.raise('KEY_LIMIT_NEAR', text, name)
    else alerts.clear('KEY_LIMIT_NEAR', name)
    if (count > 0) alerts.clear('KEY_LIMIT_REACHED', name)
  }

  #reportLock(id: number): void {
    const { alerts, groups } = this.#options
    const { name } = groups.byId(id)
    if (this.isLocked(id)) {
      const text = `The storage group ${name} is locked: its data can't be read or written.`
      alerts.raise('GROUP_LOCKED', text, name)
    } else alerts.clear('GROUP_LOCKED', name)
  }
}
