// The table of POSIX rules gives the same lines on the mount as on a plain directory. A sample of it in a usual run;
// COFFER_POSIX_EVERY=1 tries all of it, COFFER_POSIX_SEED repeats a printed sample.

import { chmodSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { MountedCoffer, mountSkipReason } from '../helpers/mounted.ts'
import { CASES_MIN, tableOutcomes } from './table-outcomes.ts'

/** All takes three minutes, mostly in making and removing what the cases work on. */
const EVERY = Number(process.env['COFFER_POSIX_EVERY'] ?? 100)
const SEED = process.env['COFFER_POSIX_SEED'] ?? String(Date.now() % 2 ** 31)

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

  const sample = { every: EVERY, seed: SEED }
  const wanted = await tableOutcomes(join(plain, 'table'), sample)
  const found = await tableOutcomes(join(coffer.mount, 'c', 'table'), sample)
  t.ok(wanted.size > CASES_MIN / EVERY, `${wanted.size} cases`)
  t.same(Object.fromEntries(found), Object.fromEntries(wanted))
})
