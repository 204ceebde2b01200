// Keys as objects with a life. Their bytes lie in locked memory that only the addon reads, until they are wiped.

import { CofferError } from '../errors.ts'
import { loadAddon } from './addon.ts'

declare const secretBrand: unique symbol
/** A secret inside the addon. */
export interface SecretHandle {
  readonly [secretBrand]: true
}

interface SecretAddon {
  createSecret(bytes: Uint8Array): SecretHandle
  randomSecret(bytes: number): SecretHandle
  wipeSecret(secret: SecretHandle): void
  isSecretWiped(secret: SecretHandle): boolean
  secretsEqual(one: SecretHandle, other: SecretHandle): boolean
  sealSecrets(
    key: SecretHandle,
    nonce: Uint8Array,
    associated: Uint8Array,
    secrets: readonly (SecretHandle | number)[],
  ): Uint8Array
  openSecrets(
    key: SecretHandle,
    nonce: Uint8Array,
    associated: Uint8Array,
    sealed: Uint8Array,
    lengthsBytes: Uint32Array,
  ): (SecretHandle | null)[] | null
}

const addon = loadAddon() as SecretAddon

/**
 * A key, or something like it. It is in no core dump, and not swapped out where the limits allow that. Nobody can read
 * its bytes from JavaScript; whoever is done with it wipes it, and after that every use throws.
 */
export class Secret {
  readonly #handle: SecretHandle
  readonly lengthBytes: number

  private constructor(handle: SecretHandle, lengthBytes: number) {
    this.#handle = handle
    this.lengthBytes = lengthBytes
  }

  /** Fresh bytes from the kernel. @param lengthBytes 1 to 1 MiB */
  static random(lengthBytes: number): Secret {
    return new Secret(addon.randomSecret(lengthBytes), lengthBytes)
  }

  /**
   * Takes the bytes over: they are wiped where they came from.
   * @throws Error KEY_UNUSABLE when they are all zero, which is what wiped memory looks like
   */
  static take(bytes: Uint8Array): Secret {
    const lengthBytes = bytes.length
    return new Secret(addon.createSecret(bytes), lengthBytes)
  }

  /** For what the addon gives out. */
  static of(handle: SecretHandle, lengthBytes: number): Secret {
    return new Secret(handle, lengthBytes)
  }

  get isWiped(): boolean {
    return addon.isSecretWiped(this.#handle)
  }

  /** What the addon knows it by. @throws CofferError KEY_WIPED */
  get handle(): SecretHandle {
    if (this.isWiped) throw new CofferError('KEY_WIPED', 'The key has been wiped.')
    return this.#handle
  }

  /** In constant time. @throws CofferError KEY_WIPED */
  equals(other: Secret): boolean {
    return addon.secretsEqual(this.handle, other.handle)
  }

  /** The bytes are gone. Idempotent. */
  wipe(): void {
    addon.wipeSecret(this.#handle)
  }
}

/** What a sealed list has where a secret was wiped for good: so many zeros. */
export interface AbsentSecret {
  readonly lengthBytes: number
}

/**
 * AES-256-GCM over some secrets, one behind the other.
 * @param nonce 12 bytes, never used twice with the key
 * @returns the sealed bytes, then the tag of 16
 * @throws CofferError KEY_WIPED
 */
export function sealSecrets(
  key: Secret,
  nonce: Uint8Array,
  associated: Uint8Array,
  secrets: readonly (Secret | AbsentSecret)[],
): Uint8Array {
  const handles = secrets.map(each => (each instanceof Secret ? each.handle : each.lengthBytes))
  return addon.sealSecrets(key.handle, nonce, associated, handles)
}

/**
 * @param sealed as sealSecrets returns it
 * @returns the secrets, undefined where there are only zeros; undefined for all when the tag doesn't match
 */
export function openSecrets(
  key: Secret,
  nonce: Uint8Array,
  associated: Uint8Array,
  sealed: Uint8Array,
  lengthsBytes: readonly number[],
): (Secret | undefined)[] | undefined {
  const lengths = Uint32Array.from(lengthsBytes)
  const handles = addon.openSecrets(key.handle, nonce, associated, sealed, lengths)
  return handles?.map((handle, index) => {
    return handle === null ? undefined : Secret.of(handle, lengths[index] ?? 0)
  })
}
