// The keys of one storage group: closed until the passphrase opens them, changed only together with both keystore
// copies. Knows no metadata and no block files; whoever owns it writes the sequence down and moves the data. Before an
// unlock nothing in a keystore is proved: it can lock the group, and it decides nothing else.

import { randomBytes } from 'node:crypto'
import { CHUNK_KEY_BYTES } from '../native/data-path.ts'
import { Secret } from '../native/secret.ts'
import { Attempts } from './attempts.ts'
import { CryptoError } from './errors.ts'
import {
  applySettings,
  KEY_BYTES,
  retire,
  rotate,
  wipeKeyring,
  type EncryptionSettings,
  type Keyring,
  type KeyringInfo,
} from './keyring.ts'
import {
  digestOf,
  packKeystore,
  parseKeystore,
  PREDECESSORS_MAX,
  SALT_BYTES,
  type KeystoreHead,
} from './keystore-format.ts'
import type { GroupKeysOptions } from './contract.ts'
import type { KeystoreCopy } from './keystore-places.ts'
import {
  chooseKeystore,
  forgetProved,
  proveKeystores,
  supersededBy,
  type ProvedKeystore,
} from './keystore-proof.ts'
import {
  findDisagreements,
  findTrouble,
  ownHeads,
  rolledBack,
  saysEncrypted,
  sinceSeconds,
} from './keystore-view.ts'
import { forget, NEW_KEYRING, type OpenKeys } from './open-keys.ts'
import { checkPassphrase, deriveWrappingKey, SCRYPT_DEFAULT } from './passphrase.ts'

export class GroupKeys {
  readonly #options: GroupKeysOptions
  readonly #attempts = new Attempts()
  /** before an unlock, the copy with the greatest sequence: for show */
  #head: KeystoreHead | undefined
  #copies: readonly KeystoreCopy[] = []
  #isSaidEncrypted = false
  /** files that a change may erase: the passphrase or the keystore itself proved them to be older */
  #superseded = new Set<string>()
  #open: OpenKeys | undefined
  #broken: CryptoError | undefined
  /** one change after the other */
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: GroupKeysOptions) {
    this.#options = options
  }

  /** Looks at what is there, opens nothing and writes nothing. Not for a group that is open. */
  async load(): Promise<void> {
    const { group, places, found, recordedSequence, isKnownEncrypted } = this.#options
    const copies = await places.read(group)
    const isKnown = isKnownEncrypted()
    const heads = ownHeads(copies)
    this.#copies = copies
    this.#superseded = new Set()
    this.#isSaidEncrypted = isKnown || heads.some(saysEncrypted)
    this.#head = heads.toSorted((a, b) => b.sequence - a.sequence)[0]
    this.#broken = findTrouble(copies, recordedSequence(), isKnown)
    found(findDisagreements(copies))
  }

  /** Why the keystore can't be used at all. */
  get broken(): CryptoError | undefined {
    return this.#broken
  }

  get hasPassphrase(): boolean {
    return this.#head !== undefined || this.#broken !== undefined
  }

  get isOpen(): boolean {
    return this.#open !== undefined
  }

  /** Whether anything says that the group is or was encrypted; only a keystore that is open can say that it isn't. */
  get isEncrypted(): boolean {
    return this.#open?.keyring.isOn ?? this.#isSaidEncrypted
  }

  /** The settings of the open keystore. Before an unlock only `isOn` may be relied on: it is never off by mistake. */
  get info(): KeyringInfo | undefined {
    if (this.#open !== undefined) return this.#open.keyring
    const head = this.#head
    if (head === undefined || head.isOn === this.#isSaidEncrypted) return head
    return { ...head, isOn: this.#isSaidEncrypted }
  }

  /** Why the group stays locked although its keystore is whole; undefined when it has no such reason. */
  get doubt(): string | undefined {
    if (this.#open !== undefined || !this.#isSaidEncrypted) return undefined
    if (this.#broken !== undefined || ownHeads(this.#copies).some(saysEncrypted)) return undefined
    if (this.#head?.isOn !== false) return undefined
    return (
      'Its keystore says that encryption is off, but the group has been encrypted. ' +
      'Put a good copy back into one of the places.'
    )
  }

  /** The opened keys. @throws CryptoError GROUP_LOCKED */
  get keyring(): Keyring {
    if (this.#open === undefined) throw this.#broken ?? locked()
    return this.#open.keyring
  }

  /**
   * Opens the latest keystore that the passphrase proves, and has both places hold it.
   * @throws CryptoError NOT_ENCRYPTED, WRONG_PASSPHRASE, TRY_LATER, KEYSTORE_DAMAGED and the like
   */
  unlock(passphrase: Uint8Array): Promise<void> {
    return this.#exclusive(async () => {
      const opened = await this.#prove(passphrase)
      if (this.#open !== undefined) {
        forget(opened)
        return
      }
      await this.#settle(opened)
    })
  }

  /**
   * The first passphrase, or another one: wraps the keys anew and touches no data.
   * @param current needed once there is one
   * @param chunkKeyBytes what the group's data was cut and named with so far, for the first keystore; wiped when it is taken
   * @throws CryptoError PASSPHRASE_REQUIRED, WRONG_PASSPHRASE, TRY_LATER, PASSPHRASE_LENGTH
   */
  setPassphrase(
    current: Uint8Array | undefined,
    next: Uint8Array,
    chunkKeyBytes: Uint8Array,
  ): Promise<void> {
    return this.#exclusive(async () => {
      if (this.#open === undefined) await this.load()
      if (this.#broken !== undefined) throw this.#broken
      const scrypt = this.#options.scrypt ?? SCRYPT_DEFAULT
      const salt = new Uint8Array(randomBytes(SALT_BYTES))
      const head = this.#head
      if (head === undefined) {
        const wrappingKey = await deriveWrappingKey(next, salt, scrypt)
        const keyring = { ...NEW_KEYRING, chunkKey: Secret.take(chunkKeyBytes) }
        await this.#write({ keyring, wrappingKey, salt, scrypt }, 'opens')
        return
      }
      if (current === undefined) {
        throw new CryptoError('PASSPHRASE_REQUIRED', 'The current passphrase is needed.')
      }
      checkPassphrase(next)
      const opened = await this.#prove(current)
      const wrappingKey = await deriveWrappingKey(next, salt, scrypt)
      const wasOpen = this.#open
      const keyring = wasOpen?.keyring ?? opened.keyring
      try {
        await this.#write(
          { keyring, wrappingKey, salt, scrypt },
          wasOpen === undefined ? 'stays closed' : 'opens',
        )
      } finally {
        forget(opened)
        const replaced =
          this.#open?.wrappingKey === wrappingKey ? wasOpen?.wrappingKey : wrappingKey
        replaced?.wipe()
      }
    })
  }

  /** @throws CryptoError as applySettings, GROUP_LOCKED, PASSPHRASE_REQUIRED */
  set(settings: EncryptionSettings): Promise<void> {
    return this.#exclusive(() =>
      this.#change(keyring => applySettings(keyring, settings, this.#changeContext())),
    )
  }

  /** @throws CryptoError KEY_LIMIT, GROUP_LOCKED, NOT_ENCRYPTED */
  rotate(): Promise<void> {
    return this.#exclusive(() =>
      this.#change(keyring => {
        if (!keyring.isOn) throw new CryptoError('NOT_ENCRYPTED', 'Encryption is not on.')
        return rotate(keyring, this.#changeContext())
      }),
    )
  }

  /**
   * Erases keys that no block uses and no append under way can use any more.
   * @param ids decided before what was in flight settled: a key that was active until then may be in use again
   * @returns the ids of those that were not retired yet
   */
  async retire(ids: ReadonlySet<number>): Promise<number[]> {
    let retired: number[] = []
    await this.#exclusive(() =>
      this.#change(keyring => {
        const result = retire(keyring, ids, this.#options.nowSeconds())
        retired = result.retiredIds
        return result.keyring
      }),
    )
    return retired
  }

  /** Does something that no change of the keys may happen beside. */
  beside<Result>(work: () => Result): Promise<Result> {
    return this.#exclusive(async () => work())
  }

  /** The change that is under way has ended; the keys are wiped. */
  async end(): Promise<void> {
    await this.#exclusive(async () => this.lock())
  }

  /** Wipes everything that was opened. Idempotent. */
  lock(): void {
    const opened = this.#open
    this.#open = undefined
    if (opened !== undefined) forget(opened)
  }

  #changeContext() {
    return {
      nowSeconds: this.#options.nowSeconds(),
      newSecret: () => Secret.random(KEY_BYTES),
      newChunkKey: () => Secret.random(CHUNK_KEY_BYTES),
      usedIds: this.#options.usedIds(),
      hasData: this.#options.hasData(),
    }
  }

  async #change(next: (keyring: Keyring) => Keyring): Promise<void> {
    const opened = this.#open
    if (opened === undefined) {
      if (this.hasPassphrase) throw this.#broken ?? locked()
      throw new CryptoError('PASSPHRASE_REQUIRED', 'The storage group has no passphrase yet.')
    }
    const before = opened.keyring
    const after = next(before)
    if (after === before) return
    try {
      await this.#write({ ...opened, keyring: after }, 'opens')
    } finally {
      // Whichever of the two is not in use.
      if (this.#open?.keyring === after) wipeKeyring(before, after)
      else wipeKeyring(after, before)
    }
  }

  /**
   * Tries the passphrase on the copies as they are now; one scrypt for each salt, whatever the passphrase is.
   * @throws CryptoError as `unlock`
   */
  async #prove(passphrase: Uint8Array): Promise<OpenKeys> {
    if (this.#open === undefined) await this.load()
    if (this.#broken !== undefined) throw this.#broken
    const head = this.#head
    if (head === undefined) {
      throw new CryptoError('NOT_ENCRYPTED', 'The storage group has no passphrase.')
    }
    const nowSeconds = this.#options.nowSeconds()
    const waitSeconds = this.#attempts.waitSeconds(nowSeconds)
    if (waitSeconds > 0) {
      throw new CryptoError(
        'TRY_LATER',
        `Too many wrong passphrases; try again in ${Math.ceil(waitSeconds)} s.`,
      )
    }
    const heads = this.#open === undefined ? ownHeads(this.#copies) : [head]
    const proved = await proveKeystores(heads, passphrase)
    if (proved.length === 0) {
      this.#attempts.failed(nowSeconds)
      throw new CryptoError('WRONG_PASSPHRASE', 'The passphrase is wrong.')
    }
    this.#attempts.succeeded()
    const chosen = this.#choose(proved)
    if (this.#open === undefined) {
      this.#head = chosen.head
      this.#superseded = supersededBy(chosen, proved, this.#options.usedIds())
    }
    forgetProved(proved, chosen)
    const { salt, scrypt } = chosen.head
    return { keyring: chosen.keyring, wrappingKey: chosen.wrappingKey, salt, scrypt }
  }

  /** @throws CryptoError KEYSTORE_ROLLED_BACK when only keystores of an earlier time were opened */
  #choose(proved: readonly ProvedKeystore[]): ProvedKeystore {
    const sequence = this.#options.recordedSequence()
    const { places, usedIds } = this.#options
    const known = { sequenceMin: sequence, store: places.store, usedIds: usedIds() }
    // The unlock that opened a keystore has chosen it already.
    const chosen = this.#open === undefined ? chooseKeystore(proved, known) : proved[0]
    const isEarlier =
      this.#open === undefined && this.#options.isKnownEncrypted() && !chosen?.keyring.isOn
    if (chosen !== undefined && !isEarlier) return chosen
    forgetProved(proved)
    throw rolledBack(this.#copies, proved, sequence)
  }

  /** Writes the proved keystore to both places and opens the group. One of an earlier version or store is written anew. */
  async #settle(opened: OpenKeys): Promise<void> {
    const { group, places, written, found, recordedSequence } = this.#options
    const proved = this.#head
    if (proved === undefined) throw new Error('there is a keystore that was opened')
    const unerased = await places.eraseSuperseded(group)
    let head = proved
    if (proved.store !== places.store) {
      head = parseKeystore(this.#pack(opened))
      this.#superseded.add(proved.digest)
    }
    const findings = await places.settle(group, head.bytes, this.#superseded)
    const isWritten = head === proved || findings.some(({ isRepaired }) => isRepaired)
    this.#head = isWritten ? head : proved
    this.#superseded.add(head.digest)
    this.#open = opened
    this.#isSaidEncrypted = opened.keyring.isOn
    const shown = head === proved ? findings : findings.filter(({ what }) => what !== 'older')
    found([...unerased, ...shown])
    if (this.#head.sequence === recordedSequence()) return
    // A store that takes no more commits can still be read; the next unlock writes it down.
    await written(this.#head.sequence).catch(() => undefined)
  }

  #pack({ keyring, wrappingKey, salt, scrypt }: OpenKeys): Buffer {
    const { group, places, nowSeconds } = this.#options
    const head = this.#head
    const since = head?.isOn === true ? sinceSeconds(head, nowSeconds()) : nowSeconds()
    const predecessors = head === undefined ? [] : [head.digest, ...head.predecessors]
    const identity = {
      store: places.store,
      group,
      sequence: (head?.sequence ?? 0) + 1,
      sinceSeconds: keyring.isOn ? since : 0,
      predecessors: predecessors.slice(0, PREDECESSORS_MAX),
      salt,
      scrypt,
    }
    return packKeystore(identity, keyring, wrappingKey)
  }

  /** @param then a group whose keys are closed must not be open for a moment: whoever writes then would lose it */
  async #write(next: OpenKeys, then: 'opens' | 'stays closed'): Promise<void> {
    const { group, places, written, found } = this.#options
    const wasOpen = this.#open
    const bytes = this.#pack(next)
    const { digest, predecessors = [] } = this.#head ?? {}
    const known = new Set([...this.#superseded, ...predecessors])
    if (digest !== undefined) known.add(digest)
    this.#superseded.add(digestOf(bytes)) // also if the write ends in its middle
    const findings = await places.write(group, bytes, known)
    const head = parseKeystore(bytes)
    this.#head = head
    this.#superseded = new Set()
    this.#isSaidEncrypted = head.isOn
    // Who wiped the keys meanwhile, at the end of the daemon, wiped some of these.
    if (then === 'opens' && this.#open === wasOpen) this.#open = next
    found(findings)
    await written(head.sequence)
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => undefined)
    return result
  }
}

function locked(): CryptoError {
  return new CryptoError('GROUP_LOCKED', 'The storage group is locked.')
}
