// The table of POSIX rules, tried out in one directory: what each case gives, by its name.

import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { promisify } from 'node:util'

/** Tests run compiled, from dist/test/posix/. */
const PROGRAM = resolve(import.meta.dirname, '../../../test/posix/table.py')
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024
/** of the whole table */
export const CASES_MIN = 25_000

/** Which part of the table: every n-th case, chosen by a seed. */
export interface Sample {
  readonly every: number
  readonly seed: string
}

/** Makes the directory and tries the cases in it. */
export async function tableOutcomes(
  directory: string,
  { every, seed }: Sample,
): Promise<Map<string, string>> {
  mkdirSync(directory)
  chmodSync(directory, 0o777)
  const env = { ...process.env, COFFER_POSIX_EVERY: String(every), COFFER_POSIX_SEED: seed }
  const options = { env, maxBuffer: OUTPUT_BYTES_MAX }
  const { stdout } = await promisify(execFile)('python3', [PROGRAM, directory], options)
  const found = new Map<string, string>()
  for (const [index, line] of stdout.split('\n').entries()) {
    const colon = line.indexOf(': ')
    // a case may be told of more than once: its line's number tells them apart
    if (colon >= 0) found.set(`${index} ${line.slice(0, colon)}`, line.slice(colon + 2))
  }
  return found
}
