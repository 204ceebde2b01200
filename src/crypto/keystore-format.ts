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
  SCRYPT_MEMORY_BYTES_MAX,
  SCRYPT_PARALLELISM_MAX,
  type ScryptParameters,
} from './passphrase.ts'
import { bufferOf } from '../buffer-of.ts'

const MAGIC = Buffer.from('COFRKEYS')
/** Version 1 is bound to no store and knows no predecessors; it is read, never written. */
const VERSION = 2
export const SALT_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const CHECKSUM_BYTES = 32
export const STORE_ID_BYTES = 16
const DIGEST_BYTES = 32
/** Digests of earlier files that a keystore carries. */
export const PREDECESSORS_MAX = 8
//  0 8 magic  8 2 version  10 2 group  12 4 file bytes  16 8 sequence  24 1 flags  25 1 mode  26 2 keys
// 28 4 interval  32 4 epoch  36 1 log cost  37 1 block size  38 2 parallelism  40 32 salt  72 12 nonce
// 84 1 predecessors  85 3 zero  88 8 encrypted since  96 16 store          (version 1: 84 12 zero, and no more)
// 112 24 … keys, 32 … predecessors, the latest first
const HEAD_BYTES = 112
const HEAD_BYTES_V1 = 96
//  0 2 id  2 1 state  3 1 zero  4 4 epoch  8 8 created  16 8 retired
const ENTRY_BYTES = 24
//  0 32 fingerprint key  32 8 cut constants  40 … keys
const BODY_HEAD_BYTES = CHUNK_KEY_BYTES
export const KEYSTORE_BYTES_MAX =
  HEAD_BYTES +
  KEY_ID_MAX * (ENTRY_BYTES + KEY_BYTES) +
  PREDECESSORS_MAX * DIGEST_BYTES +
  BODY_HEAD_BYTES +
  TAG_BYTES +
  CHECKSUM_BYTES

const FLAG_ON = 1
const STATES: readonly KeyState[] = ['active', 'decrypt-only', 'retired']

export interface KeystoreIdentity {
  /** identity of the store in hexadecimal digits */
  readonly store: string
  readonly group: number
  /** grows by one with every change, so that an older copy is known as such */
  readonly sequence: number
  /** when encryption was turned on, in seconds since 1970; 0 while it is off */
  readonly sinceSeconds: number
  /** SHA-256 of the files that this one follows, in hexadecimal digits, the latest first */
  readonly predecessors: readonly string[]
  readonly scrypt: ScryptParameters
  readonly salt: Uint8Array
}

/**
 * A keystore whose bytes are whole. Anybody can make such bytes: nothing in here is proved before `openKeystore` has opened
 * them.
 */
export interface KeystoreHead extends KeyringInfo, Omit<KeystoreIdentity, 'store'> {
  /** undefined in version 1, which is bound to no store */
  readonly store: string | undefined
  readonly version: number
  /** the whole file */
  readonly bytes: Uint8Array
  /** SHA-256 of the file in hexadecimal digits */
  readonly digest: string
}

export function packKeystore(
  identity: KeystoreIdentity,
  keyring: Keyring,
  wrappingKey: Secret,
): Buffer {
  const { keys } = keyring
  const predecessorsAt = HEAD_BYTES + keys.length * ENTRY_BYTES
  const bodyAt = predecessorsAt + identity.predecessors.length * DIGEST_BYTES
  const bodyBytes = BODY_HEAD_BYTES + keys.length * KEY_BYTES
  const file = Buffer.alloc(bodyAt + bodyBytes + TAG_BYTES + CHECKSUM_BYTES)
  packHead(file, identity, keyring)
  const nonce = randomBytes(NONCE_BYTES)
  file.set(nonce, 72)
  for (const [index, key] of keys.entries()) packEntry(file, HEAD_BYTES + index * ENTRY_BYTES, key)
  for (const [index, digest] of identity.predecessors.entries())
    file.write(digest, predecessorsAt + index * DIGEST_BYTES, 'hex')
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
  file[84] = identity.predecessors.length
  file.writeBigInt64LE(BigInt(identity.sinceSeconds), 88)
  file.write(identity.store, 96, 'hex')
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
    file.length >= HEAD_BYTES_V1 + BODY_HEAD_BYTES + TAG_BYTES + CHECKSUM_BYTES &&
    file.length <= KEYSTORE_BYTES_MAX &&
    file.subarray(0, 8).equals(MAGIC) &&
    file.subarray(-CHECKSUM_BYTES).equals(checksumOf(file))
  if (!isWhole) throw damaged('its bytes are not a whole keystore')
  const version = file.readUInt16LE(8)
  if (version !== 1 && version !== VERSION) throw damaged('it is of an unknown version')
  const count = file.readUInt16LE(26)
  const predecessorCount = version === 1 ? 0 : (file[84] ?? 0)
  const bodyAt = bodyOffset({ version, keyCount: count, predecessorCount })
  const bytesExpected = bodyAt + BODY_HEAD_BYTES + count * KEY_BYTES + TAG_BYTES + CHECKSUM_BYTES
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
    predecessorCount <= PREDECESSORS_MAX &&
    file.subarray(version === 1 ? 84 : 85, version === 1 ? HEAD_BYTES_V1 : 88).every(isZero)
  if (!isSane) throw damaged('a field is out of its range')
  return {
    version,
    store: version === 1 ? undefined : file.toString('hex', 96, 96 + STORE_ID_BYTES),
    sinceSeconds: version === 1 ? 0 : safeNumber(file.readBigInt64LE(88)),
    predecessors: parseDigests(file.subarray(bodyAt - predecessorCount * DIGEST_BYTES, bodyAt)),
    group: file.readUInt16LE(10),
    sequence: safeNumber(file.readBigUInt64LE(16)),
    isOn: flags === FLAG_ON,
    mode: modeByte === 1 ? 'static' : 'internal',
    intervalDays,
    epoch: file.readUInt32LE(32),
    scrypt,
    salt: Uint8Array.prototype.slice.call(file, 40, 40 + SALT_BYTES),
    keys: parseEntries(file, headBytes(version), count),
    bytes,
    digest: digestOf(bytes),
  }
}

function isZero(byte: number): boolean {
  return byte === 0
}

function headBytes(version: number): number {
  return version === 1 ? HEAD_BYTES_V1 : HEAD_BYTES
}

/** Where the sealed part begins. */
function bodyOffset(file: {
  readonly version: number
  readonly keyCount: number
  readonly predecessorCount: number
}): number {
  const { version, keyCount, predecessorCount } = file
  return headBytes(version) + keyCount * ENTRY_BYTES + predecessorCount * DIGEST_BYTES
}

function parseDigests(bytes: Buffer): string[] {
  const digests: string[] = []
  for (let at = 0; at < bytes.length; at += DIGEST_BYTES) {
    digests.push(bytes.toString('hex', at, at + DIGEST_BYTES))
  }
  return digests
}

/** SHA-256 of a keystore file, as its successors carry it. */
export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function isScryptSane({ logCost, blockSize, parallelism }: ScryptParameters): boolean {
  return (
    logCost >= 1 &&
    logCost <= SCRYPT_LOG_COST_MAX &&
    blockSize >= 1 &&
    blockSize <= SCRYPT_BLOCK_SIZE_MAX &&
    parallelism >= 1 &&
    parallelism <= SCRYPT_PARALLELISM_MAX &&
    // What scrypt itself demands, and a bound of what a forged file may cost.
    logCost < 16 * blockSize &&
    128 * 2 ** logCost * blockSize <= SCRYPT_MEMORY_BYTES_MAX
  )
}

function parseEntries(file: Buffer, entriesAt: number, count: number): KeyInfo[] {
  const keys: KeyInfo[] = []
  const ids = new Set<number>()
  for (let index = 0; index < count; index++) {
    const at = entriesAt + index * ENTRY_BYTES
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
  const bodyAt = bodyOffset({
    version: head.version,
    keyCount: head.keys.length,
    predecessorCount: head.predecessors.length,
  })
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
