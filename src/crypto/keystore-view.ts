// What can be said of the copies of a keystore before a passphrase has proved one.

import { CryptoError } from './errors.ts'
import type { KeystoreHead } from './keystore-format.ts'
import type { KeystoreCopy, PlaceFinding } from './keystore-places.ts'
import type { ProvedKeystore } from './keystore-proof.ts'

const WORDS: Record<KeystoreCopy['what'], string> = {
  missing: 'is missing',
  damaged: 'is damaged',
  unreadable: 'can not be read',
  foreign: 'belongs to another store or group',
  own: 'is there',
}

/** Heads of the copies that say that they are of this store and group, primary place first. */
export function ownHeads(copies: readonly KeystoreCopy[]): KeystoreHead[] {
  return copies.flatMap(({ what, head }) => (what === 'own' && head !== undefined ? [head] : []))
}

/** When encryption was turned on. Version 1 doesn't say when encryption was turned on: then, the first key was made. */
export function sinceSeconds(head: KeystoreHead, nowSeconds: number): number {
  if (head.sinceSeconds > 0) return head.sinceSeconds
  return Math.min(nowSeconds, ...head.keys.map(({ createdSeconds }) => createdSeconds))
}

/** Whether a keystore claims that the group is encrypted. */
export function saysEncrypted({ isOn, keys }: KeystoreHead): boolean {
  return isOn || keys.length > 0
}

/**
 * Why no passphrase needs to be tried; undefined when one does, or when the group has no keystore.
 * @param sequenceMin of the last keystore that the store knows to have written
 * @param isKnownEncrypted whether anything apart from keystores says so
 */
export function findTrouble(
  copies: readonly KeystoreCopy[],
  sequenceMin: number,
  isKnownEncrypted: boolean,
): CryptoError | undefined {
  const own = copies.filter(({ what }) => what === 'own')
  // It never had one. What lies there is another group's, and is put aside by the first passphrase.
  if (own.length === 0 && sequenceMin === 0 && !isKnownEncrypted) return undefined
  if (copies.every(({ what }) => what === 'missing')) {
    const paths = copies.map(({ path }) => path).join(', ')
    const text = `The keystore is missing in both places (${paths}). Put a copy back.`
    return new CryptoError('KEYSTORE_MISSING', text)
  }
  if (own.length === 0) {
    return new CryptoError(
      'KEYSTORE_DAMAGED',
      `No copy of the keystore can be used: ${copies.map(describeCopy).join('; ')}. ` +
        'Put a good copy back into one of the places.',
    )
  }
  const sequence = Math.max(...own.map(({ head }) => head?.sequence ?? 0))
  if (sequence >= sequenceMin) return undefined
  return new CryptoError(
    'KEYSTORE_ROLLED_BACK',
    `All copies of the keystore are older (${sequence}) than the last one that was ` +
      `written (${sequenceMin}). Put the newer copy back into one of the places.`,
  )
}

/** Only older copies were opened. */
export function rolledBack(
  copies: readonly KeystoreCopy[],
  proved: readonly ProvedKeystore[],
  sequenceMin: number,
): CryptoError {
  const opened = new Set(proved.map(({ head }) => head.digest))
  const named = copies.map(copy => {
    if (copy.digest !== undefined && opened.has(copy.digest)) {
      return `${copy.path} is of an earlier time (sequence ${copy.head?.sequence})`
    }
    return copy.what === 'own'
      ? `${copy.path} is not opened by this passphrase (sequence ${copy.head?.sequence})`
      : describeCopy(copy)
  })
  return new CryptoError(
    'KEYSTORE_ROLLED_BACK',
    `This passphrase opens only a keystore that is older than the last one that was written ` +
      `(sequence ${sequenceMin}): ${named.join('; ')}. Use the passphrase of today, or put the ` +
      'latest copy back into one of the places.',
  )
}

/** What is wrong with the places, nothing of which is repaired yet. */
export function findDisagreements(copies: readonly KeystoreCopy[]): PlaceFinding[] {
  if (copies.every(({ what }) => what === 'missing')) return []
  const own = copies.filter(({ what }) => what === 'own')
  const latest = own.toSorted((a, b) => sequenceOf(b) - sequenceOf(a))[0]
  const findings: PlaceFinding[] = []
  for (const copy of copies) {
    const { path, what, digest } = copy
    const sequence = sequenceOf(copy)
    if (what !== 'own') findings.push({ path, what, isRepaired: false })
    else if (digest !== latest?.digest) {
      const isOlder = sequence < (latest?.head?.sequence ?? 0)
      findings.push({ path, what: isOlder ? 'older' : 'different', isRepaired: false, sequence })
    }
  }
  return findings
}

function sequenceOf({ head }: KeystoreCopy): number {
  return head?.sequence ?? 0
}

function describeCopy({ path, what, head }: KeystoreCopy): string {
  const store = what === 'foreign' && head?.store !== undefined ? ` (store ${head.store})` : ''
  return `${path} ${WORDS[what]}${store}`
}
