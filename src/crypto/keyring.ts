// The life of a group's content encryption keys. Pure: every change makes a new keyring; time and randomness come in.
// Rules: the QoreStor guide (modes, intervals, 1023 keys) and docs/encryption.md where it is silent.

import type { Secret } from '../native/secret.ts'
import { CryptoError } from './errors.ts'

export const KEY_BYTES = 32
/** 10 bits of a block header; 0 means "not encrypted". */
export const KEY_ID_MAX = 1023
export const INTERVAL_DAYS_MIN = 7
/** 70 years */
export const INTERVAL_DAYS_MAX = 25_567
export const INTERVAL_DAYS_DEFAULT = 30
const DAY_SECONDS = 24 * 60 * 60

export type KeyMode = 'internal' | 'static'
/** `retired`: no block uses it and its material is gone. */
export type KeyState = 'active' | 'decrypt-only' | 'retired'

export interface KeyInfo {
  /** 1 to KEY_ID_MAX */
  readonly id: number
  readonly state: KeyState
  /** what was sealed in an earlier epoch is to be sealed again */
  readonly epoch: number
  readonly createdSeconds: number
  /** 0 while it isn't retired */
  readonly retiredSeconds: number
}

/** What may be known without the passphrase. */
export interface KeyringInfo {
  readonly isOn: boolean
  readonly mode: KeyMode
  readonly intervalDays: number
  /** counts changes of the mode */
  readonly epoch: number
  readonly keys: readonly KeyInfo[]
}

export interface ContentKey extends KeyInfo {
  /** undefined when it is retired: its material is gone */
  readonly secret: Secret | undefined
}

export interface Keyring extends KeyringInfo {
  /** what the group's data is cut and named with */
  readonly chunkKey: Secret
  readonly keys: readonly ContentKey[]
}

/** What a change of the keys needs from outside. */
export interface KeyChange {
  readonly nowSeconds: number
  /** makes a new key */
  readonly newSecret: () => Secret
  /** the same for what chunks are cut and named with */
  readonly newChunkKey: () => Secret
  /** whether anything was cut and named with the chunk key that there is, or may be at this moment */
  readonly hasData: boolean
  /** ids that some block of the group has in its header */
  readonly usedIds: ReadonlySet<number>
}

export interface EncryptionSettings {
  readonly isOn?: boolean
  readonly mode?: KeyMode
  readonly intervalDays?: number
}

export function activeKey(keyring: Keyring): ContentKey | undefined {
  return keyring.keys.find(key => key.state === 'active')
}

/**
 * The id of the next key: the smallest that was never used, then the one retired longest ago that no block uses.
 * undefined when there is none.
 */
export function nextKeyId(keyring: KeyringInfo, usedIds: ReadonlySet<number>): number | undefined {
  const known = new Set(keyring.keys.map(key => key.id))
  for (let id = 1; id <= KEY_ID_MAX; id++) if (!known.has(id) && !usedIds.has(id)) return id
  const retired = keyring.keys.filter(key => key.state === 'retired' && !usedIds.has(key.id))
  retired.sort((a, b) => a.retiredSeconds - b.retiredSeconds || a.id - b.id)
  return retired[0]?.id
}

/** How many rotations are possible before the limit, if no key is retired. */
export function freeKeyCount(keyring: KeyringInfo, usedIds: ReadonlySet<number>): number {
  const taken = new Set(usedIds)
  taken.delete(0)
  for (const key of keyring.keys) if (key.state !== 'retired') taken.add(key.id)
  return KEY_ID_MAX - taken.size
}

/** A new active key; the one before stays for reading. @throws CryptoError KEY_LIMIT */
export function rotate(keyring: Keyring, change: KeyChange): Keyring {
  const id = nextKeyId(keyring, change.usedIds)
  if (id === undefined) {
    throw new CryptoError(
      'KEY_LIMIT',
      `All ${KEY_ID_MAX} keys of the group are in use; the active one stays. ` +
        'Run `coffer maintenance reclaim-space`, which retires keys without data.',
    )
  }
  const kept = keyring.keys
    .filter(key => key.id !== id)
    .map(key => (key.state === 'active' ? { ...key, state: 'decrypt-only' as const } : key))
  const fresh: ContentKey = {
    id,
    state: 'active',
    epoch: keyring.epoch,
    createdSeconds: change.nowSeconds,
    retiredSeconds: 0,
    secret: change.newSecret(),
  }
  return { ...keyring, keys: [...kept, fresh] }
}

/** When internal rotation makes the next key; undefined = never by itself. */
export function rotationDueSeconds(keyring: KeyringInfo): number | undefined {
  const active = keyring.keys.find(key => key.state === 'active')
  if (!keyring.isOn || keyring.mode !== 'internal' || active === undefined) return undefined
  return active.createdSeconds + keyring.intervalDays * DAY_SECONDS
}

/**
 * Applies what an administrator sets. A change of the mode begins a new epoch with a new key, so that everything is
 * sealed again. A group that is turned on while it has no data gets a chunk key that never lay anywhere in the clear.
 * @throws CryptoError ENCRYPTION_IRREVERSIBLE, INTERVAL_RANGE, INTERVAL_STATIC, KEY_LIMIT
 */
export function applySettings(
  keyring: Keyring,
  settings: EncryptionSettings,
  change: KeyChange,
): Keyring {
  checkSettings(keyring, settings)
  const mode = settings.mode ?? keyring.mode
  const isOn = settings.isOn ?? keyring.isOn
  const intervalDays = settings.intervalDays ?? keyring.intervalDays
  const isModeChanged = keyring.isOn && mode !== keyring.mode
  const epoch = isModeChanged ? keyring.epoch + 1 : keyring.epoch
  const isFirst = isOn && !keyring.isOn && !change.hasData
  const chunkKey = isFirst ? change.newChunkKey() : keyring.chunkKey
  const next = { ...keyring, mode, isOn, intervalDays, epoch, chunkKey }
  const needsKey = isOn && (isModeChanged || activeKey(keyring) === undefined)
  return needsKey ? rotate(next, change) : next
}

function checkSettings(keyring: KeyringInfo, settings: EncryptionSettings): void {
  const { isOn, intervalDays } = settings
  if (isOn === false && keyring.isOn) {
    throw new CryptoError(
      'ENCRYPTION_IRREVERSIBLE',
      'Encryption is irreversible: once it is on it stays on. Copy the data to another group instead.',
    )
  }
  if (intervalDays === undefined) return
  if ((settings.mode ?? keyring.mode) === 'static') {
    throw new CryptoError(
      'INTERVAL_STATIC',
      'An interval goes only with internal mode: in static mode the key never changes by itself.',
    )
  }
  if (
    !Number.isInteger(intervalDays) ||
    intervalDays < INTERVAL_DAYS_MIN ||
    intervalDays > INTERVAL_DAYS_MAX
  ) {
    throw new CryptoError(
      'INTERVAL_RANGE',
      `The interval must be ${INTERVAL_DAYS_MIN} days to 70 years (${INTERVAL_DAYS_MAX} days).`,
    )
  }
}

/** Whether what this key sealed (0: what nothing sealed) is to be sealed again. */
export function needsReseal(keyring: KeyringInfo, keyId: number): boolean {
  if (!keyring.isOn) return false
  if (keyId === 0) return true
  const key = keyring.keys.find(each => each.id === keyId)
  return key !== undefined && key.epoch < keyring.epoch
}

/**
 * These keys lose their material for good; ids of keys that are retired already are passed over.
 * @param ids of decrypt-only keys that no block uses, and no append under way can use any more
 * @throws Error for the active key
 */
export function retire(
  keyring: Keyring,
  ids: ReadonlySet<number>,
  nowSeconds: number,
): { keyring: Keyring; retiredIds: number[] } {
  const retiredIds: number[] = []
  const keys = keyring.keys.map(key => {
    if (!ids.has(key.id) || key.state === 'retired') return key
    if (key.state === 'active') throw new Error('the active key is never retired')
    retiredIds.push(key.id)
    return {
      ...key,
      state: 'retired' as const,
      retiredSeconds: nowSeconds,
      secret: undefined,
    }
  })
  return { keyring: retiredIds.length === 0 ? keyring : { ...keyring, keys }, retiredIds }
}

/** Wipes what `keep` doesn't hold as well. */
export function wipeKeyring(keyring: Keyring, keep?: Keyring): void {
  const kept = new Set(keep?.keys.map(key => key.secret))
  for (const { secret } of keyring.keys) if (!kept.has(secret)) secret?.wipe()
  if (keyring.chunkKey !== keep?.chunkKey) keyring.chunkKey.wipe()
}
