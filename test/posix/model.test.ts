// Random calls by two processes, on the mount and on a plain directory of the machine's own filesystem: every result,
// errno and, at the end, everything that is there must be the same. Between the calls the daemon now and then stops
// or is killed. COFFER_POSIX_RUNS sets the number of sequences, COFFER_POSIX_SEED repeats a printed one,
// with COFFER_POSIX_PATH only the one that failed.

import { test } from 'tap'
import { mountSkipReason } from '../helpers/mounted.ts'
import { RandomCalls } from './random-calls.ts'

const RUNS = Number(process.env['COFFER_POSIX_RUNS'] ?? 100)
const SEED = Number(process.env['COFFER_POSIX_SEED'] ?? Date.now() % 2 ** 31)

test('random calls give what they give elsewhere', { skip: mountSkipReason }, async t => {
  const calls = await RandomCalls.begin(t)
  t.comment(`COFFER_POSIX_SEED=${SEED}`)
  await calls.compare({ runs: RUNS, seed: SEED })
  t.pass(`${RUNS} sequences agree`)
})
