// What monitoring sees of a real daemon: its page for Prometheus, who uses the mount, and counters that outlive a restart.

import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { ClientInfo, SystemStats } from '../../src/control/methods.ts'
import { MountedCoffer, mountSkipReason, tool } from '../helpers/mounted.ts'

const FILE_BYTES = 1024 * 1024

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  await new Promise(done => server.close(done))
  return typeof address === 'object' && address !== null ? address.port : 0
}

t.test('metrics, clients and counters of a daemon', { skip: mountSkipReason }, async t => {
  const coffer = new MountedCoffer()
  t.teardown(() => coffer.remove())
  const port = await freePort()
  await coffer.start('--metrics-port', String(port))
  await coffer.coffer('container', 'add', 'c')
  await writeFile(join(coffer.mount, 'c', 'f'), Buffer.alloc(FILE_BYTES, 'x'))
  await tool('cp', join(coffer.mount, 'c', 'f'), join(coffer.mount, 'c', 'g'))

  const scraped = await fetch(`http://127.0.0.1:${port}/metrics`)
  t.equal(scraped.status, 200)
  t.match(await scraped.text(), /^coffer_written_bytes_total [1-9]\d+$/m)

  const { clients } = await coffer.json<{ clients: ClientInfo[] }>('stats', 'clients')
  const { bytesWritten = 0 } = clients.find(({ pid }) => pid === process.pid) ?? {}
  t.equal(bytesWritten, FILE_BYTES, 'this process, whichever of its threads wrote')
  const command = (await readFile('/proc/self/comm', 'utf8')).trim()
  t.ok(clients.some(client => client.pid === process.pid && client.command === command))

  await coffer.stop()
  await t.rejects(fetch(`http://127.0.0.1:${port}/metrics`), 'the port is closed')
  await coffer.start()
  const stats = await coffer.json<SystemStats>('stats', 'system')
  t.ok(stats.lifetime.bytesWritten >= FILE_BYTES)
  t.ok(stats.lifetime.hits > 0 && stats.lifetime.hitPercent > 0)
  t.equal(stats.sinceStart.bytesWritten, 0)
})
