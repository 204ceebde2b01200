// The second transport beside a plain directory: what is listed in differences.ts differs, each of them and nothing else.
// COFFER_TRANSPORT_RUNS sets the number of random sequences, COFFER_POSIX_SEED repeats a printed one.

import { test } from 'tap'
import { RandomCalls } from '../posix/random-calls.ts'
import { differencesOf, isKnownToDiffer } from './differences.ts'
import { served, startOptions, transportSkipReason } from './package.ts'

/** Each has up to 60 calls. */
const RUNS = Number(process.env['COFFER_TRANSPORT_RUNS'] ?? 4)
const SEED = Number(process.env['COFFER_POSIX_SEED'] ?? Date.now() % 2 ** 31)
/** A machine that is never fast enough for what shows within a time only is told. */
const MOST_ATTEMPTS = 20

test('calls beside a plain directory', { skip: transportSkipReason }, async t => {
  const calls = await RandomCalls.begin(t, startOptions)
  const known = differencesOf(served)
  t.ok(known.length > 0, `${served} has its differences`)

  for (const { what, shows, gives, showsWithinMs } of known) {
    let outcomes
    for (let attempt = 1; ; attempt += 1) {
      const beginMs = performance.now()
      outcomes = await calls.tryOut(shows)
      const isInTime = performance.now() - beginMs < (showsWithinMs ?? Infinity)
      if (isInTime || attempt === MOST_ATTEMPTS) break
    }
    t.notSame(outcomes?.mount, outcomes?.plain, `still different: ${what}`)
    if (gives !== undefined) t.same(outcomes?.mount, gives, what)
  }

  t.comment(`COFFER_POSIX_SEED=${SEED}`)
  await calls.compare({
    runs: RUNS,
    seed: SEED,
    leavesOut: call => isKnownToDiffer(known, call),
    without: known.flatMap(({ without }) => without ?? []),
    // What was deleted while open has a name again after a kill: programs.test.ts looks at it.
    kills: false,
  })
  t.pass(`${RUNS} sequences agree`)
})
