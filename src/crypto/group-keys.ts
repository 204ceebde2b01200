// The keys of one storage group: closed until the passphrase opens them, changed only together with both keystore
// copies. Knows no metadata and no block files; whoever owns it writes the sequence down and moves the data.

import { randomBytes } from 'node:crypto'
import { CHUNK_KEY_BYTES } from '../native/data-path.ts'
import { Secret } from '../native/secret.ts'
import { Attempts } from './attempts.ts'
import { CryptoError } from './errors.ts'
import {
  applySettings,
  INTERVAL_DAYS_DEFAULT,
  KEY_BYTES,
  retire,
  rotate,
  wipeKeyring,
  type EncryptionSettings,
  type Keyring,
  type KeyringInfo,
} from './keyring.ts'
import {
  openKeystore,
  packKeystore,
  parseKeystore,
  SALT_BYTES,
  type KeystoreHead,
} from './keystore-format.ts'
import type { KeystorePlaces, PlaceFinding } from './keystore-places.ts'
import { deriveWrappingKey, SCRYPT_DEFAULT, type ScryptParameters } from './passphrase.ts'

export interface GroupKeysOptions {
  readonly group: number
  readonly places: KeystorePlaces
  readonly nowSeconds: () => number
  /** ids that some block of the group has */
  readonly usedIds: () => ReadonlySet<number>
  /** whether the group has data, or a container that data can come into */
  readonly hasData: () => boolean
  /** a new keystore is in the primary place: remember its sequence durably */
  readonly written: (sequence: number) => Promise<void>
  /** a place that was wrong or can't be written */
  readonly found: (findings: readonly PlaceFinding[]) => void
  readonly scrypt?: ScryptParameters
}

interface OpenKeys {
  readonly keyring: Keyring
  readonly wrappingKey: Secret
  readonly salt: Uint8Array
  readonly scrypt: ScryptParameters
}

export class GroupKeys {
  readonly #options: GroupKeysOptions
  readonly #attempts = new Attempts()
  #head: KeystoreHead | undefined
  #open: OpenKeys | undefined
  #broken: CryptoError | undefined
  /** one change after the other */
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: GroupKeysOptions) {
    this.#options = options
  }

  /** Reads what is there, without opening it. What can't be trusted is kept as the reason of later refusals. */
  async load(sequenceMin: number): Promise<void> {
    const { group, places, found } = this.#options
    try {
      const keystore = await places.read(group, sequenceMin)
      if (keystore === undefined && sequenceMin > 0) {
        throw new CryptoError(
          'KEYSTORE_MISSING',
          `The keystore is missing in both places (${places.pathsOf(group).join(', ')}). Put a copy back.`,
        )
      }
      this.#head = keystore?.head
      this.#broken = undefined
      found(keystore?.findings ?? [])
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error
      this.#broken = error
    }
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

  get info(): KeyringInfo | undefined {
    return this.#open?.keyring ?? this.#head
  }

  /** The opened keys. @throws CryptoError GROUP_LOCKED */
  get keyring(): Keyring {
    if (this.#open === undefined) {
      throw this.#broken ?? new CryptoError('GROUP_LOCKED', 'The storage group is locked.')
    }
    return this.#open.keyring
  }

  /**
   * Opens the keystore that counts now; another copy with another passphrase doesn't.
   * @throws CryptoError NOT_ENCRYPTED, WRONG_PASSPHRASE, TRY_LATER, KEYSTORE_DAMAGED and the like
   */
  unlock(passphrase: Uint8Array): Promise<void> {
    return this.#exclusive(async () => {
      if (this.#broken !== undefined) throw this.#broken
      const head = this.#head
      if (head === undefined) {
        throw new CryptoError('NOT_ENCRYPTED', 'The storage group has no passphrase.')
      }
      const opened = await this.#tryPassphrase(head, passphrase)
      if (this.#open === undefined) this.#open = opened
      else forget(opened)
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
      if (this.#broken !== undefined) throw this.#broken
      const scrypt = this.#options.scrypt ?? SCRYPT_DEFAULT
      const salt = new Uint8Array(randomBytes(SALT_BYTES))
      const head = this.#head
      if (head === undefined) {
        const wrappingKey = await deriveWrappingKey(next, salt, scrypt)
        const keyring = { ...NEW_KEYRING, chunkKey: Secret.take(chunkKeyBytes) }
        await this.#write({ keyring, wrappingKey, salt, scrypt })
        return
      }
      if (current === undefined) {
        throw new CryptoError('PASSPHRASE_REQUIRED', 'The current passphrase is needed.')
      }
      const opened = await this.#tryPassphrase(head, current)
      const wrappingKey = await deriveWrappingKey(next, salt, scrypt)
      const wasOpen = this.#open
      await this.#write({ keyring: wasOpen?.keyring ?? opened.keyring, wrappingKey, salt, scrypt })
      if (wasOpen === undefined) {
        opened.wrappingKey.wipe()
        this.lock()
      } else {
        wasOpen.wrappingKey.wipe()
        forget(opened)
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
      throw (
        this.#broken ??
        (this.hasPassphrase
          ? new CryptoError('GROUP_LOCKED', 'The storage group is locked.')
          : new CryptoError('PASSPHRASE_REQUIRED', 'The storage group has no passphrase yet.'))
      )
    }
    const before = opened.keyring
    const after = next(before)
    if (after === before) return
    await this.#write({ ...opened, keyring: after })
    wipeKeyring(before, after)
  }

  /** One scrypt whatever the passphrase is, then one authentication. */
  async #tryPassphrase(head: KeystoreHead, passphrase: Uint8Array): Promise<OpenKeys> {
    const waitSeconds = this.#attempts.waitSeconds(this.#options.nowSeconds())
    if (waitSeconds > 0) {
      throw new CryptoError(
        'TRY_LATER',
        `Too many wrong passphrases; try again in ${Math.ceil(waitSeconds)} s.`,
      )
    }
    const wrappingKey = await deriveWrappingKey(passphrase, head.salt, head.scrypt)
    const keyring = openKeystore(head, wrappingKey)
    if (keyring === undefined) {
      wrappingKey.wipe()
      this.#attempts.failed(this.#options.nowSeconds())
      throw new CryptoError('WRONG_PASSPHRASE', 'The passphrase is wrong.')
    }
    this.#attempts.succeeded()
    return { keyring, wrappingKey, salt: head.salt, scrypt: head.scrypt }
  }

  async #write(next: OpenKeys): Promise<void> {
    const { group, places, written, found } = this.#options
    const sequence = (this.#head?.sequence ?? 0) + 1
    const { salt, scrypt } = next
    const bytes = packKeystore({ group, sequence, scrypt, salt }, next.keyring, next.wrappingKey)
    const findings = await places.write(group, bytes)
    this.#head = parseKeystore(bytes)
    this.#open = next
    found(findings)
    await written(sequence)
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => undefined)
    return result
  }
}

const NEW_KEYRING: Omit<Keyring, 'chunkKey'> = {
  isOn: false,
  mode: 'internal',
  intervalDays: INTERVAL_DAYS_DEFAULT,
  epoch: 0,
  keys: [],
}

function forget(opened: OpenKeys): void {
  wipeKeyring(opened.keyring)
  opened.wrappingKey.wipe()
}
