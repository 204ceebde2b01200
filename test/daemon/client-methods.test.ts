// What is said of clients: names from /proc, threads added up, and nothing of those that are gone.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import t from 'tap'
import { describeClients } from '../../src/daemon/client-methods.ts'

/** Above any pid that Linux gives out. */
const NO_PID = 2 ** 22 + 1

function activity(pid: number, lastMs: number) {
  return { pid, uid: 0, operations: 1, bytesWritten: 10, bytesRead: 1, lastMs }
}

t.test('a process has its name, one that is gone or the kernel has none', async t => {
  const child = spawn('sleep', ['60'])
  await once(child, 'spawn')
  t.teardown(() => child.kill())
  const threads = [activity(child.pid ?? 0, 3), activity(NO_PID, 2), activity(0, 1)]
  const clients = await describeClients(threads, 1_700_000_000_000)
  t.match(clients, [
    { pid: child.pid, command: 'sleep', lastActiveAt: '2023-11-14T22:13:20.003Z' },
    { pid: NO_PID, command: null },
    { pid: 0, command: null },
  ])
})

t.test('threads of a process are one client', async t => {
  const tasks = (await readdir('/proc/self/task')).map(Number)
  t.ok(tasks.length > 1)
  const clients = await describeClients(
    tasks.map((pid, index) => activity(pid, -index)),
    0,
  )
  const command = (await readFile('/proc/self/comm', 'utf8')).trim()
  const bytesWritten = 10 * tasks.length
  t.match(clients, [{ pid: process.pid, command, operations: tasks.length, bytesWritten }])
  t.equal(clients.length, 1)
})
