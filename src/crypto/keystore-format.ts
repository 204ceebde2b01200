// The bytes of a keystore file; docs/format.md has the table. The head is readable without the passphrase (a locked
// group shows its settings), the body isn't, and the body's tag covers the head.

import { createHash, randomBytes } from 'node:crypto'
import { CHUNK_KEY_BYTES } from '../native/data-path.ts'
import { openSecrets, sealSecrets, type Secret } from '../native/secret.ts'
import { CryptoError } from './errors.ts'
import {
  INTERVAL_DAYS_MAX,
  INTERVAL_DAYS_MIN,
  KEY_BYTES,
  KEY_ID_MAX,
  type KeyInfo,
  type Keyring,
  type KeyringInfo,
  type KeyState,
} from './keyring.ts'
import {
  SCRYPT_BLOCK_SIZE_MAX,
  SCRYPT_LOG_COST_MAX,
  SCRYPT_PARALLELISM_MAX,
  type ScryptParameters,
} from './passphrase.ts'
import { bufferOf } from '../buffer-of.ts'

const MAGIC = Buffer.from('COFRKEYS')
const VERSION = 1
export const SALT_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const CHECKSUM_BYTES = 32
//  0 8 magic  8 2 version  10 2 group  12 4 file bytes  16 8 sequence  24 1 flags  25 1 mode  26 2 keys
// 28 4 interval  32 4 epoch  36 1 log cost  37 1 block size  38 2 parallelism  40 32 salt  72 12 nonce  84 12 zero
const HEAD_BYTES = 96
//  0 2 id  2 1 state  3 1 zero  4 4 epoch  8 8 created  16 8 retired
const ENTRY_BYTES = 24
//  0 32 fingerprint key  32 8 cut constants  40 … keys
const BODY_HEAD_BYTES = CHUNK_KEY_BYTES
export const KEYSTORE_BYTES_MAX =
  HEAD_BYTES + KEY_ID_MAX * (ENTRY_BYTES + KEY_BYTES) + BODY_HEAD_BYTES + TAG_BYTES + CHECKSUM_BYTES

const FLAG_ON = 1
const STATES: readonly KeyState[] = ['active', 'decrypt-only', 'retired']

/** A keystore whose bytes are whole; what is sealed in it isn't opened yet. */
export interface KeystoreHead extends KeyringInfo {
  readonly group: number
  /** grows by one with every change, so that an older copy is known as such */
  readonly sequence: number
  readonly scrypt: ScryptParameters
  readonly salt: Uint8Array
  /** the whole file */
  readonly bytes: Uint8Array
}

export interface KeystoreIdentity {
  readonly group: number
  readonly sequence: number
  readonly scrypt: ScryptParameters
  readonly salt: Uint8Array
}

export function packKeystore(
  identity: KeystoreIdentity,
  keyring: Keyring,
  wrappingKey: Secret,
): Buffer {
  const { keys } = keyring
  const bodyAt = HEAD_BYTES + keys.length * ENTRY_BYTES
  const bodyBytes = BODY_HEAD_BYTES + keys.length * KEY_BYTES
  const file = Buffer.alloc(bodyAt + bodyBytes + TAG_BYTES + CHECKSUM_BYTES)
  packHead(file, identity, keyring)
  const nonce = randomBytes(NONCE_BYTES)
  file.set(nonce, 72)
  for (const [index, key] of keys.entries()) packEntry(file, HEAD_BYTES + index * ENTRY_BYTES, key)
  const sealed = sealSecrets(wrappingKey, nonce, file.subarray(0, bodyAt), [
    keyring.chunkKey,
    ...keys.map(({ secret }) => secret ?? { lengthBytes: KEY_BYTES }),
  ])
  file.set(sealed, bodyAt)
  file.set(checksumOf(file), file.length - CHECKSUM_BYTES)
  return file
}

function packHead(file: Buffer, identity: KeystoreIdentity, keyring: KeyringInfo): void {
  file.set(MAGIC, 0)
  file.writeUInt16LE(VERSION, 8)
  file.writeUInt16LE(identity.group, 10)
  file.writeUInt32LE(file.length, 12)
  file.writeBigUInt64LE(BigInt(identity.sequence), 16)
  file[24] = keyring.isOn ? FLAG_ON : 0
  file[25] = keyring.mode === 'static' ? 1 : 0
  file.writeUInt16LE(keyring.keys.length, 26)
  file.writeUInt32LE(keyring.intervalDays, 28)
  file.writeUInt32LE(keyring.epoch, 32)
  file[36] = identity.scrypt.logCost
  file[37] = identity.scrypt.blockSize
  file.writeUInt16LE(identity.scrypt.parallelism, 38)
  file.set(identity.salt, 40)
}

function packEntry(file: Buffer, at: number, key: KeyInfo): void {
  file.writeUInt16LE(key.id, at)
  file[at + 2] = STATES.indexOf(key.state)
  file.writeUInt32LE(key.epoch, at + 4)
  file.writeBigInt64LE(BigInt(key.createdSeconds), at + 8)
  file.writeBigInt64LE(BigInt(key.retiredSeconds), at + 16)
}

/** @throws CryptoError KEYSTORE_DAMAGED, also for an unknown version or flag */
export function parseKeystore(bytes: Uint8Array): KeystoreHead {
  const file = bufferOf(bytes)
  const isWhole =
    file.length >= HEAD_BYTES + BODY_HEAD_BYTES + TAG_BYTES + CHECKSUM_BYTES &&
    file.length <= KEYSTORE_BYTES_MAX &&
    file.subarray(0, 8).equals(MAGIC) &&
    file.subarray(-CHECKSUM_BYTES).equals(checksumOf(file))
  if (!isWhole) throw damaged('its bytes are not a whole keystore')
  if (file.readUInt16LE(8) !== VERSION) throw damaged('it is of an unknown version')
  const count = file.readUInt16LE(26)
  const bytesExpected =
    HEAD_BYTES + count * (ENTRY_BYTES + KEY_BYTES) + BODY_HEAD_BYTES + TAG_BYTES + CHECKSUM_BYTES
  const flags = file[24] ?? 0
  const modeByte = file[25] ?? 0
  const scrypt = {
    logCost: file[36] ?? 0,
    blockSize: file[37] ?? 0,
    parallelism: file.readUInt16LE(38),
  }
  const intervalDays = file.readUInt32LE(28)
  const isSane =
    file.length === bytesExpected &&
    file.readUInt32LE(12) === file.length &&
    flags <= FLAG_ON &&
    modeByte <= 1 &&
    intervalDays >= INTERVAL_DAYS_MIN &&
    intervalDays <= INTERVAL_DAYS_MAX &&
    isScryptSane(scrypt) &&
    file.subarray(84, HEAD_BYTES).every(byte => byte === 0)
  if (!isSane) throw damaged('a field is out of its range')
  return {
    group: file.readUInt16LE(10),
    sequence: safeNumber(file.readBigUInt64LE(16)),
    isOn: flags === FLAG_ON,
    mode: modeByte === 1 ? 'static' : 'internal',
    intervalDays,
    epoch: file.readUInt32LE(32),
    scrypt,
    salt: Uint8Array.prototype.slice.call(file, 40, 40 + SALT_BYTES),
    keys: parseEntries(file, count),
    bytes,
  }
}

function isScryptSane({ logCost, blockSize, parallelism }: ScryptParameters): boolean {
  return (
    logCost >= 1 &&
    logCost <= SCRYPT_LOG_COST_MAX &&
    blockSize >= 1 &&
    blockSize <= SCRYPT_BLOCK_SIZE_MAX &&
    parallelism >= 1 &&
    parallelism <= SCRYPT_PARALLELISM_MAX
  )
}

function parseEntries(file: Buffer, count: number): KeyInfo[] {
  const keys: KeyInfo[] = []
  const ids = new Set<number>()
  for (let index = 0; index < count; index++) {
    const at = HEAD_BYTES + index * ENTRY_BYTES
    const id = file.readUInt16LE(at)
    const state = STATES[file[at + 2] ?? STATES.length]
    if (id < 1 || id > KEY_ID_MAX || ids.has(id) || state === undefined || file[at + 3] !== 0) {
      throw damaged('a key entry is out of its range')
    }
    ids.add(id)
    keys.push({
      id,
      state,
      epoch: file.readUInt32LE(at + 4),
      createdSeconds: safeNumber(file.readBigInt64LE(at + 8)),
      retiredSeconds: safeNumber(file.readBigInt64LE(at + 16)),
    })
  }
  if (keys.filter(key => key.state === 'active').length > 1) throw damaged('it has two active keys')
  return keys
}

/**
 * Opens the body. undefined: the key is wrong, or somebody changed the file on purpose.
 * @throws CryptoError KEYSTORE_DAMAGED
 */
export function openKeystore(head: KeystoreHead, wrappingKey: Secret): Keyring | undefined {
  const file = Buffer.from(head.bytes)
  const bodyAt = HEAD_BYTES + head.keys.length * ENTRY_BYTES
  const bodyBytes = BODY_HEAD_BYTES + head.keys.length * KEY_BYTES
  const secrets = openSecrets(
    wrappingKey,
    file.subarray(72, 84),
    file.subarray(0, bodyAt),
    file.subarray(bodyAt, bodyAt + bodyBytes + TAG_BYTES),
    [CHUNK_KEY_BYTES, ...head.keys.map(() => KEY_BYTES)],
  )
  return secrets && keyringOf(head, secrets)
}

/** @throws CryptoError KEYSTORE_DAMAGED when a key that is needed consists of zeros */
function keyringOf(head: KeystoreHead, secrets: readonly (Secret | undefined)[]): Keyring {
  const [chunkKey, ...keySecrets] = secrets
  const keys = head.keys.map((info, index) => ({ ...info, secret: keySecrets[index] }))
  const isWhole = keys.every(
    ({ secret, state }) => (secret === undefined) === (state === 'retired'),
  )
  if (chunkKey === undefined || !isWhole) {
    for (const secret of secrets) secret?.wipe()
    throw damaged('a key in it has been wiped')
  }
  const { isOn, mode, intervalDays, epoch } = head
  return { isOn, mode, intervalDays, epoch, chunkKey, keys }
}

/** Finds accidents, so that damage isn't taken for a wrong passphrase. Against forgers there is the tag. */
function checksumOf(file: Buffer): Buffer {
  return createHash('sha256')
    .update(file.subarray(0, file.length - CHECKSUM_BYTES))
    .digest()
}

function safeNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < 0n) throw damaged('a number is too large')
  return Number(value)
}

function damaged(what: string): CryptoError {
  return new CryptoError('KEYSTORE_DAMAGED', `The keystore is damaged: ${what}.`)
}
