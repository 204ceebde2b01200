// The control socket against clients that mean well, and clients that don't.

import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import t from 'tap'
import type { Test } from 'tap'

import { setInternalErrorSink } from '../../src/internal-errors.ts'
import { connectControl } from '../../src/control/client.ts'
import { methods } from '../../src/control/methods.ts'
import { MAX_LINE_BYTES } from '../../src/control/protocol.ts'
import { startControlServer } from '../../src/control/server.ts'
import type { ControlTarget } from '../../src/control/target.ts'
import { RawClient } from '../helpers/raw-client.ts'
import type { Answer } from '../helpers/raw-client.ts'
import { fakeTarget } from './fake-target.ts'

const statusRequest = '{"jsonrpc":"2.0","id":7,"method":"system.status"}\n'

async function serve(t: Test, target: ControlTarget = fakeTarget()) {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-control-'))
  const path = join(folder, 'run', 'coffer.sock')
  const server = await startControlServer(path, target)
  let isOpen = true
  const close = async () => {
    if (isOpen) await server.close()
    isOpen = false
  }
  t.teardown(async () => {
    await close()
    await rm(folder, { recursive: true })
  })
  return { folder, path, close }
}

async function ask(t: Test, path: string, message: string | Buffer): Promise<Answer> {
  const client = new RawClient(path)
  t.teardown(() => client.socket.destroy())
  client.socket.write(message)
  const [answer] = await client.collect(1)
  client.socket.destroy()
  return answer ?? { id: 'none' }
}

t.test('the socket', async t => {
  const { path, folder, close } = await serve(t)

  t.equal((await stat(path)).mode & 0o777, 0o600, 'is its owner’s alone')
  t.equal((await stat(join(folder, 'run'))).mode & 0o777, 0o700, 'and so is its directory')

  await t.rejects(startControlServer(path, fakeTarget()), { code: 'SOCKET_IN_USE' })
  t.equal((await ask(t, path, statusRequest)).id, 7, 'the live server was not disturbed')
  await close()
  await t.rejects(connectControl(path), { code: 'NO_DAEMON' }, 'closing removes it')

  const file = join(folder, 'file')
  await writeFile(file, 'precious')
  await t.rejects(startControlServer(file, fakeTarget()), { code: 'SOCKET_PATH_TAKEN' })
  await t.rejects(startControlServer(`/tmp/${'x'.repeat(120)}`, fakeTarget()), {
    code: 'SOCKET_PATH_TOO_LONG',
  })
})

t.test('a stale socket is replaced', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-control-'))
  t.teardown(async () => await rm(folder, { recursive: true }))
  const path = join(folder, 'coffer.sock')
  // Node removes the path of a server that is closed, so a child has to die with it.
  const { spawnSync } = await import('node:child_process')
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', script])
  t.ok((await stat(path)).isSocket(), 'the leftover is there')
  const server = await startControlServer(path, fakeTarget())
  t.equal((await ask(t, path, statusRequest)).id, 7)
  await server.close()
})

t.test('what is wrong with a request is said', async t => {
  const { path } = await serve(t)
  const cases: [name: string, message: string | Buffer, code: number, text: RegExp][] = [
    ['not JSON', '{nonsense\n', -32700, /not JSON/],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22, 0x0a]), -32700, /UTF-8/],
    ['a batch', '[]\n', -32600, /not a JSON-RPC 2.0 request/],
    ['null', 'null\n', -32600, /not a JSON-RPC/],
    ['another version', '{"jsonrpc":"1.0","id":1,"method":"x"}\n', -32600, /jsonrpc/],
    ['an id that is an object', '{"jsonrpc":"2.0","id":{},"method":"x"}\n', -32600, /id/],
    ['no such method', '{"jsonrpc":"2.0","id":1,"method":"x.y"}\n', -32601, /"x.y"/],
    ['a property of Object', '{"jsonrpc":"2.0","id":1,"method":"toString"}\n', -32601, /toString/],
    ['__proto__', '{"jsonrpc":"2.0","id":1,"method":"__proto__"}\n', -32601, /__proto__/],
    [
      'a missing parameter',
      '{"jsonrpc":"2.0","id":1,"method":"container.add"}\n',
      -32602,
      /container.add.*name/,
    ],
    [
      'an unknown parameter',
      '{"jsonrpc":"2.0","id":1,"method":"container.add","params":{"name":"a","grop":"b"}}\n',
      -32602,
      /grop/,
    ],
    [
      'parameters in an array',
      '{"jsonrpc":"2.0","id":1,"method":"container.add","params":["a"]}\n',
      -32602,
      /container.add/,
    ],
  ]
  for (const [name, message, code, text] of cases) {
    const { error } = await ask(t, path, message)
    t.equal(error?.code, code, name)
    t.match(error?.message, text, `${name}: ${error?.message}`)
  }
  for (const method of Object.keys(methods)) {
    for (const params of ['null', '[]', '1', '"x"', 'true']) {
      const message = `{"jsonrpc":"2.0","id":1,"method":"${method}","params":${params}}\n`
      const { error } = await ask(t, path, message)
      t.equal(error?.code, -32602, `${method} refuses ${params} as its parameters`)
    }
  }
  for (const name of ['', '.', '..', 'a/b', 'ä', 'x'.repeat(65), 'a\n', 'a\u0000']) {
    const message = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'container.add',
      params: { name },
    })
    const { error } = await ask(t, path, `${message}\n`)
    t.equal(error?.code, -32602, `the name ${JSON.stringify(name).slice(0, 20)} is refused`)
  }
})

t.test('a complaint stays short, however long the mistake is', async t => {
  const { path } = await serve(t)
  const params = Object.fromEntries(Array.from({ length: 80_000 }, (_, index) => [index, 1]))
  const message = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'container.add', params })
  t.ok(message.length < MAX_LINE_BYTES)
  const client = new RawClient(path)
  client.socket.write(`${message}\n`)
  t.match(await client.collect(1), [{ id: 1, error: { code: -32602 } }])
  t.ok(client.longest < 10_000, `${client.longest} characters`)
  client.socket.destroy()
})

t.test('errors of the target', async t => {
  const target = fakeTarget()
  target['alerts.show'] = async () => {
    throw new TypeError('secret detail')
  }
  const { path } = await serve(t, target)

  const domain = await ask(
    t,
    path,
    '{"jsonrpc":"2.0","id":1,"method":"container.delete","params":{"name":"a"}}\n',
  )
  t.match(domain.error, { code: -32000, message: 'There is no a.', data: { code: 'NOT_FOUND' } })

  const reported: unknown[][] = []
  t.teardown(setInternalErrorSink((where, error) => reported.push([where, error])))
  const internal = await ask(t, path, '{"jsonrpc":"2.0","id":1,"method":"alerts.show"}\n')
  t.match(reported, [['control method alerts.show', { message: /secret/ }]])
  t.equal(internal.error?.code, -32603)
  t.notMatch(internal.error?.message, /secret/, 'details stay in the log')
})

t.test('a result of the target', async t => {
  const target = fakeTarget()
  const surplus = { alerts: [], moreAlerts: [], password: 'secret' }
  target['alerts.show'] = async () => surplus
  // What the compiler refuses, a value from outside may bring about.
  target['stats.cleaner'] = async () => JSON.parse('{"running":null,"history":[{}]}')
  const { path } = await serve(t, target)
  const more = await ask(t, path, '{"jsonrpc":"2.0","id":1,"method":"alerts.show"}\n')
  t.strictSame(more.result, { alerts: [], moreAlerts: [] }, 'without what the table does not name')
  const other = await ask(t, path, '{"jsonrpc":"2.0","id":1,"method":"stats.cleaner"}\n')
  t.equal(other.error?.code, -32603, 'one that is not what the table promises is not sent')
})

t.test('messages may come in any portions', async t => {
  const { path } = await serve(t)
  const client = new RawClient(path)
  t.teardown(() => client.socket.destroy())
  const name = '{"jsonrpc":"2.0","id":"ü","method":"system.status"}\n'
  for (const byte of Buffer.from(name)) {
    client.socket.write(Buffer.of(byte))
    await sleep(0)
  }
  client.socket.write(`\n\n${statusRequest}${statusRequest}`)
  t.strictSame(
    (await client.collect(3)).map(({ id }) => id),
    ['ü', 7, 7],
  )
})

t.test('a notification is carried out and not answered', async t => {
  const { path } = await serve(t)
  const client = new RawClient(path)
  t.teardown(() => client.socket.destroy())
  client.socket.write('{"jsonrpc":"2.0","method":"container.add","params":{"name":"quiet"}}\n')
  client.socket.write('{"jsonrpc":"2.0","id":1,"method":"container.show"}\n')
  t.match(await client.collect(1), [{ id: 1, result: { containers: [{ name: 'quiet' }] } }])
})

t.test('an oversized line', async t => {
  const { path } = await serve(t)
  const fits = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'system.status' })
  const padded = fits.padEnd(MAX_LINE_BYTES, ' ')
  t.equal((await ask(t, path, `${padded}\n`)).id, 1, 'the longest one allowed is answered')

  const complete = new RawClient(path)
  complete.socket.write(`${padded} \n`)
  t.equal((await complete.collect(1))[0]?.error?.code, -32001, 'one byte more is an error')
  await complete.closed

  const endless = new RawClient(path)
  const chunk = Buffer.alloc(64 * 1024, 'x')
  const pour = () => {
    while (endless.socket.writable && endless.socket.write(chunk));
  }
  endless.socket.on('drain', pour)
  pour()
  await endless.closed
  t.pass('a client that never ends its line is cut off')
  t.equal((await ask(t, path, statusRequest)).id, 7, 'others are served')
})

t.test('a flood is answered no faster than it is read', async t => {
  let running = 0
  let peak = 0
  const target = fakeTarget()
  target['alerts.show'] = async () => {
    running += 1
    peak = Math.max(peak, running)
    await sleep(1)
    running -= 1
    return { alerts: [], moreAlerts: [] }
  }
  const { path } = await serve(t, target)
  const client = new RawClient(path)
  t.teardown(() => client.socket.destroy())
  const count = 2000
  for (let id = 0; id < count; id += 1) {
    client.socket.write(`{"jsonrpc":"2.0","id":${id},"method":"alerts.show"}\n`)
  }
  t.equal((await ask(t, path, statusRequest)).id, 7, 'others are served meanwhile')
  const answers = await client.collect(count)
  t.equal(new Set(answers.map(({ id }) => id)).size, count, 'every request is answered once')
  t.equal(peak, 16, 'no more than 16 at once')
})

t.test('a client that does not read is not read from', async t => {
  let calls = 0
  const target = fakeTarget()
  const alerts = Array.from({ length: 1000 }, () => ({
    code: 'X',
    subject: null,
    severity: 'info' as const,
    title: 'X',
    text: 'x'.repeat(100),
    whatToDo: 'x',
    since: '2026-01-01T00:00:00Z',
    acknowledgedAt: null,
    note: null,
  }))
  target['alerts.show'] = async () => {
    calls += 1
    return { alerts, moreAlerts: [] }
  }
  const { path } = await serve(t, target)
  const client = connect(path)
  client.on('error', () => {})
  t.teardown(() => client.destroy())
  client.pause()
  for (let id = 0; id < 1000; id += 1) {
    client.write(`{"jsonrpc":"2.0","id":${id},"method":"alerts.show"}\n`)
  }
  await sleep(200)
  t.ok(calls < 100, `${calls} answers wait for it, not all`)
})

t.test('many connections', async t => {
  const target = fakeTarget()
  let release = () => {}
  const released = new Promise<void>(resolve => {
    release = resolve
  })
  let waiting = 0
  target['alerts.show'] = async () => {
    waiting += 1
    await released
    return { alerts: [], moreAlerts: [] }
  }
  const { path } = await serve(t, target)

  const idlers = Array.from({ length: 64 }, () => new RawClient(path))
  for (const { socket } of idlers) socket.write('{"jsonrpc":"2.0","id":1,"meth')
  await sleep(50)
  t.equal((await ask(t, path, statusRequest)).id, 7, 'half-sent ones make room for a new one')
  for (const { socket } of idlers) socket.destroy()
  await sleep(20)

  const busy = Array.from({ length: 64 }, () => new RawClient(path))
  for (const { socket } of busy) socket.write('{"jsonrpc":"2.0","id":1,"method":"alerts.show"}\n')
  while (waiting < busy.length) await sleep(5)
  const refused = new RawClient(path)
  t.match(await refused.collect(1), [{ error: { data: { code: 'BUSY' } } }], 'busy ones do not')
  await refused.closed
  release()
  for (const client of busy) t.equal((await client.collect(1))[0]?.id, 1)
  for (const { socket } of busy) socket.destroy()
})

t.test('a client that leaves in the middle of its request', async t => {
  const target = fakeTarget()
  target['alerts.show'] = async () => {
    await sleep(20)
    return { alerts: [], moreAlerts: [] }
  }
  const { path } = await serve(t, target)
  const client = new RawClient(path)
  client.socket.write('{"jsonrpc":"2.0","id":1,"method":"alerts.show"}\n')
  await sleep(5)
  client.socket.destroy()
  await sleep(40)
  t.equal((await ask(t, path, statusRequest)).id, 7)
})

t.test('what a client asked for before it left is not worked off', async t => {
  let calls = 0
  const target = fakeTarget()
  const status = target['system.status']
  target['system.status'] = async (...args) => {
    calls++
    await sleep(5)
    return status(...args)
  }
  const { path } = await serve(t, target)
  const client = new RawClient(path)
  client.socket.write(statusRequest.repeat(2000))
  await client.collect(1)
  client.socket.destroy()
  await sleep(50)
  const whenGone = calls
  t.equal((await ask(t, path, statusRequest)).id, 7)
  await sleep(50)
  t.ok(calls <= whenGone + 2, `${calls - whenGone} calls after the end`)
  t.ok(whenGone < 2000, `${whenGone} calls until the end`)
})

t.test('a flood of requests leaves most of the event loop to others', async t => {
  const target = fakeTarget()
  const status = target['system.status']
  // Each takes a millisecond of the loop.
  target['system.status'] = (...args) => {
    const endMs = performance.now() + 1
    while (performance.now() < endMs);
    return status(...args)
  }
  const { path } = await serve(t, target)
  const clients = Array.from({ length: 20 }, () => new RawClient(path))
  for (const { socket } of clients) socket.write(statusRequest.repeat(500))
  await clients[0]?.collect(1)
  // How much of the loop somebody gets who always wants it.
  const startedMs = performance.now()
  let ownMs = 0
  while (performance.now() - startedMs < 400) {
    const fromMs = performance.now()
    while (performance.now() - fromMs < 1);
    ownMs += performance.now() - fromMs
    await new Promise(resolve => setImmediate(resolve))
  }
  const share = ownMs / (performance.now() - startedMs)
  for (const { socket } of clients) socket.destroy()
  t.ok(share > 0.5, `a share of ${share.toFixed(2)}`)
})

t.test('a client that ends its side still gets its answer', async t => {
  const { path } = await serve(t)
  const client = new RawClient(path)
  client.socket.end(statusRequest)
  t.match(await client.collect(1), [{ id: 7 }])
  await client.closed
})

t.test('close answers what runs and lets idle clients go', async t => {
  const target = fakeTarget()
  target['alerts.show'] = async () => {
    await sleep(50)
    return { alerts: [], moreAlerts: [] }
  }
  const { path, close } = await serve(t, target)
  const client = await connectControl(path)
  const idle = new RawClient(path)
  const half = new RawClient(path)
  half.socket.write('{"json')
  const call = client.call('alerts.show', {})
  await sleep(10)
  await close()
  t.strictSame(await call, { alerts: [], moreAlerts: [] })
  await Promise.all([idle.closed, half.closed])
  await t.rejects(client.call('alerts.show', {}), { code: 'CONNECTION_LOST' })
})

t.test('the typed client', async t => {
  const { path } = await serve(t)
  const client = await connectControl(path)
  t.teardown(() => client.close())

  const group = await client.call('storageGroup.add', { name: 'backups', compression: 'best' })
  t.match(group, { name: 'backups', compression: 'best', chunkSizeBytes: 65_536 })
  t.match(await client.call('container.add', { name: 'a' }), { group: 'DefaultGroup' })
  await t.rejects(client.call('container.add', { name: 'a' }), {
    name: 'ControlCallError',
    code: 'CONTAINER_EXISTS',
    rpcCode: -32000,
  })
  t.match(await client.call('container.rename', { name: 'a', newName: 'b' }), { name: 'b' })
  await client.call('container.add', { name: 'a' })
  await t.rejects(client.call('container.rename', { name: 'a', newName: 'b' }), {
    code: 'CONTAINER_EXISTS',
  })
  await t.rejects(client.call('container.rename', { name: 'a', newName: 'a/b' }), {
    code: 'RPC_ERROR',
    rpcCode: -32602,
  })
  await t.rejects(client.call('container.add', { name: '..' }), {
    code: 'RPC_ERROR',
    rpcCode: -32602,
  })
  const both = await Promise.all([client.call('system.status', {}), client.call('alerts.show', {})])
  t.match(both, [{ version: '0.1.0' }, { alerts: [] }], 'calls may overlap')

  const { methods } = await client.call('rpc.discover', {})
  t.ok(methods.some(({ name, params }) => name === 'container.add' && params['type'] === 'object'))
})

t.test('a socket of somebody else', { skip: process.getuid?.() === 0 && 'root may' }, async t => {
  const { path } = await serve(t)
  await chmod(path, 0)
  await t.rejects(connectControl(path), { code: 'SOCKET_DENIED' })
})
