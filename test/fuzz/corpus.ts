// The inputs that are kept: one file each, in a folder a target. What crashed once stays as a regression.

import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Tests run compiled, from dist/test/fuzz/. */
export const CORPUS = resolve(import.meta.dirname, '../../../test/fuzz/corpus')

export interface KeptInput {
  readonly name: string
  readonly bytes: Uint8Array
}

export function readCorpus(target: string, directory = CORPUS): KeptInput[] {
  const folder = join(directory, target)
  let names: string[] = []
  try {
    names = readdirSync(folder).sort()
  } catch {
    // A target without kept inputs has no folder.
  }
  return names.map(name => ({ name, bytes: readFileSync(join(folder, name)) }))
}

/** @returns the file's path */
export function keep(
  target: string,
  kind: 'reached' | 'crash',
  bytes: Uint8Array,
  directory = CORPUS,
): string {
  const folder = join(directory, target)
  mkdirSync(folder, { recursive: true })
  const name = `${kind}-${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}`
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}
