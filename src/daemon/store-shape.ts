// Whether a store consists of its own files and directories. A symbolic link in there would have the daemon, which is often
// root, read, write or delete elsewhere; a pipe would have it wait for ever.

import type { Dirent, Stats } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { BLOCK_NAMES, TRASH_FOLDER } from '../blocks/index.ts'
import { StoreError } from '../errors.ts'

const FILES = [
  'FORMAT',
  'FORMAT.new',
  'identity',
  'identity.new',
  'former-identities',
  'former-identities.new',
  'lock',
  'commit-note',
  'chunk-filter',
  'mail-password',
  'daemon.log',
]
/** Directories that hold files alone. */
const FOLDERS = ['metadata', 'metadata.kept-logs', 'copies', 'keystores', 'diagnostics', 'repairs']
/** Beginning of the names of the directories in which diagnostics are put together. */
const DIAGNOSTICS_WORK = '.work-'
const DIRECTORIES = [...FOLDERS, 'blocks']

/**
 * Looks at the kind of everything by whose name the daemon goes, which costs no more than listing it.
 * @throws StoreError FOREIGN_FILE
 */
export async function checkStoreShape(path: string): Promise<void> {
  for (const name of FILES) await checkOne(join(path, name), 'file')
  for (const name of DIRECTORIES) await checkOne(join(path, name), 'directory')
  for (const name of FOLDERS) {
    for (const entry of await list(join(path, name))) {
      // What a collection of diagnostics that was cut off leaves; nothing in it is read.
      const isWork = name === 'diagnostics' && entry.name.startsWith(DIAGNOSTICS_WORK)
      check(join(path, name, entry.name), entry, isWork ? 'directory' : 'file')
    }
  }
  await checkBlocks(join(path, 'blocks'))
}

async function checkBlocks(blocks: string): Promise<void> {
  for (const group of await list(blocks)) {
    const groupPath = join(blocks, group.name)
    if (group.name === TRASH_FOLDER) {
      check(groupPath, group, 'directory')
      for (const file of await list(groupPath)) check(join(groupPath, file.name), file, 'file')
    }
    if (!BLOCK_NAMES.group.test(group.name)) continue
    check(groupPath, group, 'directory')
    for (const folder of await list(groupPath)) {
      if (!BLOCK_NAMES.folder.test(folder.name)) continue
      const folderPath = join(groupPath, folder.name)
      check(folderPath, folder, 'directory')
      for (const file of await list(folderPath)) check(join(folderPath, file.name), file, 'file')
    }
  }
}

/** What isn't there yet is made by the daemon. */
async function list(path: string): Promise<Dirent[]> {
  return await readdir(path, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
}

async function checkOne(path: string, kind: 'file' | 'directory'): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (found !== undefined) check(path, found, kind)
}

function check(path: string, found: Dirent | Stats, kind: 'file' | 'directory'): void {
  if (kind === 'file' ? found.isFile() : found.isDirectory()) return
  const what = found.isSymbolicLink() ? 'a symbolic link' : `no ${kind}`
  throw new StoreError(
    'FOREIGN_FILE',
    `${path} is ${what}; a store holds its own files only. ` +
      'To have a part of it on another disk, mount that disk there.',
  )
}
