// The store's identity: 16 random bytes in a file of its own, which stay the same wherever the store is mounted or moved.
// Keystores are bound to it. A copy that gets an identity of its own keeps the ones before in a second file, so that its
// keystores still open and can be bound anew.

import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { writeDurably } from '../durable-file.ts'
import { readSmallFile } from '../small-file.ts'

const IDENTITY_BYTES = 16
const LINE = /^([0-9a-f]{32})\n$/
const LINES = /^(?:[0-9a-f]{32}\n)+$/
const FILE = 'identity'
const FORMER_FILE = 'former-identities'
/** A copy of a copy of … has so many; the oldest goes first. */
const FORMER_MAX = 16
/** A line has 33 bytes. */
const FILE_BYTES_MAX = 1024

/** Makes nothing. @param store the store's directory; @returns undefined where it is missing or damaged */
export async function readIdentity(store: string): Promise<string | undefined> {
  return LINE.exec(await textOf(join(store, FILE)))?.[1]
}

/**
 * Reads the identity, or makes one where it is missing or damaged.
 * @param known what keystores say of it
 * @returns 32 hexadecimal digits
 */
export async function openIdentity(
  store: string,
  known: () => Promise<string | undefined>,
): Promise<string> {
  const found = await readIdentity(store)
  if (found !== undefined) return found
  const identity = (await known()) ?? newIdentity()
  await writeDurably('identity', join(store, FILE), `${identity}\n`)
  return identity
}

/** Identities that the store had before, the latest last. */
export async function formerIdentities(store: string): Promise<string[]> {
  const text = await textOf(join(store, FORMER_FILE))
  if (!LINES.test(text)) return []
  const current = await readIdentity(store)
  return text.split('\n').filter(line => line !== '' && line !== current)
}

/** Gives the store another identity and remembers the one before. @returns the new one */
export async function renewIdentity(store: string, current: string): Promise<string> {
  const former = [...(await formerIdentities(store)), current].slice(-FORMER_MAX)
  const identity = newIdentity()
  // First: keystores that are bound to an identity that nothing knows any more would not open.
  const lines = former.map(line => `${line}\n`).join('')
  await writeDurably('identity', join(store, FORMER_FILE), lines)
  await writeDurably('identity', join(store, FILE), `${identity}\n`)
  return identity
}

/**
 * A store's own folder among the backups of several stores. A copy has the secret of its original, and is told from it by the
 * identity that it was given.
 * @param secret random bytes that the store keeps
 */
export function backupFolder(
  directory: string,
  secret: Uint8Array,
  store: { readonly identity: string; readonly formerIdentities: readonly string[] },
): string {
  const hash = createHash('sha256').update('coffer keystore backup').update(secret)
  if (store.formerIdentities.length > 0) hash.update(store.identity)
  return join(directory, hash.digest('hex').slice(0, 16))
}

function newIdentity(): string {
  return randomBytes(IDENTITY_BYTES).toString('hex')
}

async function textOf(path: string): Promise<string> {
  return await readSmallFile(path, FILE_BYTES_MAX).then(
    bytes => bytes.toString('latin1'),
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return ''
      throw error
    },
  )
}
