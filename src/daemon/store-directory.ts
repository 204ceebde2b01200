// The store's directory: what lies where, and the file that says that it is a store and of which version.
//
//   FORMAT      one line: coffer store 3
//   identity    32 hexadecimal digits, see store-identity.ts
//   former-identities  of a copy, see store-identity.ts
//   lock        held by the daemon
//   commit-note the last commit's number, see commit-note.ts
//   chunk-filter  between two runs, see dedupe/filter-file.ts
//   metadata/   LevelDB
//   blocks/     block files
//   copies/     copies of the metadata
//   keystores/  keystores of groups that have a passphrase
//   mail-password  of the mail relay, mode 0600
//   diagnostics/   bundles
//   repairs/    records as they were before repairs changed them
//   daemon.log

import { mkdir, readdir, readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { makeDirectoryDurably, writeDurably } from '../durable-file.ts'
import { StoreError } from '../errors.ts'
import { durably } from '../fault-points.ts'
import { identityOfKeystores } from './keystore-identity.ts'
import { formerIdentities, openIdentity } from './store-identity.ts'
import { checkStoreShape } from './store-shape.ts'
import { refuseRemains, storeStateOf } from './store-state.ts'

const FORMAT_VERSION = 3
/** Its stores are upgraded by their first start; see upgrade.ts. */
const OLD_FORMAT_LINE = 'coffer store 2\n'
export const FORMAT_LINE = `coffer store ${FORMAT_VERSION}\n`
export interface StoreDirectory {
  readonly path: string
  readonly format: string
  /** random, 32 hexadecimal digits: the same wherever the store is mounted */
  readonly identity: string
  /** identities that the store had before */
  readonly formerIdentities: readonly string[]
  readonly metadata: string
  readonly blocks: string
  readonly copies: string
  readonly keystores: string
  readonly lock: string
  readonly commitNote: string
  readonly chunkFilter: string
  readonly mailPassword: string
  readonly diagnostics: string
  readonly repairs: string
  /** nothing is in it yet */
  readonly isNew: boolean
  /** of format 2 */
  readonly isOld: boolean
}

/**
 * Opens the directory as a store, or makes it one where there is none; whether that is wanted has been decided before.
 * @throws StoreError NOT_A_STORE, UNKNOWN_VERSION, FOREIGN_FILE
 */
export async function openStoreDirectory(path: string): Promise<StoreDirectory> {
  await makeDirectoryDurably(path)
  const real = await realpath(path)
  await checkStoreShape(real)
  const line = await readFormat(real)
  if (line === undefined) refuseRemains(path, await storeStateOf(real))
  else checkFormat(path, line)
  for (const name of ['metadata', 'blocks', 'copies', 'keystores']) {
    await durably('store.folder', () => mkdir(join(real, name), { recursive: true, mode: 0o700 }))
  }
  const identity = await openIdentity(real, () => identityOfKeystores(join(real, 'keystores')))
  // Last: from here on it is a store.
  if (line === undefined) await writeDurably('format', join(real, 'FORMAT'), FORMAT_LINE)
  // A start that was cut off right after FORMAT leaves no database and no blocks. Block files without metadata are another
  // matter: they must never be taken for leftovers of a new store.
  return {
    ...placesIn(real),
    identity,
    formerIdentities: await formerIdentities(real),
    isNew: (await storeStateOf(real)) === 'begun',
    isOld: line === OLD_FORMAT_LINE,
  }
}

/** A directory that is a store, or the remains of one. */
export interface FoundStore extends Omit<
  StoreDirectory,
  'isNew' | 'isOld' | 'identity' | 'formerIdentities'
> {
  readonly hasFormat: boolean
  /** of format 2 */
  readonly isOld: boolean
}

/** Finds a store and makes nothing. @throws StoreError NOT_A_STORE, UNKNOWN_VERSION, FOREIGN_FILE */
export async function findStoreDirectory(path: string): Promise<FoundStore> {
  const real = await realpath(path).catch((cause: Error) => {
    throw new StoreError('NOT_A_STORE', `The directory ${path} does not exist.`, { cause })
  })
  await checkStoreShape(real)
  const line = await readFormat(real)
  const names = await readdir(real)
  if (line === undefined && !(names.includes('blocks') && names.includes('copies'))) {
    throw new StoreError('NOT_A_STORE', `${path} is no coffer store, nor what is left of one.`)
  }
  checkFormat(path, line ?? FORMAT_LINE)
  return { ...placesIn(real), hasFormat: line !== undefined, isOld: line === OLD_FORMAT_LINE }
}

async function readFormat(real: string): Promise<string | undefined> {
  return readFile(join(real, 'FORMAT'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

function checkFormat(path: string, line: string): void {
  if (line === FORMAT_LINE || line === OLD_FORMAT_LINE) return
  throw new StoreError(
    'UNKNOWN_VERSION',
    `${path} says "${line.trim().slice(0, 60)}"; this coffer opens only "${FORMAT_LINE.trim()}".`,
  )
}

function placesIn(real: string): Omit<FoundStore, 'hasFormat' | 'isOld'> {
  return {
    path: real,
    format: join(real, 'FORMAT'),
    metadata: join(real, 'metadata'),
    blocks: join(real, 'blocks'),
    copies: join(real, 'copies'),
    keystores: join(real, 'keystores'),
    lock: join(real, 'lock'),
    commitNote: join(real, 'commit-note'),
    chunkFilter: join(real, 'chunk-filter'),
    mailPassword: join(real, 'mail-password'),
    diagnostics: join(real, 'diagnostics'),
    repairs: join(real, 'repairs'),
  }
}
