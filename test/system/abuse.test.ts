// The control socket of a real daemon is abused in every way that we could think of, while somebody writes into the mount.
// Goal: whoever abuses it gets errors or is cut off; the daemon keeps its memory, its descriptors and the writer's pace.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

import t from 'tap'

import { connectControl } from '../../src/control/client.ts'
import { rpcErrorCodes } from '../../src/control/protocol.ts'
import { mountSkipReason, startedCoffer } from '../helpers/mounted.ts'
import { RawClient } from '../helpers/raw-client.ts'
import { wrongCalls } from '../helpers/wrong-calls.ts'

const MIB = 1024 * 1024
const run = promisify(execFile)

/** What a daemon may take for 64 connections with a line each, their answers, and what the collector has not got to yet. */
const GROWTH_BYTES_MAX = 150 * MIB
/** Block files and tables that the writer's own data needs. */
const FILES_MAX = 16
/** A machine that is busy with other things is slow in both runs; this is about a daemon that is stuck. */
const SLOWER_MAX = 4
const NOISE_MS = 250
const COPY_MS_MAX = 10_000
const QUIET_MS = 2500
const CROWD = 200
const FLOOD_BYTES = 100 * MIB
const NESTING = 10_000

const statusLine = '{"jsonrpc":"2.0","id":7,"method":"system.status"}\n'
const discoverLine = '{"jsonrpc":"2.0","id":8,"method":"rpc.discover"}\n'

/** Copies files of random bytes in a process of its own: this one is busy with abuse. Prints what each copy took. */
const WRITER = `
for ((n = 0; ; n++)); do
  [[ -e $2/stop ]] && exit
  head -c 1M /dev/urandom > "$2/$n"
  from=$EPOCHREALTIME
  cp "$2/$n" "$1/$n"
  to=$EPOCHREALTIME
  echo $(((\${to/./} - \${from/./}) / 1000))
done`

/** Asks the daemon for every byte: else the kernel answers from its page cache. */
const CHECKER = `
cd "$2"
for n in [0-9]*; do
  dd of="$1/$n" oflag=nocache count=0 conv=notrunc status=none
  cmp "$n" "$1/$n"
done`

/** Writes until `work` has ended. @returns milliseconds of each copy */
async function copyDuring(to: string, from: string, work: () => Promise<void>): Promise<number[]> {
  mkdirSync(from)
  mkdirSync(to)
  const writer = spawn('bash', ['-euc', WRITER, 'writer', to, from])
  let [printed, complaints] = ['', '']
  writer.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
  writer.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text))
  const ended = once(writer, 'close')
  try {
    await work()
  } finally {
    await writeFile(join(from, 'stop'), '')
    await ended
  }
  if (writer.exitCode !== 0) throw new Error(`the writer failed: ${complaints}`)
  return printed.trim().split('\n').map(Number)
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function memoryBytes(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024
}

/** Descriptors of a process by kind. One that is closed meanwhile is none. */
function descriptors(pid: number): { sockets: number; others: number } {
  const targets = readdirSync(`/proc/${pid}/fd`).flatMap(fd => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
    } catch {
      return []
    }
  })
  const sockets = targets.filter(target => target.startsWith('socket:')).length
  return { sockets, others: targets.length - sockets }
}

async function within<T>(what: string, seconds: number, promise: Promise<T>): Promise<T> {
  const timer = new AbortController()
  const tooLate = sleep(seconds * 1000, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`waited in vain for ${what}`)
  })
  try {
    return await Promise.race([promise, tooLate])
  } finally {
    timer.abort()
    await tooLate.catch(() => undefined)
  }
}

/** One connection that sends this: its answers once there are `count`, or it was cut off. */
async function send(path: string, message: string | Buffer, count = 1): Promise<RawClient> {
  const client = new RawClient(path)
  client.socket.write(message)
  await within('an answer, or the end of the connection', 60, client.collect(count))
  client.socket.destroy()
  return client
}

/** A crowd at once: everybody is answered, told that all are busy, or cut off. @returns how many got an answer */
async function crowd(path: string): Promise<number> {
  // They have said a part of what they want, and wait.
  const halves = Array.from({ length: CROWD / 4 }, (_, index) => {
    const client = new RawClient(path)
    client.socket.write(statusLine.slice(0, 1 + (index % (statusLine.length - 1))))
    return client
  })
  const others = Array.from({ length: CROWD - halves.length }, () => send(path, statusLine))
  const clients = await Promise.all(others)
  for (const { socket } of halves) socket.destroy()
  return clients.filter(({ answers }) => answers[0]?.id === 7).length
}

/** Never ends its line. */
async function flood(path: string): Promise<RawClient> {
  const client = new RawClient(path)
  const chunk = Buffer.alloc(64 * 1024, 'x')
  let sentBytes = 0
  const pour = (): void => {
    while (client.socket.writable && sentBytes < FLOOD_BYTES) {
      sentBytes += chunk.length
      if (!client.socket.write(chunk)) return
    }
  }
  client.socket.on('drain', pour)
  pour()
  await within('the end of a flood', 60, client.closed)
  return client
}

/** Ask for much, read nothing. */
function slowReaders(path: string): RawClient[] {
  return Array.from({ length: 20 }, () => {
    const client = new RawClient(path)
    client.socket.pause()
    client.socket.write(discoverLine.repeat(2000))
    return client
  })
}

const deep = '['.repeat(NESTING) + ']'.repeat(NESTING)
const malformed: readonly [name: string, message: string | Buffer, code: number][] = [
  ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x7d, 0x0a]), rpcErrorCodes.parse],
  ['UTF-8 that is cut', Buffer.from([0x22, 0xe2, 0x82, 0x0a]), rpcErrorCodes.parse],
  ['zeros', Buffer.concat([Buffer.alloc(1000), Buffer.from('\n')]), rpcErrorCodes.parse],
  ['nested arrays', `${deep}\n`, rpcErrorCodes.invalidRequest],
  ['nested arrays that never end', `${'['.repeat(NESTING)}\n`, rpcErrorCodes.invalidRequest],
  [
    'a nested id',
    `{"jsonrpc":"2.0","id":${deep},"method":"system.status"}\n`,
    rpcErrorCodes.invalidRequest,
  ],
  ['HTTP', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', rpcErrorCodes.parse],
]

t.test('abuse of the control socket', { skip: mountSkipReason }, async t => {
  const coffer = await startedCoffer(t, 'c')
  const { socket: path } = coffer
  const at = (name: string): [string, string] => [
    join(coffer.mount, 'c', name),
    join(coffer.base, name),
  ]
  const probe = await connectControl(path)
  const { pid } = await probe.call('system.status', {})
  const discovery = await probe.call('rpc.discover', {})
  probe.close()
  const quiet = await copyDuring(...at('quiet'), () => sleep(QUIET_MS))
  const before = { rss: memoryBytes(pid, 'VmRSS'), ...descriptors(pid) }

  const abused = await copyDuring(...at('abused'), async () => {
    const readers = slowReaders(path)
    t.ok((await crowd(path)) > 0, 'of a crowd some are served')
    for (const [name, message, code] of malformed) {
      const { answers } = await send(path, message)
      t.equal(answers[0]?.error?.code, code, name)
    }
    const floods = await Promise.all([flood(path), flood(path), flood(path)])
    for (const { answers } of floods) {
      // The error is lost when the daemon has closed before all that was sent is read.
      const code = answers[0]?.error?.code ?? rpcErrorCodes.tooLarge
      t.equal(code, rpcErrorCodes.tooLarge, 'an endless line')
    }

    const wrong = wrongCalls(discovery)
    t.ok(wrong.length > 500, `${wrong.length} wrong calls`)
    const lines = wrong.map(
      ({ method, params }, id) =>
        `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${params}}\n`,
    )
    const { answers } = await send(path, lines.join(''), wrong.length)
    const byId = new Map(answers.map(({ id, error }) => [id, error]))
    const accepted = wrong.filter(({ names }, id) => {
      const error = byId.get(id)
      return error?.code !== rpcErrorCodes.invalidParams || !error.message.includes(names)
    })
    const list = accepted.map(({ method, params }) => `${method} ${params.slice(0, 50)}`)
    t.same(list, [], 'each gets an error that names what is wrong')
    for (const { socket } of readers) socket.destroy()
  })

  const after = await connectControl(path)
  t.match(await within('the status', 5, after.call('system.status', {})), { pid, alerts: [] })
  after.close()
  for (let tries = 0; tries < 250 && descriptors(pid).sockets > before.sockets; tries++) {
    await sleep(20)
  }
  t.equal(descriptors(pid).sockets, before.sockets, 'no connection is left')
  t.ok(descriptors(pid).others <= before.others + FILES_MAX, 'nor files')
  for (const field of ['VmRSS', 'VmHWM'] as const) {
    const growth = memoryBytes(pid, field) - before.rss
    t.ok(growth < GROWTH_BYTES_MAX, `${field} grew by ${Math.round(growth / MIB)} MiB`)
  }

  const medians = `${median(abused)} ms each of ${abused.length}, else ${median(quiet)} ms`
  t.ok(median(abused) < SLOWER_MAX * median(quiet) + NOISE_MS, `the writer went on: ${medians}`)
  t.ok(Math.max(...abused) < COPY_MS_MAX, `the longest copy: ${Math.max(...abused)} ms`)
  await t.resolves(run('bash', ['-euc', CHECKER, 'checker', ...at('abused')]), 'what was written')
})
