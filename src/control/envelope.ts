// Reads what the daemon sends, without schemas: the envelope strictly, since whatever else listens on a socket should
// be told from a daemon. What is inside of a result the daemon has checked itself, see dispatch.ts.

import type { JobProgress } from './methods.ts'
import type { RpcError } from './protocol.ts'

/** What the version of a daemon is called that doesn't say it. */
export const UNKNOWN_VERSION = 'unknown'

/** The client numbers its calls; an error that belongs to none of them has no id. */
export type Envelope =
  | { kind: 'result'; id: number; result: object; version: string }
  | { kind: 'error'; id: number | null; error: RpcError; version: string }
  | { kind: 'notification'; method: string; params: unknown }

/** One line of a daemon; undefined when it is not one of the three that there are. */
export function readEnvelope(line: Buffer): Envelope | undefined {
  const message = parseObject(line)
  if (message?.['jsonrpc'] !== '2.0') return undefined
  if ('method' in message) return readNotification(message)
  const { id, result, error, cofferVersion } = message
  const version = typeof cofferVersion === 'string' ? cofferVersion : UNKNOWN_VERSION
  if ('error' in message) {
    if ('result' in message || !isError(error)) return undefined
    return typeof id === 'number' || id === null ? { kind: 'error', id, error, version } : undefined
  }
  // Every method's result is an object, so that fields can be added to it.
  if (typeof id !== 'number' || !isObject(result)) return undefined
  return { kind: 'result', id, result, version }
}

/** Whether these parameters of jobs.progress can be shown. */
export function isJobProgress(params: unknown): params is JobProgress {
  if (!isObject(params)) return false
  const { id, phase, doneBytes, totalBytes, etaSeconds, text } = params
  return (
    typeof id === 'number' &&
    typeof phase === 'string' &&
    typeof doneBytes === 'number' &&
    typeof totalBytes === 'number' &&
    (etaSeconds === null || typeof etaSeconds === 'number') &&
    (text === null || typeof text === 'string')
  )
}

type Fields = Readonly<Record<string, unknown>>

function parseObject(line: Buffer): Fields | undefined {
  try {
    const message: unknown = JSON.parse(line.toString('utf8'))
    return isObject(message) ? message : undefined
  } catch {
    return undefined
  }
}

/** Which notifications there are, a client of another version may not know; that it is one, it does. */
function readNotification(message: Fields): Envelope | undefined {
  const { method, params } = message
  const isAlone = !('id' in message || 'result' in message || 'error' in message)
  return isAlone && typeof method === 'string'
    ? { kind: 'notification', method, params }
    : undefined
}

function isError(error: unknown): error is RpcError {
  if (!isObject(error)) return false
  const { code, message, data } = error
  if (typeof code !== 'number' || typeof message !== 'string') return false
  return data === undefined || (isObject(data) && typeof data['code'] === 'string')
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
