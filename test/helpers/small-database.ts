// A LevelDB database of a table, a manifest of several edits and a log, and places of damage in it.

import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { openDatabase } from '../../src/metadata/database.ts'
import type { Database } from '../../src/metadata/database.ts'
import { packFrame } from '../../src/metadata/frame.ts'

const VALUE_BYTES = 60
const BATCH_ENTRIES = 100

export const keyOf = (index: number): Buffer => Buffer.from(`key-${String(index).padStart(6, '0')}`)

export const valueOf = (index: number): Buffer =>
  Buffer.alloc(VALUE_BYTES, `value ${index.toString()} `)

export async function scratch(test: Pick<Test, 'teardown'>): Promise<string> {
  const base = await mkdtemp(join(tmpdir(), 'coffer-tables-'))
  // What is kept of cut logs lies beside the database.
  test.teardown(() => rm(base, { recursive: true, force: true }))
  const directory = join(base, 'metadata')
  await mkdir(directory)
  return directory
}

/** Even keys in a table, odd ones in the log. @returns how many keys there are */
export async function makeDatabase(directory: string, count = 2000): Promise<number> {
  const database = await openDatabase({ directory, createIfMissing: true })
  const put = async (from: number, step: number): Promise<void> => {
    for (let first = from; first < count; first += step * BATCH_ENTRIES) {
      const batch = database.batch()
      const end = Math.min(count, first + step * BATCH_ENTRIES)
      for (let index = first; index < end; index += step) {
        batch.put(keyOf(index), packFrame(keyOf(index), valueOf(index)))
      }
      await batch.write({ sync: true })
    }
  }
  await put(0, 4)
  await compact(database, keyOf(0), keyOf(count))
  await put(2, 4)
  await compact(database, keyOf(0), keyOf(count))
  await put(1, 2)
  await database.close()
  return count
}

/** What `level` is on Node, and its types don't say. */
export async function compact(database: Database, from: Buffer, to: Buffer): Promise<void> {
  const method: unknown = Reflect.get(database, 'compactRange')
  if (typeof method !== 'function') throw new Error('the database has no compactRange')
  await Reflect.apply(method, database, [from, to])
}

/** Names of the files that hold something, without LevelDB's notes for people. */
export async function filesOf(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter(name => /^(CURRENT|MANIFEST-|\d+\.)/.test(name))
}

export async function named(directory: string, pattern: RegExp): Promise<string> {
  const name = (await filesOf(directory)).filter(file => pattern.test(file)).at(-1)
  if (name === undefined) throw new Error(`there is no ${pattern}`)
  return join(directory, name)
}

export async function copyOf(test: Pick<Test, 'teardown'>, directory: string): Promise<string> {
  const copy = await scratch(test)
  await cp(directory, copy, { recursive: true })
  return copy
}

export async function change(path: string, edit: (bytes: Buffer) => Buffer | void): Promise<void> {
  const bytes = await readFile(path)
  await writeFile(path, edit(bytes) ?? bytes)
}

export function flip(bytes: Buffer, at: number, mask = 0x10): void {
  bytes[at] = (bytes[at] ?? 0) ^ mask
}
