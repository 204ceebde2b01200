// The control socket: accepts connections, bounds what each may cost, answers line by line. What a
// request means is dispatch.ts's business.

import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'

import createDebug from 'debug'

import { CofferError } from '../errors.ts'
import { reportInternalError } from '../internal-errors.ts'
import { answerLine, failure } from './dispatch.ts'
import { LineSplitter } from './lines.ts'
import { MAX_LINE_BYTES, rpcErrorCodes } from './protocol.ts'
import type { RpcNotification, RpcResponse } from './protocol.ts'
import { claimSocketPath, unusableSocket } from './socket-path.ts'
import type { ControlCaller, ControlTarget } from './target.ts'
import { Turns } from './turns.ts'

const debug = createDebug('coffer:control')

/** An administrator, some scripts and monitoring need a handful; each costs up to a line of memory. */
const MAX_CONNECTIONS = 64

/** Requests of one connection that run at once; the next are read when these are answered. */
const MAX_IN_FLIGHT = 16

/** How long close() waits for requests that run, before it cuts them off. */
const DRAIN_MILLISECONDS = 5000

/** Leaves the owner alone with the socket: 0777 minus this is 0600. */
const SOCKET_UMASK = 0o177

export interface ControlServer {
  /** Accept nothing more, let running requests be answered, end. Not to be awaited inside of a request. */
  close(): Promise<void>
}

/**
 * Serve `target` on a Unix socket.
 * @throws CofferError SOCKET_IN_USE when a live daemon holds the path, SOCKET_UNUSABLE and the like when it can't be bound
 */
export async function startControlServer(
  path: string,
  target: ControlTarget,
): Promise<ControlServer> {
  await claimSocketPath(path)
  const connections = new Set<Connection>()
  const turns = new Turns()
  const server = createServer(socket => {
    if (connections.size >= MAX_CONNECTIONS && !evictIdle(connections)) {
      refuse(socket)
      return
    }
    const connection = new Connection(socket, target, turns)
    connections.add(connection)
    socket.once('close', () => connections.delete(connection))
  })
  await listenPrivately(server, path)
  debug('listening on %s', path)
  return {
    async close() {
      const closed = once(server, 'close')
      server.close()
      await Promise.all([...connections].map(async connection => await connection.drain()))
      await closed
    },
  }
}

/** Bind with the socket's final mode: a chmod afterwards would leave a moment for others to connect. */
async function listenPrivately(server: Server, path: string): Promise<void> {
  const listening = once(server, 'listening')
  const umask = process.umask(SOCKET_UMASK)
  try {
    server.listen(path)
  } finally {
    process.umask(umask)
  }
  await listening.catch((cause: Error) => {
    throw unusableSocket(path, cause)
  })
  // An error of accept (out of descriptors) passes; the daemon must not die of it.
  server.on('error', error => debug('accept failed: %O', error))
}

/** Cut off the connection that has been idle the longest, so that hoarders can't lock others out. */
function evictIdle(connections: Set<Connection>): boolean {
  let oldest: Connection | undefined
  for (const connection of connections) {
    if (!connection.isIdle) continue
    if (oldest === undefined || connection.lastActive < oldest.lastActive) oldest = connection
  }
  if (oldest === undefined) return false
  debug('cut off an idle connection in favour of a new one')
  connections.delete(oldest)
  oldest.destroy()
  return true
}

function refuse(socket: Socket): void {
  socket.on('error', error => debug('refused connection: %O', error))
  const message = `All ${MAX_CONNECTIONS} control connections are busy; try again later.`
  socket.end(encode(failure(null, { code: rpcErrorCodes.domain, message, data: { code: 'BUSY' } })))
  // Whatever it still sends is of no interest, and must not be waited for.
  socket.once('finish', () => socket.destroy())
}

function encode(message: RpcResponse | RpcNotification): string {
  return `${JSON.stringify(message)}\n`
}

/** One client: reads no faster than it answers, and than the client takes the answers. */
class Connection {
  readonly #socket: Socket
  readonly #target: ControlTarget
  readonly #turns: Turns
  readonly #splitter = new LineSplitter(MAX_LINE_BYTES)
  readonly #waiting: Buffer[] = []
  readonly #gone = new AbortController()
  readonly #caller: ControlCaller = {
    notify: (method, params) => this.#notify({ jsonrpc: '2.0', method, params }),
    gone: this.#gone.signal,
  }
  #inFlight = 0
  #isEnding = false
  /** Monotonic; orders connections by how long they have been idle. */
  lastActive = performance.now()

  constructor(socket: Socket, target: ControlTarget, turns: Turns) {
    this.#socket = socket
    this.#target = target
    this.#turns = turns
    socket.on('data', chunk => this.#onData(chunk))
    socket.on('drain', () => this.#pump())
    socket.on('error', error => debug('connection failed: %O', error))
    socket.once('close', () => {
      // What was asked and not begun is of interest to nobody any more.
      this.#waiting.length = 0
      this.#gone.abort(new CofferError('CLIENT_GONE', 'The client closed its connection.'))
    })
  }

  /** Nothing asked that is not answered; a line that was begun does not count. */
  get isIdle(): boolean {
    return this.#inFlight === 0 && this.#waiting.length === 0
  }

  destroy(): void {
    this.#isEnding = true
    this.#socket.destroy()
  }

  /** Let what runs be answered, drop what waits, end. Calls that only wait for something are told to give up. */
  async drain(): Promise<void> {
    this.#isEnding = true
    this.#waiting.length = 0
    this.#gone.abort(new CofferError('DAEMON_ENDS', 'The daemon is ending.'))
    if (this.#socket.destroyed) return
    const closed = new Promise<void>(resolve => this.#socket.once('close', () => resolve()))
    const timer = setTimeout(() => this.#socket.destroy(), DRAIN_MILLISECONDS)
    this.#endWhenAnswered()
    await closed
    clearTimeout(timer)
  }

  #onData(chunk: Buffer): void {
    if (this.#isEnding) return
    this.lastActive = performance.now()
    const lines = this.#splitter.push(chunk)
    if (lines === undefined) {
      this.#rejectOversize()
      return
    }
    // An empty line is a keep-alive of people who type into netcat.
    for (const line of lines) if (line.length > 0) this.#waiting.push(line)
    this.#pump()
  }

  #rejectOversize(): void {
    const message = `A message is longer than ${MAX_LINE_BYTES} bytes; the connection is closed.`
    this.#socket.write(encode(failure(null, { code: rpcErrorCodes.tooLarge, message })))
    this.#isEnding = true
    this.#waiting.length = 0
    this.#endWhenAnswered()
  }

  /** Start what may start, then read on only if nothing is left over. */
  #pump(): void {
    while (this.#inFlight < MAX_IN_FLIGHT && !this.#socket.writableNeedDrain) {
      const line = this.#waiting.shift()
      if (line === undefined) break
      this.#inFlight += 1
      this.#turns.take(() => void this.#answer(line))
    }
    if (this.#isEnding) this.#endWhenAnswered()
    else if (this.#waiting.length > 0 || this.#socket.writableNeedDrain) this.#socket.pause()
    else this.#socket.resume()
  }

  async #answer(line: Buffer): Promise<void> {
    try {
      // It has waited for its turn, and the client may be gone by now.
      if (this.#socket.destroyed) return
      const response = await answerLine(this.#target, line, this.#caller)
      if (response === undefined || !this.#socket.writable) return
      this.#socket.write(this.#turns.charge(() => encode(response)))
    } catch (error) {
      // A result that JSON can't express: the target's mistake, which must not end the daemon.
      reportInternalError('an answer of the control socket', error)
      this.destroy()
    } finally {
      this.#inFlight -= 1
      this.lastActive = performance.now()
      this.#pump()
    }
  }

  /** Never more than one waits here: an answer matters, while news is soon followed by newer. */
  #notify(message: RpcNotification): boolean {
    if (!this.#socket.writable || this.#socket.writableLength > 0) return false
    this.#socket.write(encode(message))
    return true
  }

  #endWhenAnswered(): void {
    if (this.#inFlight > 0 || this.#socket.destroyed) return
    this.#socket.resume()
    this.#socket.end(() => this.#socket.destroy())
  }
}
