// The store's identity: 16 random bytes in a file of its own, which stay the same wherever the store is mounted or copied.
// Nothing that is stored depends on it; stores that were made before there were identities get one at their next start.

import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { writeDurably } from '../durable-file.ts'

const IDENTITY_BYTES = 16
const LINE = /^([0-9a-f]{32})\n$/

/** Reads the identity, or makes one where it is missing or damaged. @returns 32 hexadecimal digits */
export async function openIdentity(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  const known = LINE.exec(text)?.[1]
  if (known !== undefined) return known
  const identity = randomBytes(IDENTITY_BYTES).toString('hex')
  await writeDurably('identity', path, `${identity}\n`)
  return identity
}
