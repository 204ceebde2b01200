// The table of POSIX rules gives the same lines on the mount as on a plain directory. A sample of it in a usual run;
// COFFER_POSIX_EVERY=1 tries all of it, COFFER_POSIX_SEED repeats a printed sample.

import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'tap'
import { MountedCoffer, mountSkipReason } from '../helpers/mounted.ts'

/** Tests run compiled, from dist/test/posix/. */
const PROGRAM = resolve(import.meta.dirname, '../../../test/posix/table.py')
/** All takes three minutes, mostly in making and removing what the cases work on. */
const EVERY = Number(process.env['COFFER_POSIX_EVERY'] ?? 100)
const SEED = process.env['COFFER_POSIX_SEED'] ?? String(Date.now() % 2 ** 31)
const CASES_MIN = 25_000
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024

async function outcomes(directory: string): Promise<Map<string, string>> {
  mkdirSync(directory)
  chmodSync(directory, 0o777)
  const env = { ...process.env, COFFER_POSIX_EVERY: String(EVERY), COFFER_POSIX_SEED: SEED }
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

test('the table of POSIX rules', { skip: mountSkipReason }, async t => {
  const coffer = new MountedCoffer()
  const plain = mkdtempSync(join(tmpdir(), 'coffer-plain-'))
  for (const directory of [plain, coffer.base]) chmodSync(directory, 0o755)
  t.teardown(async () => {
    await coffer.remove()
    await rm(plain, { recursive: true, force: true })
  })
  await coffer.start('--allow-other')
  await coffer.coffer('container', 'add', 'c')
  t.comment(`COFFER_POSIX_SEED=${SEED} COFFER_POSIX_EVERY=${EVERY}`)

  const wanted = await outcomes(join(plain, 'table'))
  const found = await outcomes(join(coffer.mount, 'c', 'table'))
  t.ok(wanted.size > CASES_MIN / EVERY, `${wanted.size} cases`)
  t.same(Object.fromEntries(found), Object.fromEntries(wanted))
})
