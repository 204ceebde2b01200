// The stores that this machine has opened: one small file a path, beside the second copies of the keystores and so away
// from the store's disk. A start that finds no store in a known path knows that its disk is missing.
//
//   KEYSTORE-BACKUP/stores/HASH.json    {"version":1,"path":…,"identity":…,"firstSeen":…}
//
// HASH is of the path without symbolic links, and of the path as it was given when that differs: a symbolic link on the
// disk itself is gone with the disk.

import { createHash } from 'node:crypto'
import { lstat, readdir, rm, stat } from 'node:fs/promises'
import { isAbsolute, join, resolve } from 'node:path'
import { makeDirectoryDurably, syncDirectory, writeDurably } from '../durable-file.ts'
import { readSmallFile } from '../small-file.ts'
import { resolvePath } from './places.ts'
import { readIdentity } from './store-identity.ts'

const VERSION = 1
const FOLDER = 'stores'
/** An entry holds a path, which has 4,096 bytes at most, escaped. */
const ENTRY_BYTES_MAX = 32 * 1024
// eslint-disable-next-line no-control-regex
const CONTROL_CHARACTER = /[\u0000-\u001F\u007F]/
/** As `toISOString` writes it: it becomes part of a sentence. */
const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

export interface KnownStore {
  /** remove it to have the store forgotten */
  readonly file: string
  /** an ISO time; undefined when the file can't be read: that it exists is enough */
  readonly firstSeen: string | undefined
}

/** A path that a store of the same identity was started from. */
export interface OtherPath {
  readonly file: string
  readonly path: string
  /** such a store is in that path now, and is another directory */
  readonly isThere: boolean
}

export class StoreRegistry {
  readonly #folder: string

  constructor(keystoreBackup: string) {
    this.#folder = join(keystoreBackup, FOLDER)
  }

  /** What is known of a store in this path, whether or not it is there now. */
  async find(path: string): Promise<KnownStore | undefined> {
    for (const each of await this.#pathsOf(path)) {
      const file = this.#fileOf(each)
      // Anything in its place counts: a store that may be known is never made anew.
      const isThere = await lstat(file).then(
        () => true,
        (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
      )
      if (isThere) return { file, firstSeen: parse(await readSmall(file))?.firstSeen }
    }
    return undefined
  }

  /** Remembers the store durably, unless it is known. @throws an Error of the filesystem */
  async remember(path: string, identity: string, now: Date): Promise<void> {
    for (const each of await this.#pathsOf(path)) {
      const file = this.#fileOf(each)
      const known = parse(await readSmall(file))
      if (known?.identity === identity) continue
      await makeDirectoryDurably(this.#folder)
      const line = { version: VERSION, path: each, identity, firstSeen: now.toISOString() }
      await writeDurably('registry', file, `${JSON.stringify(line)}\n`)
    }
  }

  /** Other paths that are known of this identity. The same directory under another name is none. */
  async others(path: string, identity: string): Promise<OtherPath[]> {
    const own = await this.#pathsOf(path)
    const ownId = await idOf(path)
    const others: OtherPath[] = []
    for (const name of await readdir(this.#folder).catch(() => [])) {
      const file = join(this.#folder, name)
      const entry = parse(await readSmall(file))
      if (entry?.identity !== identity || own.has(entry.path)) continue
      const id = await idOf(entry.path)
      if (id !== undefined && id === ownId) continue
      const found = await readIdentity(entry.path).catch(() => undefined)
      others.push({ file, path: entry.path, isThere: found === identity })
    }
    return others
  }

  /** Forgets a path. @param file of its entry */
  async forget(file: string): Promise<void> {
    await rm(file, { force: true })
    await syncDirectory(this.#folder)
  }

  async #pathsOf(path: string): Promise<Set<string>> {
    return new Set([await resolvePath(path), resolve(path)])
  }

  #fileOf(path: string): string {
    const hash = createHash('sha256').update('coffer store path').update(path).digest('hex')
    return join(this.#folder, `${hash.slice(0, 32)}.json`)
  }
}

/** What a link, a pipe or a large file holds is of no interest: nothing. */
async function readSmall(path: string): Promise<string> {
  return await readSmallFile(path, ENTRY_BYTES_MAX).then(
    bytes => bytes.toString('utf8'),
    () => '',
  )
}

/** Device and inode, to compare two paths now; they are not remembered, since both may change. */
async function idOf(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  return found && `${found.dev}:${found.ino}`
}

interface Entry {
  readonly path: string
  readonly identity: string
  readonly firstSeen: string
}

/** By hand: a start checks this before it loads the libraries that it needs later. */
function parse(text: string): Entry | undefined {
  try {
    const record: unknown = JSON.parse(text)
    if (typeof record !== 'object' || record === null || !('version' in record)) return undefined
    if (record.version !== VERSION) return undefined
    if (!('path' in record && 'identity' in record && 'firstSeen' in record)) return undefined
    const { path, identity, firstSeen } = record
    if (typeof path !== 'string' || typeof identity !== 'string') return undefined
    // It becomes part of a sentence, and of paths that are looked at.
    if (!isAbsolute(path) || CONTROL_CHARACTER.test(path)) return undefined
    if (typeof firstSeen !== 'string' || !ISO_TIME.test(firstSeen)) return undefined
    return { path, identity, firstSeen }
  } catch {
    return undefined
  }
}
