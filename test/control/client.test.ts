// The client against whatever may listen on a socket: a daemon of another version, or no daemon at all.

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import t from 'tap'
import type { Test } from 'tap'

import { connectControl } from '../../src/control/client.ts'
import { MAX_LINE_BYTES } from '../../src/control/protocol.ts'
import { startControlServer } from '../../src/control/server.ts'
import { VERSION } from '../../src/version.ts'
import { fakeTarget } from './fake-target.ts'

async function makeFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-client-'))
  t.teardown(async () => await rm(folder, { recursive: true }))
  return folder
}

/** A client whose first request is met with `reply`. */
async function connected(t: Test, reply: (socket: Socket) => void) {
  const path = join(await makeFolder(t), 'sock')
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => reply(socket))
  })
  await new Promise<void>(resolve => server.listen(path, resolve))
  const client = await connectControl(path)
  t.teardown(async () => {
    client.close()
    await new Promise<void>(resolve => server.close(() => resolve()))
  })
  return client
}

const answer = (fields: object) => JSON.stringify({ jsonrpc: '2.0', id: 1, ...fields })
const error = { code: -32000, message: 'No.', data: { code: 'REFUSED' } }

t.test('nobody at all', async t => {
  await t.rejects(connectControl(join(await makeFolder(t), 'none')), { code: 'NO_DAEMON' })
})

const malformed: [name: string, line: string][] = [
  ['another protocol', 'HTTP/1.1 400 Bad Request'],
  ['an empty line', ''],
  ['null', 'null'],
  ['a number', '1'],
  ['a batch', `[${answer({ result: {} })}]`],
  ['another version of JSON-RPC', '{"jsonrpc":"1.0","id":1,"result":{}}'],
  ['neither result nor error', answer({})],
  ['both of them', answer({ result: {}, error })],
  ['a result that is null', answer({ result: null })],
  ['a result that is an array', answer({ result: [] })],
  ['a result that is a string', answer({ result: 'x' })],
  ['a result without an id', '{"jsonrpc":"2.0","result":{}}'],
  ['a result with the id null', answer({ id: null, result: {} })],
  ['an id that is a string', answer({ id: '1', result: {} })],
  ['an error that is null', answer({ error: null })],
  ['an error that is a string', answer({ error: 'x' })],
  ['an error without a code', answer({ error: { message: 'x' } })],
  ['an error without a message', answer({ error: { code: 1 } })],
  ['an error whose message is no text', answer({ error: { code: 1, message: {} } })],
  ['an error whose data is null', answer({ error: { ...error, data: null } })],
  ['an error whose own code is no text', answer({ error: { ...error, data: { code: 1 } } })],
  ['an error without an id', JSON.stringify({ jsonrpc: '2.0', error })],
  ['a request', answer({ method: 'x' })],
  ['a notification whose method is no text', '{"jsonrpc":"2.0","method":1}'],
]

t.test('what is no answer', async t => {
  for (const [name, line] of malformed) {
    const client = await connected(t, socket => socket.write(`${line}\n`))
    await t.rejects(client.call('alerts.show', {}), { code: 'BAD_ANSWER' }, name)
    await t.rejects(client.call('alerts.show', {}), { code: 'CONNECTION_LOST' }, `${name}: ended`)
  }
})

t.test('an end, or none', async t => {
  const silent = await connected(t, socket => socket.end())
  await t.rejects(silent.call('alerts.show', {}), { code: 'CONNECTION_LOST' })
  const endless = await connected(t, socket => socket.write('x'.repeat(MAX_LINE_BYTES + 1)))
  await t.rejects(endless.call('alerts.show', {}), { code: 'CONNECTION_LOST' })
})

t.test('errors', async t => {
  const refusing = await connected(t, socket => socket.write(`${answer({ error })}\n`))
  const refusal = { code: 'REFUSED', rpcCode: -32000, message: 'No.' }
  await t.rejects(refusing.call('alerts.show', {}), refusal)
  const busy = await connected(t, socket => socket.write(`${answer({ id: null, error })}\n`))
  const calls = [busy.call('alerts.show', {}), busy.call('system.status', {})]
  for (const call of calls) await t.rejects(call, refusal, 'one without an id ends all calls')
})

t.test('what was not asked for is passed over', async t => {
  const progress = { phase: 'mark', doneBytes: 0, totalBytes: 0, etaSeconds: null, text: null }
  const tell = (params: unknown) =>
    JSON.stringify({ jsonrpc: '2.0', method: 'jobs.progress', params })
  const lines = [
    answer({ id: 77, result: {} }),
    answer({ id: 77, error }),
    '{"jsonrpc":"2.0","method":"jobs.somethingNew"}',
    ...[undefined, null, 1, [], { id: 1 }].map(tell),
    ...Object.keys(progress).map(key => tell({ id: 1, ...progress, [key]: {} })),
    tell({ id: 1, ...progress }),
    answer({ result: { state: 'finished', text: '' } }),
  ]
  const client = await connected(t, socket => socket.write(`${lines.join('\n')}\n`))
  const told: unknown[] = []
  await client.watch(1, each => told.push(each))
  t.strictSame(told, [{ id: 1, ...progress }])
})

t.test('the version of the daemon', async t => {
  const path = join(await makeFolder(t), 'sock')
  const server = await startControlServer(path, fakeTarget())
  const client = await connectControl(path)
  t.teardown(async () => {
    client.close()
    await server.close()
  })
  t.equal(client.daemonVersion, undefined, 'is not known before it answers')
  await client.call('alerts.show', {})
  t.equal(client.daemonVersion, VERSION, 'is in every answer')

  const refused = { cofferVersion: '9.9.9', error }
  const newer = await connected(t, socket => socket.write(`${answer(refused)}\n`))
  await t.rejects(newer.call('alerts.show', {}), { code: 'REFUSED' })
  t.equal(newer.daemonVersion, '9.9.9', 'also in one that is an error')
  const mute = await connected(t, socket => socket.write(`${answer({ result: {} })}\n`))
  await mute.call('alerts.show', {})
  t.equal(mute.daemonVersion, 'unknown', 'or is said to be missing')
})
