// The two places of a group's keystore. Reading changes nothing; what is written is what the caller has proved with the
// passphrase, and what parses and wasn't proved is put aside, never overwritten.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readSmallFile } from '../small-file.ts'
import { CryptoError } from './errors.ts'
import { eraseFile, installKeystore, moveAside, previousPath, type Fate } from './keystore-files.ts'
import {
  digestOf,
  KEYSTORE_BYTES_MAX,
  parseKeystore,
  type KeystoreHead,
} from './keystore-format.ts'

/** A keystore, or a file that was kept beside it. */
const FILE_NAME = /^(\d{1,5})\.keystore(?:\.(.+))?$/
/** Hexadecimal digits of a digest in the name of a file that was put aside. */
const NAME_DIGITS = 8

/** What is or was wrong with a place. */
export interface PlaceFinding {
  readonly path: string
  readonly what:
    | 'missing'
    | 'damaged'
    | 'unreadable'
    | 'older'
    | 'different'
    | 'foreign'
    | 'unproved'
    | 'unwritable'
    | 'not-erased'
  /** the keystore that counts is there now */
  readonly isRepaired: boolean
  /** of the keystore that was found there */
  readonly sequence?: number
  /** where the file is that was there */
  readonly asidePath?: string
}

/**
 * What lies in one place, as far as it can be told without a passphrase. `own` is a whole keystore that says that it is
 * of this store and group, `foreign` one that says otherwise.
 */
export interface KeystoreCopy {
  readonly path: string
  readonly what: 'missing' | 'damaged' | 'unreadable' | 'foreign' | 'own'
  readonly head?: KeystoreHead
  /** of the bytes, if they could be read */
  readonly digest?: string
}

export interface PlacesOptions {
  readonly primary: string
  readonly backup: string
  /** identity of the store in hexadecimal digits */
  readonly store: string
  /** identities that the store had before: a keystore may still be bound to one of them */
  readonly formerStores?: readonly string[]
}

export class KeystorePlaces {
  readonly #options: PlacesOptions
  readonly #directories: readonly [primary: string, backup: string]
  readonly #stores: ReadonlySet<string>

  constructor(options: PlacesOptions) {
    this.#options = options
    this.#directories = [options.primary, options.backup]
    this.#stores = new Set([options.store, ...(options.formerStores ?? [])])
  }

  /** Identity that new keystores are bound to. */
  get store(): string {
    return this.#options.store
  }

  /** Where the keystore of a group lies, primary first. */
  pathsOf(group: number): string[] {
    return this.#directories.map(directory => join(directory, `${group}.keystore`))
  }

  /** What lies in both places, primary first. Writes nothing. */
  async read(group: number): Promise<KeystoreCopy[]> {
    const copies: KeystoreCopy[] = []
    for (const path of this.pathsOf(group)) copies.push(await this.#readCopy(path, group))
    return copies
  }

  /**
   * Has both places hold a keystore that was proved.
   * @param superseded digests of files that are proved to be older: they are kept as `.previous`
   * @returns what was wrong; a place that can't be written is a finding
   */
  async settle(
    group: number,
    bytes: Uint8Array,
    superseded: ReadonlySet<string>,
  ): Promise<PlaceFinding[]> {
    const findings: PlaceFinding[] = []
    const digest = digestOf(bytes)
    for (const copy of await this.read(group)) {
      if (copy.digest === digest) continue
      findings.push(await this.#tryInstall(copy, bytes, superseded, 'keep'))
    }
    return findings
  }

  /**
   * First the primary place, then the backup: from the first rename on, the new keystore is the one that counts.
   * @param known digests of the files that it replaces: they are erased
   * @returns what was wrong; the primary place has been written, or the call throws
   */
  async write(
    group: number,
    bytes: Uint8Array,
    known: ReadonlySet<string>,
  ): Promise<PlaceFinding[]> {
    const [primary, backup] = await this.read(group)
    if (primary === undefined || backup === undefined) throw new Error('a keystore has two places')
    const first = await this.#install(primary, bytes, known, 'erase')
    const second = await this.#tryInstall(backup, bytes, known, 'erase')
    const findings = [first, second].filter(
      ({ what, isRepaired }) => !isRepaired || (what !== 'older' && what !== 'missing'),
    )
    for (const { path } of [primary, backup]) {
      if (!(await isErased(path))) findings.push({ path, what: 'not-erased', isRepaired: true })
    }
    return findings
  }

  /** Erases what earlier changes and unlocks have left beside the keystores. @returns what could not be erased */
  async eraseSuperseded(group: number): Promise<PlaceFinding[]> {
    const findings: PlaceFinding[] = []
    for (const path of this.pathsOf(group)) {
      const isDone = (await isErased(path)) && (await erases(`${path}.new`))
      if (!isDone) findings.push({ path, what: 'not-erased', isRepaired: true })
    }
    return findings
  }

  /**
   * Erases all keystores of a group that was deleted, with those that were kept beside them. Files that are bound to another
   * store or group, and files put aside that are bound to none, stay.
   * @throws an Error of the filesystem
   */
  async eraseAll(group: number): Promise<void> {
    for (const { path, ending } of await this.#filesOf(id => id === group)) {
      const { what, head } = await this.#readCopy(path, group)
      const isUnbound = head?.store === undefined && ending?.startsWith('aside-') === true
      if (what !== 'foreign' && !isUnbound) await eraseFile(path)
    }
  }

  /** Moves keystores of groups that never were out of their places. @returns the new names */
  async moveStraysAside(lastId: number): Promise<string[]> {
    const moved: string[] = []
    for (const { path, group, ending } of await this.#filesOf(id => id > lastId)) {
      if (ending !== undefined) continue
      moved.push(await moveAside(path, asideEnding(await this.#readCopy(path, group))))
    }
    return moved
  }

  async #filesOf(isWanted: (group: number) => boolean) {
    const files: { path: string; group: number; ending: string | undefined }[] = []
    for (const directory of this.#directories) {
      const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return []
        throw error
      })
      for (const name of names) {
        const [, id = '', ending] = FILE_NAME.exec(name) ?? []
        const group = Number(id)
        if (id === '' || !isWanted(group)) continue
        files.push({ path: join(directory, name), group, ending })
      }
    }
    return files
  }

  async #tryInstall(
    copy: KeystoreCopy,
    bytes: Uint8Array,
    known: ReadonlySet<string>,
    knownFate: Fate,
  ): Promise<PlaceFinding> {
    try {
      return await this.#install(copy, bytes, known, knownFate)
    } catch {
      // The caller raises an alert that names the place: one copy is too few, but no reason to stop.
      const what = copy.what === 'own' || copy.what === 'foreign' ? 'unwritable' : copy.what
      return { path: copy.path, what, isRepaired: false }
    }
  }

  async #install(
    copy: KeystoreCopy,
    bytes: Uint8Array,
    known: ReadonlySet<string>,
    knownFate: Fate,
  ): Promise<PlaceFinding> {
    const { path, what, head, digest = 'unreadable' } = copy
    if (what === 'missing') {
      await installKeystore(path, bytes, undefined)
      return { path, what, isRepaired: true }
    }
    if (known.has(digest)) {
      await installKeystore(path, bytes, knownFate)
      return { path, what: 'older', isRepaired: true }
    }
    const asidePath = await installKeystore(path, bytes, { ending: asideEnding(copy) })
    return {
      path,
      what: what === 'own' ? 'unproved' : what,
      isRepaired: true,
      ...(head && { sequence: head.sequence }),
      ...(asidePath !== undefined && { asidePath }),
    }
  }

  async #readCopy(path: string, group: number): Promise<KeystoreCopy> {
    try {
      const bytes = await readSmallFile(path, KEYSTORE_BYTES_MAX)
      const digest = digestOf(bytes)
      try {
        if (bytes.length > KEYSTORE_BYTES_MAX) return { path, what: 'damaged', digest }
        const head = parseKeystore(bytes)
        const isOwn = head.group === group && this.#isOfStore(head)
        return { path, what: isOwn ? 'own' : 'foreign', head, digest }
      } catch (error) {
        if (!(error instanceof CryptoError)) throw error
        return { path, what: 'damaged', digest }
      }
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      return { path, what: code === 'ENOENT' || code === 'ENOTDIR' ? 'missing' : 'unreadable' }
    }
  }

  #isOfStore({ store }: KeystoreHead): boolean {
    return store === undefined || this.#stores.has(store)
  }
}

function asideEnding({ head, digest = 'unreadable' }: KeystoreCopy): string {
  const name = digest.slice(0, NAME_DIGITS)
  return head === undefined ? `damaged-${name}` : `aside-${head.sequence}-${name}`
}

async function isErased(path: string): Promise<boolean> {
  return await erases(previousPath(path))
}

async function erases(path: string): Promise<boolean> {
  return await eraseFile(path).then(
    () => true,
    () => false,
  )
}
