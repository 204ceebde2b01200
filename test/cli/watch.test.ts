// --watch: what is printed to a terminal, to a file and as JSON, and how it ends.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { printOrWatch } from '../../src/cli/watch.ts'
import type { CliIo } from '../../src/cli/io.ts'
import { run, serve } from './run.ts'

/** Interrupts itself after some rounds. */
async function watch(env: CliIo['env'], rounds: number, how: { json?: boolean; tty?: boolean }) {
  const controller = new AbortController()
  const outs: string[] = []
  const io = {
    env,
    isRoot: false,
    isTerminal: how.tty === true,
    out: (text: string) => void outs.push(text),
    interrupted: () => controller.signal,
  } as unknown as CliIo
  const argv = { watch: true, json: how.json === true, socket: undefined }
  const watched = {
    call: async () => {
      if (outs.length === rounds - 1) setTimeout(() => controller.abort(), 5)
      return await Promise.resolve({ round: outs.length })
    },
    write: ({ round }: { round: number }) => `Round : ${round}\nEnd\n`,
  }
  await printOrWatch(io, argv, watched, 20)
  return outs
}

t.test('rounds go on until the interruption', async t => {
  const { env } = await serve(t)
  t.same(await watch(env, 3, {}), ['Round : 0\nEnd\n', '\nRound : 1\nEnd\n', '\nRound : 2\nEnd\n'])
  t.same(await watch(env, 2, { json: true, tty: true }), ['{"round":0}\n', '{"round":1}\n'])
  const frame = (round: number) => `\u001B[HRound : ${round}\u001B[K\nEnd\u001B[K\n\u001B[J`
  t.same(await watch(env, 2, { tty: true }), [frame(0), frame(1)])
})

t.test('the commands have it', async t => {
  const io = { ...(await serve(t)), interrupted: () => AbortSignal.timeout(30) }
  await run('container add c', io)
  for (const what of ['system', 'system --prometheus', 'storage-group g', 'container c']) {
    const once = await run(`stats ${what}`, io)
    t.match(once, { status: 0, err: '' })
    t.equal((await run(`stats ${what} --watch`, io)).out, once.out, what)
    const { out } = await run(`stats ${what} --watch --json`, io)
    t.equal(out.split('\n').length, 2, 'one line a round')
    t.type(JSON.parse(out), 'object')
  }
})

t.test('the process ends in order when it is interrupted, and when nobody reads', async t => {
  const { env } = await serve(t)
  const launcher = fileURLToPath(new URL('../../../scripts/coffer', import.meta.url))
  const start = () =>
    spawn(launcher, ['stats', 'system', '--watch'], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  const interrupted = start()
  await once(interrupted.stdout, 'data')
  interrupted.kill('SIGINT')
  t.same(await once(interrupted, 'exit'), [0, null])

  const unread = start()
  let complaint = ''
  unread.stderr.on('data', (text: Buffer) => (complaint += text.toString()))
  await once(unread.stdout, 'data')
  unread.stdout.destroy()
  t.same(await once(unread, 'exit'), [0, null])
  t.equal(complaint, '')
})
