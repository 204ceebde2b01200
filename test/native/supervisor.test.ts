// What a supervisor gets by its socket, by path and in the abstract namespace.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import type { Test } from 'tap'
import { tellSupervisor } from '../../src/cli/supervisor.ts'
import { notifySupervisor } from '../../src/native/supervisor.ts'

/** Node has no datagrams of Unix sockets. */
const RECEIVER = `
import socket, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1].replace("@", "\\0", 1))
print("bound", flush=True)
print(receiver.recv(100).decode(), flush=True)
`

/** With a short path: an address has 107 characters at most. */
function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'coffer-notify-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  return path
}

/** A supervisor that takes one message. @returns a function that waits for it */
async function supervisorAt(t: Test, address: string): Promise<() => Promise<string>> {
  const child = spawn('python3', ['-c', RECEIVER, address], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => void child.kill())
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  t.equal((await lines.next()).value, 'bound')
  return async () => String((await lines.next()).value)
}

t.test('tellSupervisor says that the daemon is ready', async t => {
  const addresses = [join(folder(t), 'notify'), `@coffer-test-${process.pid}`]
  t.teardown(() => delete process.env['NOTIFY_SOCKET'])
  for (const address of addresses) {
    const message = await supervisorAt(t, address)
    process.env['NOTIFY_SOCKET'] = address
    await tellSupervisor()
    t.equal(await message(), 'READY=1', address)
  }
})

t.test('a supervisor that is gone is no failure', async t => {
  const gone = join(folder(t), 'none')
  t.equal(notifySupervisor(gone, 'READY=1'), false)
  for (const address of ['', 'vsock:1:2', `/${'x'.repeat(200)}`]) {
    t.throws(() => notifySupervisor(address, 'READY=1'), { name: 'TypeError' }, address)
    process.env['NOTIFY_SOCKET'] = address
    await tellSupervisor()
  }
  delete process.env['NOTIFY_SOCKET']
})
