// Which copies of a keystore a passphrase opens, which of them counts, and which files it proves to be older ones.

import type { Secret } from '../native/secret.ts'
import type { KeyringInfo, Keyring } from './keyring.ts'
import { wipeKeyring } from './keyring.ts'
import { openKeystore, type KeystoreHead } from './keystore-format.ts'
import { deriveWrappingKey } from './passphrase.ts'

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
  const proved: ProvedKeystore[] = []
  const wrappingKeys = new Map<string, Secret>()
  const distinct = new Map(heads.map(head => [head.digest, head]))
  for (const head of distinct.values()) {
    const { salt, scrypt } = head
    const { logCost, blockSize, parallelism } = scrypt
    const saltName = `${Buffer.from(salt).toString('hex')} ${logCost} ${blockSize} ${parallelism}`
    const wrappingKey =
      wrappingKeys.get(saltName) ?? (await deriveWrappingKey(passphrase, salt, scrypt))
    wrappingKeys.set(saltName, wrappingKey)
    const keyring = openKeystore(head, wrappingKey)
    if (keyring !== undefined) proved.push({ head, keyring, wrappingKey })
  }
  for (const wrappingKey of wrappingKeys.values()) {
    if (!proved.some(each => each.wrappingKey === wrappingKey)) wrappingKey.wipe()
  }
  return proved
}

/**
 * The copy that counts: the latest, unless two copies have gone different ways since a common one; then the one in the
 * primary place, since a backup place may be shared by mistake, or the one that is bound to the store.
 * @param sequenceMin of the last keystore that the store knows to have written
 * @returns undefined when all are older
 */
export function chooseKeystore(
  proved: readonly ProvedKeystore[],
  sequenceMin: number,
): ProvedKeystore | undefined {
  const eligible = proved.filter(({ head }) => head.sequence >= sequenceMin)
  const latest = eligible.toSorted((a, b) => b.head.sequence - a.head.sequence)[0]
  if (latest === undefined) return undefined
  const isFork = eligible.some(each => each !== latest && !isPredecessor(each.head, latest.head))
  if (!isFork) return latest
  // Another store's, of version 1 and with the same passphrase, may be in the primary place.
  return eligible.find(({ head }) => head.store !== undefined) ?? eligible[0]
}

/** Digests of the files that `chosen` proves to be older than itself. */
export function supersededBy(
  chosen: ProvedKeystore,
  proved: readonly ProvedKeystore[],
): Set<string> {
  const digests = new Set(chosen.head.predecessors)
  for (const each of proved) {
    if (each !== chosen && isPredecessor(each.head, chosen.head)) digests.add(each.head.digest)
  }
  return digests
}

/** Wipes what was opened, apart from what `kept` goes on with. */
export function forgetProved(proved: readonly ProvedKeystore[], kept?: ProvedKeystore): void {
  for (const each of proved) {
    if (each === kept) continue
    wipeKeyring(each.keyring)
    if (each.wrappingKey !== kept?.wrappingKey) each.wrappingKey.wipe()
  }
}

/** Both heads are proved. */
function isPredecessor(older: KeystoreHead, newer: KeystoreHead): boolean {
  if (newer.predecessors.includes(older.digest)) return true
  return older.sequence < newer.sequence && hasAllKeys(newer, older)
}

/** A keystore without a key of the other one has not come from it. */
function hasAllKeys(newer: KeyringInfo, older: KeyringInfo): boolean {
  return older.keys.every(
    key =>
      key.state === 'retired' ||
      newer.keys.some(
        ({ id, epoch, createdSeconds }) =>
          id === key.id && epoch === key.epoch && createdSeconds === key.createdSeconds,
      ),
  )
}
