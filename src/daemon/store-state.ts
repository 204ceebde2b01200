// What lies in a directory that is said to be a store: a store, nothing, the beginning of one, or something else.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreError } from '../errors.ts'

/** What may lie in a directory that is to become a store: made before the daemon looks. */
const HARMLESS = new Set(['daemon.log', 'lost+found', 'lock'])
/** What a creation that was cut off leaves, before FORMAT makes it a store. */
const UNFINISHED = new Set([
  'metadata',
  'blocks',
  'copies',
  'keystores',
  'FORMAT.new',
  'identity',
  'identity.new',
])

/**
 * `unfinished`, `begun`: a creation was cut off before or after FORMAT, and can go on. `headless`: a store that has lost its
 * FORMAT. `foreign`: other files lie there.
 */
export type StoreState = 'store' | 'absent' | 'unfinished' | 'begun' | 'headless' | 'foreign'

/** What lies in the directory; makes nothing. @throws StoreError NOT_A_STORE when it is none */
export async function storeStateOf(path: string): Promise<StoreState> {
  const names = await namesIn(path)
  if (names === undefined) return 'absent'
  const isEmpty = async (name: string): Promise<boolean> =>
    ((await namesIn(join(path, name))) ?? []).length === 0
  if (names.includes('FORMAT')) {
    // Written before the database, whose name for itself is CURRENT.
    const hasDatabase = ((await namesIn(join(path, 'metadata'))) ?? []).includes('CURRENT')
    if (hasDatabase || !(await isEmpty('blocks')) || !(await isEmpty('copies'))) return 'store'
    return 'begun'
  }
  const others = names.filter(name => !HARMLESS.has(name))
  if (others.length === 0) return 'absent'
  if (!others.every(name => UNFINISHED.has(name))) return 'foreign'
  for (const name of ['metadata', 'blocks', 'copies', 'keystores']) {
    if (!(await isEmpty(name))) return 'headless'
  }
  return 'unfinished'
}

/** undefined when there is no such directory */
async function namesIn(path: string): Promise<string[] | undefined> {
  return await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    if (error.code !== 'ENOTDIR') throw error
    throw new StoreError('NOT_A_STORE', `${path} is not a directory.`, { cause: error })
  })
}

/** @throws StoreError NOT_A_STORE for a directory in which no store may be made */
export function refuseRemains(path: string, state: StoreState): void {
  if (state === 'foreign') {
    throw new StoreError('NOT_A_STORE', `${path} is neither a coffer store nor empty.`)
  }
  if (state === 'headless') {
    const text = `${path} holds parts of a store, but its FORMAT file is missing.`
    throw new StoreError('NOT_A_STORE', `${text} Run "coffer recover --store ${path}".`)
  }
}
