// One file read and written in every way there is, beside a copy in memory; one tree, in which several processes make,
// move and remove names. What must hold holds, also after the daemon was killed. COFFER_POSIX_STEPS sets how long it
// takes, COFFER_POSIX_SEED repeats a printed run.

import { resolve, join } from 'node:path'
import { test } from 'tap'
import { mountSkipReason, startedCoffer, tool } from '../helpers/mounted.ts'

/** Tests run compiled, from dist/test/posix/. */
const PROGRAM = resolve(import.meta.dirname, '../../../test/posix/hammer.py')
const STEPS = Number(process.env['COFFER_POSIX_STEPS'] ?? 100)
const SEED = Number(process.env['COFFER_POSIX_SEED'] ?? Date.now() % 2 ** 31)
const FILES = 2
const WORKERS = 4

const hammer = (...args: readonly (string | number)[]): Promise<string> =>
  tool('python3', PROGRAM, ...args.map(String))

test('hammering', { skip: mountSkipReason }, async t => {
  const coffer = await startedCoffer(t, 'c')
  const top = join(coffer.mount, 'c')
  t.comment(`COFFER_POSIX_SEED=${SEED} COFFER_POSIX_STEPS=${STEPS}`)

  await t.test('one file in every way there is', async t => {
    for (let file = 0; file < FILES; file++) {
      const path = join(top, `file${file}`)
      const told = await hammer('file', path, SEED + file, STEPS)
      t.equal(await tool('stat', '-c', '%s', path), `${told.split(' ')[0] ?? ''}\n`)
    }
  })

  await t.test('one tree by several processes', async t => {
    const tree = join(top, 'tree')
    const told = await hammer('tree', tree, SEED, STEPS, WORKERS)
    t.match(told, / files/)
    await tool('bash', '-c', `find ${tree} -type f -o -type d | xargs -d '\\n' sync`)
    await coffer.kill()
    await coffer.start()
    t.equal(await hammer('holds', tree), told, 'the same after a kill')
  })
})
