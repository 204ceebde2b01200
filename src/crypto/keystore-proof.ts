// Which copies of a keystore a passphrase opens, which of them counts, and which files it proves to be older ones.

import { reportInternalError } from '../internal-errors.ts'
import type { Secret } from '../native/secret.ts'
import type { Keyring } from './keyring.ts'
import { wipeKeyring } from './keyring.ts'
import { openKeystore, type KeystoreHead } from './keystore-format.ts'
import { checkPassphrase, deriveWrappingKey } from './passphrase.ts'

/** A copy that the passphrase has opened. */
export interface ProvedKeystore {
  readonly head: KeystoreHead
  readonly keyring: Keyring
  /** copies of one salt share it */
  readonly wrappingKey: Secret
}

/**
 * Tries the passphrase on each distinct file.
 * @param heads primary place first
 * @throws CryptoError as deriveWrappingKey
 */
export async function proveKeystores(
  heads: readonly KeystoreHead[],
  passphrase: Uint8Array,
): Promise<ProvedKeystore[]> {
  checkPassphrase(passphrase)
  const proved: ProvedKeystore[] = []
  const wrappingKeys = new Map<string, Secret>()
  const distinct = new Map(heads.map(head => [head.digest, head]))
  for (const head of distinct.values()) {
    const { salt, scrypt } = head
    const { logCost, blockSize, parallelism } = scrypt
    const saltName = `${Buffer.from(salt).toString('hex')} ${logCost} ${blockSize} ${parallelism}`
    // A forged copy mustn't keep the good one from being opened.
    try {
      const wrappingKey =
        wrappingKeys.get(saltName) ?? (await deriveWrappingKey(passphrase, salt, scrypt))
      wrappingKeys.set(saltName, wrappingKey)
      const keyring = openKeystore(head, wrappingKey)
      if (keyring !== undefined) proved.push({ head, keyring, wrappingKey })
    } catch (error) {
      reportInternalError('opening a copy of a keystore', error)
    }
  }
  for (const wrappingKey of wrappingKeys.values()) {
    if (!proved.some(each => each.wrappingKey === wrappingKey)) wrappingKey.wipe()
  }
  return proved
}

/** What a store knows apart from its keystores. */
export interface KnownOfStore {
  /** of the last keystore that it knows to have written */
  readonly sequenceMin: number
  readonly store: string
  /** ids of keys that some block file has */
  readonly usedIds: ReadonlySet<number>
}

/**
 * The copy that counts. First, those that open the most of the data: when an earlier state of a store was restored, the
 * later keystore in the backup place may have lost keys that its block files have. Of those the latest, unless two copies
 * have gone different ways since a common one; then the one that is bound to the store, or else the one in the primary
 * place, since a backup place may be shared by mistake.
 * @returns undefined when all are older than the last one that was written
 */
export function chooseKeystore(
  proved: readonly ProvedKeystore[],
  { sequenceMin, store, usedIds }: KnownOfStore,
): ProvedKeystore | undefined {
  const current = proved.filter(({ head }) => head.sequence >= sequenceMin)
  const fewest = Math.min(...current.map(each => countMissing(each, usedIds)))
  const eligible = current.filter(each => countMissing(each, usedIds) === fewest)
  const latest = eligible.toSorted((a, b) => b.head.sequence - a.head.sequence)[0]
  if (latest === undefined) return undefined
  const isFork = eligible.some(each => each !== latest && !isPredecessor(each, latest))
  if (!isFork) return latest
  // Another store's, of version 1 and with the same passphrase, may be in the primary place.
  return eligible.find(({ head }) => head.store === store) ?? eligible[0]
}

/**
 * Digests of the files that `chosen` proves to be older than itself, and that open no data which it doesn't open.
 * @param usedIds ids of keys that some block file has
 */
export function supersededBy(
  chosen: ProvedKeystore,
  proved: readonly ProvedKeystore[],
  usedIds: ReadonlySet<number>,
): Set<string> {
  const digests = new Set(chosen.head.predecessors)
  for (const each of proved) {
    if (each !== chosen && isPredecessor(each, chosen)) digests.add(each.head.digest)
    if (opensMore(each, chosen, usedIds)) digests.delete(each.head.digest)
  }
  return digests
}

function materialOf({ keyring }: ProvedKeystore, id: number): Secret | undefined {
  return keyring.keys.find(key => key.id === id)?.secret
}

function countMissing(each: ProvedKeystore, usedIds: ReadonlySet<number>): number {
  return [...usedIds].filter(id => id !== 0 && materialOf(each, id) === undefined).length
}

function opensMore(
  each: ProvedKeystore,
  chosen: ProvedKeystore,
  usedIds: ReadonlySet<number>,
): boolean {
  return [...usedIds].some(id => {
    return materialOf(each, id) !== undefined && materialOf(chosen, id) === undefined
  })
}

/** Wipes what was opened, apart from what `kept` goes on with. */
export function forgetProved(proved: readonly ProvedKeystore[], kept?: ProvedKeystore): void {
  for (const each of proved) {
    if (each === kept) continue
    wipeKeyring(each.keyring)
    if (each.wrappingKey !== kept?.wrappingKey) each.wrappingKey.wipe()
  }
}

function isPredecessor(older: ProvedKeystore, newer: ProvedKeystore): boolean {
  if (newer.head.predecessors.includes(older.head.digest)) return true
  return older.head.sequence < newer.head.sequence && hasAllKeys(newer.keyring, older.keyring)
}

/** A keystore without a key of the other one has not come from it. The same number and second may be another key. */
function hasAllKeys(newer: Keyring, older: Keyring): boolean {
  return older.keys.every(({ id, secret }) => {
    if (secret === undefined) return true
    const other = newer.keys.find(key => key.id === id)
    // Retired meanwhile, as far as anybody can tell.
    if (other?.secret === undefined) return other !== undefined
    return other.secret.equals(secret)
  })
}
