// Abuses a control socket until it is killed: a crowd with half a line each, endless lines, deep nesting, readers that
// ask for much and read nothing. A process of its own: it may take a processor, as an attacker's would.
//
//   node dist/bench/abuser.js SOCKET

import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

const CROWD = 200
const SLOW_READERS = 20
const NESTING = 100_000
const FLOOD_BYTES = 8 * 1024 * 1024
/** The crowd comes again so often. */
const ROUND_MS = 250

const half = '{"jsonrpc":"2.0","id":1,"meth'
const deep = `${'['.repeat(NESTING)}${']'.repeat(NESTING)}\n`
const discover = '{"jsonrpc":"2.0","id":2,"method":"rpc.discover"}\n'.repeat(2000)

function open(path: string): Socket {
  // Being cut off is what is expected here.
  return connect(path).on('error', () => undefined)
}

async function abuse(path: string): Promise<never> {
  const flood = Buffer.alloc(FLOOD_BYTES, 'x')
  for (;;) {
    const sockets = Array.from({ length: CROWD }, () => open(path))
    for (const socket of sockets) socket.write(half)
    const slow = Array.from({ length: SLOW_READERS }, () => open(path).pause())
    for (const socket of slow) socket.write(discover)
    const others = [flood, deep, '\xff\n'].map(bytes => {
      const socket = open(path)
      socket.resume().write(bytes)
      return socket
    })
    await delay(ROUND_MS)
    for (const socket of [...sockets, ...slow, ...others]) socket.destroy()
  }
}

const [path] = process.argv.slice(2)
if (path === undefined) throw new Error('usage: node dist/bench/abuser.js SOCKET')
await abuse(path)
