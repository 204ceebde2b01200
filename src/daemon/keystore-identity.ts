// The identity of a store whose own file of it is lost, by the keystores that are bound to it.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { KEYSTORE_BYTES_MAX, parseKeystore } from '../crypto/keystore-format.ts'
import { readSmallFile } from '../small-file.ts'

const KEYSTORE = /^\d{1,5}\.keystore$/

/** @returns undefined unless all keystores in the directory that are bound to a store name the same one */
export async function identityOfKeystores(directory: string): Promise<string | undefined> {
  const stores = new Set<string>()
  for (const name of await readdir(directory).catch(() => [])) {
    const store = KEYSTORE.test(name) ? await storeOf(join(directory, name)) : undefined
    if (store !== undefined) stores.add(store)
  }
  const [first] = stores
  return stores.size === 1 ? first : undefined
}

async function storeOf(path: string): Promise<string | undefined> {
  try {
    return parseKeystore(await readSmallFile(path, KEYSTORE_BYTES_MAX)).store
  } catch {
    // Damaged or unreadable: it says nothing.
    return undefined
  }
}
