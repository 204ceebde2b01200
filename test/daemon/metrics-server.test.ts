// The page for Prometheus, fetched as a scraper does; what else is asked for is refused, and floods cost one text a second.

import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Test } from 'tap'
import { startMetricsServer } from '../../src/daemon/metrics-server.ts'
import { makeFolder } from '../cli/run.ts'

const TYPE = 'text/plain; version=0.0.4; charset=utf-8'

async function serve(t: Test, write = async () => ({ contentType: TYPE, text: 'up 1\n' })) {
  const server = await startMetricsServer({ port: 0 }, write)
  t.teardown(() => server.close())
  return `http://127.0.0.1:${server.port}`
}

t.test('a fetch of /metrics gets the text and its type', async t => {
  const base = await serve(t)
  const response = await fetch(`${base}/metrics?debug=1`)
  t.equal(response.status, 200)
  t.equal(response.headers.get('content-type'), TYPE)
  t.equal(await response.text(), 'up 1\n')
})

t.test('nothing else is there', async t => {
  const base = await serve(t)
  for (const path of ['/', '/metrics/', '/metrics2', '//metrics', '/../metrics/x']) {
    t.equal((await fetch(`${base}${path}`)).status, 404, path)
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'HEAD']) {
    const response = await fetch(`${base}/metrics`, { method })
    t.equal(response.status, 405, method)
    t.equal(response.headers.get('allow'), 'GET')
  }
})

t.test('many requests cost one text, and a failure does not end the server', async t => {
  let made = 0
  const base = await serve(t, async () => {
    made++
    if (made === 1) throw new Error('no statistics')
    return { contentType: TYPE, text: `made ${made}\n` }
  })
  t.equal((await fetch(`${base}/metrics`)).status, 500)
  await new Promise(done => setTimeout(done, 1100))
  for (let round = 0; round < 20; round++) {
    t.equal(await (await fetch(`${base}/metrics`)).text(), 'made 2\n')
  }
})

t.test('connections beyond the bound are cut off; the others are served', async t => {
  const base = await serve(t)
  const port = Number(new URL(base).port)
  const sockets = Array.from({ length: 20 }, () => connect(port, '127.0.0.1'))
  let cut = 0
  for (const socket of sockets) {
    socket.on('error', () => undefined)
    socket.once('close', () => cut++)
  }
  while (cut < 12) await new Promise(done => setTimeout(done, 10))
  const [first] = sockets.filter(socket => !socket.closed)
  if (first === undefined) throw new Error('all were cut off')
  first.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n')
  t.match(await text(first), /^HTTP\/1\.1 200 OK\r\n.*up 1\n/s)
  for (const socket of sockets) socket.destroy()
})

t.test('a port that is taken is said so', async t => {
  const base = await serve(t)
  const port = Number(new URL(base).port)
  await t.rejects(
    startMetricsServer({ port }, async () => ({ contentType: TYPE, text: '' })),
    { code: 'METRICS_UNAVAILABLE', message: new RegExp(`port ${port}.*EADDRINUSE`) },
  )
})

t.test('on a socket, which the owner and the group can use', async t => {
  const socketPath = join(await makeFolder(t), 'metrics.sock')
  const server = await startMetricsServer({ socket: socketPath }, async () => ({
    contentType: TYPE,
    text: 'up 1\n',
  }))
  t.equal(server.port, undefined)
  t.equal((await stat(socketPath)).mode & 0o777, 0o660)
  const asked = request({ socketPath, path: '/metrics' })
  asked.end()
  const [response] = await once(asked, 'response')
  t.equal(await text(response), 'up 1\n')
  await server.close()
  await t.rejects(stat(socketPath), { code: 'ENOENT' })
})
