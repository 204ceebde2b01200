// A sample of the table of POSIX rules through the second transport. COFFER_TRANSPORT_EVERY=1 tries all of it,
// COFFER_POSIX_SEED repeats a printed sample.

import { chmodSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { MountedCoffer } from '../helpers/mounted.ts'
import { CASES_MIN, tableOutcomes } from '../posix/table-outcomes.ts'
import { served, startOptions, transportSkipReason } from './package.ts'

const EVERY = Number(process.env['COFFER_TRANSPORT_EVERY'] ?? 400)
const SEED = process.env['COFFER_POSIX_SEED'] ?? String(Date.now() % 2 ** 31)

/** The table is about what several users may do. */
const skip =
  transportSkipReason === false && served === 'fuse-native'
    ? 'fuse-native lets nobody in but the daemon’s own user'
    : transportSkipReason

test('the table of POSIX rules', { skip }, async t => {
  const coffer = new MountedCoffer()
  const plain = mkdtempSync(join(tmpdir(), 'coffer-plain-'))
  for (const directory of [plain, coffer.base]) chmodSync(directory, 0o755)
  t.teardown(async () => {
    await coffer.remove()
    await rm(plain, { recursive: true, force: true })
  })
  await coffer.start(...startOptions)
  await coffer.coffer('container', 'add', 'c')
  t.comment(`COFFER_POSIX_SEED=${SEED} COFFER_TRANSPORT_EVERY=${EVERY}`)

  const sample = { every: EVERY, seed: SEED }
  const wanted = await tableOutcomes(join(plain, 'table'), sample)
  const found = await tableOutcomes(join(coffer.mount, 'c', 'table'), sample)
  t.ok(wanted.size > CASES_MIN / EVERY, `${wanted.size} cases`)
  t.same(Object.fromEntries(found), Object.fromEntries(wanted))
})
