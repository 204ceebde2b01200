// The two places of a group's keystore. The copy with the highest sequence among the whole ones counts; the other place
// is written again from it, byte for byte, which needs no passphrase.

import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { makeDirectoryDurably, writeDurably } from '../durable-file.ts'
import { CryptoError } from './errors.ts'
import { KEYSTORE_BYTES_MAX, parseKeystore, type KeystoreHead } from './keystore-format.ts'

/** What was wrong with a place; the other one was whole. */
export interface PlaceFinding {
  readonly path: string
  readonly what: 'missing' | 'damaged' | 'older' | 'unwritable'
  readonly isRepaired: boolean
}

export interface FoundKeystore {
  readonly head: KeystoreHead
  readonly findings: readonly PlaceFinding[]
}

type Copy = { path: string; head?: KeystoreHead; what: 'whole' | 'missing' | 'damaged' }

export class KeystorePlaces {
  readonly #directories: readonly [primary: string, backup: string]

  constructor(primaryDirectory: string, backupDirectory: string) {
    this.#directories = [primaryDirectory, backupDirectory]
  }

  /** Where the keystore of a group lies, primary first. */
  pathsOf(group: number): string[] {
    return this.#directories.map(directory => join(directory, `${group}.keystore`))
  }

  /**
   * The keystore that counts; repairs the other place. undefined when there is none in either place.
   * @param sequenceMin what is older was put back by somebody
   * @throws CryptoError KEYSTORE_DAMAGED, KEYSTORE_ROLLED_BACK
   */
  async read(group: number, sequenceMin: number): Promise<FoundKeystore | undefined> {
    const copies: Copy[] = []
    for (const path of this.pathsOf(group)) copies.push(await readCopy(path, group))
    if (copies.every(copy => copy.what === 'missing')) return undefined
    const newest = newestOf(copies)
    if (newest === undefined) {
      throw new CryptoError(
        'KEYSTORE_DAMAGED',
        `No copy of the keystore is whole (${copies.map(copy => copy.path).join(', ')}). ` +
          'Put a good copy back into one of the places.',
      )
    }
    if (newest.sequence < sequenceMin) {
      throw new CryptoError(
        'KEYSTORE_ROLLED_BACK',
        `Both copies of the keystore are older (${newest.sequence}) than the last one that was ` +
          `written (${sequenceMin}). Put the newer copy back into one of the places.`,
      )
    }
    const findings: PlaceFinding[] = []
    for (const copy of copies) {
      if (copy.head?.sequence === newest.sequence) continue
      const what = copy.what === 'whole' ? 'older' : copy.what
      const isRepaired = await this.#writeOne(copy.path, newest.bytes)
      findings.push({ path: copy.path, what, isRepaired })
    }
    return { head: newest, findings }
  }

  /**
   * First the primary place, then the backup: from the first rename on, the new keystore is the one that counts.
   * @returns what could not be written; the primary place has been, or the call throws
   */
  async write(group: number, bytes: Uint8Array): Promise<PlaceFinding[]> {
    const [primary, backup] = this.pathsOf(group)
    if (primary === undefined || backup === undefined) throw new Error('a keystore has two places')
    await makeDirectoryDurably(this.#directories[0])
    await writeDurably('keystore', primary, bytes)
    if (await this.#writeOne(backup, bytes)) return []
    return [{ path: backup, what: 'unwritable', isRepaired: false }]
  }

  async #writeOne(path: string, bytes: Uint8Array): Promise<boolean> {
    try {
      await makeDirectoryDurably(dirname(path))
      await writeDurably('keystore', path, bytes)
      return true
    } catch {
      // The caller raises an alert that names the place: one copy is too few, but no reason to stop.
      return false
    }
  }
}

function newestOf(copies: readonly Copy[]): KeystoreHead | undefined {
  let newest: KeystoreHead | undefined
  for (const { head } of copies) {
    if (head !== undefined && head.sequence > (newest?.sequence ?? -1)) newest = head
  }
  return newest
}

async function readCopy(path: string, group: number): Promise<Copy> {
  try {
    const bytes = await readFile(path)
    if (bytes.length > KEYSTORE_BYTES_MAX) return { path, what: 'damaged' }
    const head = parseKeystore(bytes)
    return head.group === group ? { path, head, what: 'whole' } : { path, what: 'damaged' }
  } catch (error) {
    if (error instanceof CryptoError) return { path, what: 'damaged' }
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    // A place that can't be read now (not mounted, refused) is like a missing one: the other copy serves.
    return { path, what: code === 'ENOENT' || code === 'ENOTDIR' ? 'missing' : 'damaged' }
  }
}
