// A command and a daemon of different versions: the one that runs has to be stopped by the one that was installed, and
// whatever else happens has to be understood. And what keeps commands quick: they don't load what validates.

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'

import t from 'tap'
import type { Test } from 'tap'

import { makeFolder, run, serve } from './run.ts'

/** The environment that leads to a daemon which gives the same answer to everything. */
async function serveAnswer(t: Test, answer: object) {
  const path = join(await makeFolder(t), 'sock')
  const text = `${JSON.stringify({ jsonrpc: '2.0', id: 1, ...answer })}\n`
  const server = createServer(socket => socket.once('data', () => socket.write(text)))
  await new Promise<void>(resolve => server.listen(path, resolve))
  t.teardown(async () => await new Promise<void>(resolve => server.close(() => resolve())))
  return { env: { COFFER_SOCKET: path } }
}

t.test('of the same version', async t => {
  t.equal((await run('alerts show', await serve(t))).err, '', 'nothing is said about it')
})

t.test('of another version', async t => {
  const result = { alerts: [] }
  const newer = await serveAnswer(t, { cofferVersion: '9.9.9\u001B[2J', result })
  const { status, out, err } = await run('alerts show', newer)
  t.match(
    { status, out },
    { status: 0, out: 'There are no alerts.\n' },
    'the command is carried out',
  )
  t.match(err, /^coffer: The daemon's version is 9\.9\.9\\x1b\[2J, this command's is \S+: .+\n$/)
  t.match((await run('alerts show', await serveAnswer(t, { result }))).err, /version is unknown/)

  const error = { code: -32601, message: 'There is no method "alerts.show".' }
  const older = await run('alerts show', await serveAnswer(t, { cofferVersion: '0.0.1', error }))
  t.equal(older.status, 1)
  t.match(older.err, /version is 0\.0\.1.*\n.*There is no method/, 'a refusal is explained')
})

t.test('an answer that lacks what is shown', async t => {
  const empty = await serveAnswer(t, { result: {} })
  for (const line of ['alerts show', 'status', 'stats system', 'stats cleaner']) {
    const { status, err } = await run(line, empty)
    t.equal(status, 1, line)
    t.match(err, /The daemon's answer is not understood/, line)
  }
})

t.test('no command loads the schemas', async t => {
  const seen = new Set<string>()
  const packages = new Set<string>()
  const visit = async (url: URL): Promise<void> => {
    if (seen.has(url.href)) return
    seen.add(url.href)
    const text = await readFile(url, 'utf8')
    for (const [, name = ''] of text.matchAll(/^(?:import|export) .*?'([^']+)';?$/gm)) {
      if (name.startsWith('.')) await visit(new URL(name, url))
      else packages.add(name)
    }
  }
  const parts = ['cli/main.js', 'cli/parser.js', 'cli/launch.js', 'control/client.js']
  for (const part of parts) await visit(new URL(`../../src/${part}`, import.meta.url))
  t.ok(packages.has('yargs'), `${seen.size} modules were followed`)
  t.notOk(packages.has('zod'))
})
