// Random calls by two processes, on the mount and on a plain directory of the machine's own filesystem: every result,
// errno and, at the end, everything that is there must be the same. Between the calls the daemon now and then stops
// or is killed. COFFER_POSIX_RUNS sets the number of sequences, COFFER_POSIX_SEED repeats a printed one.

import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { test } from 'tap'
import { MountedCoffer, mountSkipReason } from '../helpers/mounted.ts'
import { Sides, type Call } from './agents.ts'
import { anyCall, PRELUDE } from './calls.ts'

const RUNS = Number(process.env['COFFER_POSIX_RUNS'] ?? 100)
const SEED = Number(process.env['COFFER_POSIX_SEED'] ?? Date.now() % 2 ** 31)
const CALLS_MAX = 60
/** one sequence in so many has a restart in it: each takes about a second */
const RESTART_EVERY = 12

const step = fc.record({ process: fc.constantFrom(0, 1), call: anyCall })

test('random calls give what they give elsewhere', { skip: mountSkipReason }, async t => {
  const coffer = new MountedCoffer()
  const plain = mkdtempSync(join(tmpdir(), 'coffer-plain-'))
  t.teardown(async () => {
    await coffer.remove()
    await rm(plain, { recursive: true, force: true })
  })
  // mkdtemp's are for their owner alone
  for (const directory of [plain, coffer.base]) chmodSync(directory, 0o755)
  await coffer.start('--allow-other')
  await coffer.coffer('container', 'add', 'c')
  chmodSync(join(coffer.mount, 'c'), 0o777)
  const sides = new Sides(join(coffer.mount, 'c'), plain)
  t.teardown(() => sides.end())
  t.comment(`COFFER_POSIX_SEED=${SEED}`)

  let sequence = 0
  const same = async (process: number, call: Call): Promise<void> => {
    const { mount, plain: expected } = await sides.run(process, call)
    assert.deepEqual(mount, expected, JSON.stringify(call))
  }
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: CALLS_MAX, size: 'max' }),
      async steps => {
        sequence += 1
        const home = `s${sequence}`
        await sides.home(home)
        for (const process of [0, 1]) {
          for (const call of PRELUDE) await same(process, call)
        }
        const restartAt = sequence % RESTART_EVERY === 0 ? Math.floor(steps.length / 2) : -1
        for (const [index, { process, call }] of steps.entries()) {
          if (index === restartAt) await restart(home)
          await same(process, call)
        }
        await same(0, { op: 'tree', path: '.' })
      },
    ),
    { numRuns: RUNS, seed: SEED, endOnFailure: process.env['COFFER_POSIX_SHRINK'] === undefined },
  )
  t.pass(`${RUNS} sequences agree`)

  /** Stops or kills the daemon. Everything was synced, so that it is all there afterwards. */
  async function restart(home: string): Promise<void> {
    await same(0, { op: 'sync_all', path: '.' })
    await same(0, { op: 'tree', path: '.' })
    await sides.home(home)
    if (sequence % (2 * RESTART_EVERY) === 0) await coffer.kill()
    else await coffer.stop()
    await coffer.start('--allow-other')
    await sides.home(home)
    await same(0, { op: 'tree', path: '.' })
  }
})
