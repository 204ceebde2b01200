// What the daemon makes of the limits that it inherits.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { limitGoals } from '../../src/daemon/process-state.ts'
import { getLimit, setLimit } from '../../src/native/process-limits.ts'
import { BARE_NODE } from '../helpers/bare-node.ts'

const run = promisify(execFile)
const PROCESS_STATE = new URL('../../src/daemon/process-state.js', import.meta.url)

t.test('limitGoals asks for what the daemon needs', async t => {
  const filesOf = (hard: number) => limitGoals({ openFiles: { soft: 64, hard } }).openFiles.wanted
  t.strictSame(filesOf(64), { soft: 4096, hard: 4096 })
  t.strictSame(filesOf(20_000), { soft: 20_000, hard: 20_000 })
  const { core, fileSize: goal } = limitGoals({ openFiles: { soft: 64, hard: 64 } })
  t.strictSame(core.wanted, { soft: 0, hard: 0 })
  t.strictSame(goal, { wanted: { soft: Infinity, hard: Infinity }, softMin: Infinity })
})

t.test('setLimit and getLimit agree; a wrong name or value is refused', async t => {
  const { hard } = getLimit('core')
  t.ok(setLimit('core', { soft: 0, hard }))
  t.strictSame(getLimit('core'), { soft: 0, hard })
  t.throws(() => getLimit('nothing' as 'core'), TypeError)
  t.throws(() => setLimit('core', { soft: -1, hard }), TypeError)
  t.throws(() => setLimit('core', { soft: 1, hard: 0 }), { code: 'EINVAL' })
})

/** Calls resetProcessState in a process that a shell line prepared. */
async function resetAfter(prepare: string): Promise<string> {
  const script = `
    import { resetProcessState } from '${PROCESS_STATE.href}'
    import { readFileSync } from 'node:fs'
    try {
      resetProcessState()
      const limits = readFileSync('/proc/self/limits', 'utf8')
      process.kill(process.pid, 'SIGXFSZ')
      setTimeout(() => console.log(process.cwd(), process.umask().toString(8), limits), 50)
    } catch (error) {
      console.log(error.code, error.message)
    }`
  const command = [...BARE_NODE, '--input-type=module', '-e', script]
  const line = `${prepare}; exec env "$@"`
  const { stdout } = await run('bash', ['-c', line, 'bash', ...command], { cwd: '/tmp' })
  return stdout
}

t.test('resetProcessState replaces what the shell has set', async t => {
  const text = await resetAfter(
    'umask 0; ulimit -S -f 20000; ulimit -S -n 256; ulimit -S -t 900; ' +
      'ulimit -S -v 30000000; ulimit -S -d 20000000',
  )
  t.match(text, /^\/ 77 /)
  t.match(text, /Max core file size +0 +0/)
  t.match(text, /Max file size +unlimited +unlimited/)
  t.match(text, /Max cpu time +unlimited +unlimited/)
  t.match(text, /Max address space +unlimited +unlimited/)
  t.match(text, /Max data size +unlimited +unlimited/)
  const [, soft, hard] = /Max open files +(\d+) +(\d+)/.exec(text) ?? []
  t.ok(Number(soft) >= 4096)
  t.equal(soft, hard)
})

t.test('resetProcessState refuses limits that it may not raise', async t => {
  const drop = 'setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource'
  for (const [limit, words] of [
    ['-f 20000', /LIMIT_TOO_LOW .*LimitFSIZE=/],
    ['-t 900', /LIMIT_TOO_LOW .*CPU time.*LimitCPU=.*unlimited/],
    ['-v 12000000', /LIMIT_TOO_LOW .*LimitAS=.* 12288000000;/],
    ['-d 3000000', /LIMIT_TOO_LOW .*LimitDATA=/],
    ['-n 256', /LIMIT_TOO_LOW .*LimitNOFILE=.* 256;.*4096/],
  ] as const) {
    const text = await resetAfter(`ulimit ${limit}; set -- ${drop} env "$@"`)
    t.match(text, words)
  }
})
