// A sample of the table of POSIX rules through the second transport: what is listed in differences.ts may differ, nothing
// else. COFFER_TRANSPORT_EVERY=1 tries all of it, COFFER_POSIX_SEED chooses another sample.

import { chmodSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { MountedCoffer } from '../helpers/mounted.ts'
import { CASES_MIN, tableOutcomes } from '../posix/table-outcomes.ts'
import { tableDifferences } from './differences.ts'
import { served, startOptions, transportSkipReason } from './package.ts'

const EVERY = Number(process.env['COFFER_TRANSPORT_EVERY'] ?? 400)
const SEED = process.env['COFFER_POSIX_SEED'] ?? '1'

/** The table is about what several users may do. */
const skip =
  transportSkipReason === false && served === 'fuse-native'
    ? 'fuse-native lets nobody in but the user of the daemon'
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
  const differing = new Set<string>()
  for (const [key, outcome] of wanted) if (found.get(key) !== outcome) differing.add(key)
  for (const key of found.keys()) if (!wanted.has(key)) differing.add(key)
  const caseOf = (key: string): string => key.slice(key.indexOf(' ') + 1)
  for (const { cases, reason, isAlwaysTried } of tableDifferences) {
    const seen = [...differing].filter(key => cases.test(caseOf(key)))
    for (const key of seen) differing.delete(key)
    if (isAlwaysTried) t.ok(seen.length > 0, `still different: ${reason}`)
  }
  t.same(
    [...differing].map(key => [key, found.get(key), wanted.get(key)]),
    [],
    'nothing else differs',
  )
})
