// A copy of a store beside its original: both would write their keystores into one folder, and each would take the other's
// newest key away. A start compares the store's identity with the paths that the registry of stores knows.

import { join } from 'node:path'
import { StoreError } from '../errors.ts'
import type { CopyAnswer } from './contract.ts'
import type { StoreDirectory } from './store-directory.ts'
import { identityOfKeystores } from './keystore-identity.ts'
import { formerIdentities, readIdentity, renewIdentity } from './store-identity.ts'
import type { StoreRegistry } from './store-registry.ts'

/** Makes nothing. @throws StoreError STORE_IS_A_COPY when a store of the same identity is still in another path */
export async function checkNoCopy(
  path: string,
  registry: StoreRegistry,
  answer: CopyAnswer,
): Promise<void> {
  // A copy without the file would take its identity from the keystores that were copied with it.
  // What else stands in its place is refused when the store is opened.
  const own = await readIdentity(path).catch(() => undefined)
  const identity = own ?? (await identityOfKeystores(join(path, 'keystores')))
  if (identity === undefined || answer !== 'ask') return
  const others = await registry.others(path, identity)
  // A path that holds no such store any more: this one was moved, which is registered without a question.
  const original = others.find(({ isThere }) => isThere)
  if (original === undefined) return
  throw new StoreError(
    'STORE_IS_A_COPY',
    `${path} is a copy of the store in ${original.path}, which is still there: they have the same identity. ` +
      'To use the copy beside it, start it with --new-identity. ' +
      `If ${original.path} shall not count any more, start with --moved.`,
  )
}

/** Does what the administrator said. The store is locked. @returns the store with the identity that it has now */
export async function settleIdentity(
  directory: StoreDirectory,
  path: string,
  registry: StoreRegistry,
  answer: CopyAnswer,
): Promise<StoreDirectory> {
  if (answer === 'ask') return directory
  const others = await registry.others(path, directory.identity)
  if (others.length === 0) return directory
  if (answer === 'moved') {
    for (const { file } of others) await registry.forget(file)
    return directory
  }
  const identity = await renewIdentity(directory.path, directory.identity)
  return { ...directory, identity, formerIdentities: await formerIdentities(directory.path) }
}
