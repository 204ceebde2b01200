// The typed client of the control socket: the command line's way to the daemon, and the tests'. Results are typed, not
// validated: the daemon has done that, and is believed as long as it is of the same version.

import { connect } from 'node:net'
import type { Socket } from 'node:net'

import { CofferError } from '../errors.ts'
import { isJobProgress, readEnvelope } from './envelope.ts'
import { LineSplitter } from './lines.ts'
import type { JobEnd, JobProgress, MethodInput, MethodName, MethodResult } from './methods.ts'
import { MAX_LINE_BYTES, rpcErrorCodes } from './protocol.ts'
import type { RpcError } from './protocol.ts'
import { hasCode } from './socket-path.ts'

/** The daemon's answer was an error. `code` is its domain code, or RPC_ERROR for one of the protocol's. */
export class ControlCallError extends CofferError {
  /** JSON-RPC's numeric code. */
  readonly rpcCode: number

  constructor(code: string, rpcCode: number, message: string) {
    super(code, message)
    this.rpcCode = rpcCode
  }

  /** Whether the request itself was at fault, as opposed to what it met. */
  get isUsage(): boolean {
    return this.rpcCode === rpcErrorCodes.invalidParams
  }
}

/** What connecting says when nobody listens. */
const deadSocketCodes = ['ENOENT', 'ECONNREFUSED', 'ENOTDIR']

/**
 * Connect to a daemon.
 * @throws CofferError NO_DAEMON when none answers on `path`
 */
export async function connectControl(path: string): Promise<ControlClient> {
  const socket = await new Promise<Socket>((resolve, reject) => {
    const connecting = connect(path)
    connecting.once('connect', () => {
      connecting.removeListener('error', reject)
      resolve(connecting)
    })
    connecting.once('error', reject)
  }).catch((cause: unknown) => {
    throw wordConnectError(path, cause)
  })
  return new ControlClient(socket)
}

function wordConnectError(path: string, cause: unknown): CofferError {
  if (deadSocketCodes.some(code => hasCode(cause, code))) {
    const message = `No coffer daemon answers on ${path}; start one with "coffer start", or name its socket with --socket.`
    return new CofferError('NO_DAEMON', message, { cause })
  }
  if (hasCode(cause, 'EACCES')) {
    const message = `${path} may be used by the daemon's own user only; run the command as that user.`
    return new CofferError('SOCKET_DENIED', message, { cause })
  }
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new CofferError('SOCKET_FAILED', `Can't connect to ${path}: ${reason}.`, { cause })
}

interface Waiter {
  resolve(result: object): void
  reject(error: Error): void
}

export class ControlClient {
  readonly #socket: Socket
  readonly #splitter = new LineSplitter(MAX_LINE_BYTES)
  readonly #waiters = new Map<number, Waiter>()
  readonly #watchers = new Set<(progress: JobProgress) => void>()
  #lastId = 0
  #daemonVersion: string | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', chunk => this.#onData(chunk))
    socket.on('error', cause => this.#fail(`The connection to the daemon broke: ${cause.message}.`))
    socket.on('close', () => this.#fail('The daemon closed the connection before it answered.'))
  }

  /** What the latest answer says of who made it, from outside and so not fit for a terminal; undefined before any. */
  get daemonVersion(): string | undefined {
    return this.#daemonVersion
  }

  /**
   * Call a method and wait for its result. Calls may overlap.
   * @throws ControlCallError when the daemon refuses
   */
  async call<M extends MethodName>(method: M, params: MethodInput<M>): Promise<MethodResult<M>> {
    const id = (this.#lastId += 1)
    const result = await new Promise<object>((resolve, reject) => {
      if (!this.#socket.writable) {
        reject(new CofferError('CONNECTION_LOST', 'The connection to the daemon is closed.'))
        return
      }
      this.#waiters.set(id, { resolve, reject })
      this.#socket.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`)
    })
    // The daemon has checked it with this method's schema; one of another version is known by daemonVersion.
    return result as MethodResult<M>
  }

  /**
   * Wait until a job ends, hearing of its progress.
   * @throws ControlCallError JOB_NOT_FOUND; a job that failed is a result, not an error of the call
   */
  async watch(id: number, onProgress: (progress: JobProgress) => void): Promise<JobEnd> {
    const watcher = (progress: JobProgress): void => {
      if (progress.id === id) onProgress(progress)
    }
    this.#watchers.add(watcher)
    try {
      return await this.call('jobs.watch', { id })
    } finally {
      this.#watchers.delete(watcher)
    }
  }

  close(): void {
    this.#socket.destroy()
  }

  #onData(chunk: Buffer): void {
    const lines = this.#splitter.push(chunk)
    if (lines === undefined) {
      this.#fail("The daemon's answer is too long.")
      this.#socket.destroy()
      return
    }
    for (const line of lines) this.#onLine(line)
  }

  #onLine(line: Buffer): void {
    const message = readEnvelope(line)
    if (message === undefined) {
      const text = 'What answers on the socket does not speak the control protocol.'
      this.#failAll(new CofferError('BAD_ANSWER', text))
      this.#socket.destroy()
      return
    }
    if (message.kind === 'notification') {
      this.#onNotification(message.method, message.params)
      return
    }
    this.#daemonVersion = message.version
    if (message.kind === 'result') this.#take(message.id)?.resolve(message.result)
    else if (message.id === null) this.#failAll(toCallError(message.error))
    else this.#take(message.id)?.reject(toCallError(message.error))
  }

  #take(id: number): Waiter | undefined {
    const waiter = this.#waiters.get(id)
    this.#waiters.delete(id)
    return waiter
  }

  /** What is not understood is passed over: a newer daemon may have more to tell. */
  #onNotification(method: string, params: unknown): void {
    if (method !== 'jobs.progress' || !isJobProgress(params)) return
    for (const watcher of this.#watchers) watcher(params)
  }

  #fail(message: string): void {
    this.#failAll(new CofferError('CONNECTION_LOST', message))
  }

  #failAll(error: Error): void {
    const waiters = [...this.#waiters.values()]
    this.#waiters.clear()
    for (const waiter of waiters) waiter.reject(error)
  }
}

function toCallError({ code, message, data }: RpcError): ControlCallError {
  return new ControlCallError(data?.code ?? 'RPC_ERROR', code, message)
}
