// From a passphrase to the key that wraps a keystore.

import { isUtf8 } from 'node:buffer'
import { scrypt } from 'node:crypto'
import { Secret } from '../native/secret.ts'
import { CryptoError } from './errors.ts'

/** Bytes, not characters: the QoreStor guide's limit. */
export const PASSPHRASE_BYTES_MAX = 255
export const WRAPPING_KEY_BYTES = 32

/** Stored with each keystore, so that a later default doesn't lock out earlier ones. */
export interface ScryptParameters {
  /** memory and time: N = 2 ** logCost */
  readonly logCost: number
  readonly blockSize: number
  readonly parallelism: number
}

/** 128 MiB and some 0.4 s: OWASP's first choice for scrypt (N = 2^17, r = 8, p = 1). */
export const SCRYPT_DEFAULT: ScryptParameters = { logCost: 17, blockSize: 8, parallelism: 1 }
/** What a keystore may ask of us; a forged one must not make the daemon take all memory. */
export const SCRYPT_LOG_COST_MAX = 20
export const SCRYPT_BLOCK_SIZE_MAX = 16
export const SCRYPT_PARALLELISM_MAX = 4
/** Eight times that of the default. */
export const SCRYPT_MEMORY_BYTES_MAX = 2 ** 30
/** Beside the table of 128 * N * r bytes, OpenSSL counts some working memory. */
const SCRYPT_MEMORY_SLACK_BYTES = 1024 * 1024

/** @throws CryptoError PASSPHRASE_LENGTH, PASSPHRASE_ENCODING */
export function checkPassphrase(passphrase: Uint8Array): void {
  if (passphrase.length === 0 || passphrase.length > PASSPHRASE_BYTES_MAX) {
    throw new CryptoError(
      'PASSPHRASE_LENGTH',
      `A passphrase has 1 to ${PASSPHRASE_BYTES_MAX} bytes; this one has ${passphrase.length}.`,
    )
  }
  if (!isUtf8(passphrase)) {
    throw new CryptoError('PASSPHRASE_ENCODING', 'A passphrase must be valid UTF-8.')
  }
}

/** The wrapping key, off the main thread. @throws CryptoError as checkPassphrase */
export async function deriveWrappingKey(
  passphrase: Uint8Array,
  salt: Uint8Array,
  parameters: ScryptParameters,
): Promise<Secret> {
  checkPassphrase(passphrase)
  const cost = 2 ** parameters.logCost
  const { blockSize, parallelism } = parameters
  const memoryBytes = 128 * blockSize * (cost + parallelism) + SCRYPT_MEMORY_SLACK_BYTES
  const derived = await new Promise<Buffer>((resolve, reject) => {
    scrypt(
      passphrase,
      salt,
      WRAPPING_KEY_BYTES,
      { N: cost, r: blockSize, p: parallelism, maxmem: memoryBytes },
      (error, key) => {
        if (error === null) resolve(key)
        else reject(error)
      },
    )
  })
  return Secret.take(derived)
}
