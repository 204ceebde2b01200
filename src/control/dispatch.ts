// One request in, one answer out: parses a line, validates, calls the target, validates what it returns, words what
// went wrong. Clients rely on the second validation and have no schemas of their own.

import createDebug from 'debug'
import { z } from 'zod'

import { CofferError } from '../errors.ts'
import { reportInternalError } from '../internal-errors.ts'
import { VERSION } from '../version.ts'
import { discover, isMethodName, methods } from './methods.ts'
import type { MethodName } from './methods.ts'
import { nestsDeeper } from './nesting.ts'
import { rpcErrorCodes } from './protocol.ts'
import type { RequestId, RpcError, RpcResponse } from './protocol.ts'
import type { ControlCaller, ControlTarget } from './target.ts'

const debug = createDebug('coffer:control')

const requestSchema = z.object({
  jsonrpc: z.literal('2.0'),
  id: z.union([z.string().max(256), z.number(), z.null()]).optional(),
  method: z.string().max(256),
  params: z.unknown().optional(),
})

/** Enough for a complaint of every parameter that a method has; far below what a line of the protocol may have. */
const ISSUES_CHARACTERS_MAX = 4000

/** Requests have some four levels. */
const LEVELS_MAX = 32

const decoder = new TextDecoder('utf-8', { fatal: true })

/** Answer one line; undefined for a notification, which by JSON-RPC gets no answer. */
export async function answerLine(
  target: ControlTarget,
  line: Buffer,
  caller: ControlCaller,
): Promise<RpcResponse | undefined> {
  if (nestsDeeper(line, LEVELS_MAX)) {
    const text = `The message nests deeper than ${LEVELS_MAX} levels.`
    return failure(null, { code: rpcErrorCodes.invalidRequest, message: text })
  }
  let message: unknown
  try {
    message = JSON.parse(decoder.decode(line))
  } catch {
    return failure(null, { code: rpcErrorCodes.parse, message: 'The line is not JSON in UTF-8.' })
  }
  const request = requestSchema.safeParse(message)
  if (!request.success) {
    const text = `The message is not a JSON-RPC 2.0 request: ${describeIssues(request.error)}.`
    return failure(null, { code: rpcErrorCodes.invalidRequest, message: text })
  }
  const { id, method, params } = request.data
  const outcome = await call(target, method, params, caller)
  if (id === undefined) return undefined
  return 'error' in outcome
    ? failure(id, outcome.error)
    : { jsonrpc: '2.0', cofferVersion: VERSION, id, result: outcome.result }
}

export function failure(id: RequestId, error: RpcError): RpcResponse {
  return { jsonrpc: '2.0', cofferVersion: VERSION, id, error }
}

/** All of zod's issues as one readable clause: `name: too short; group: expected string`. Cut, since they quote names. */
function describeIssues(error: z.ZodError): string {
  const text = error.issues
    .map(({ path, message }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`))
    .join('; ')
  return text.length <= ISSUES_CHARACTERS_MAX ? text : `${text.slice(0, ISSUES_CHARACTERS_MAX)}…`
}

type Outcome = { result: unknown } | { error: RpcError }

async function call(
  target: ControlTarget,
  method: string,
  params: unknown,
  caller: ControlCaller,
): Promise<Outcome> {
  if (!isMethodName(method)) {
    const message = `There is no method ${JSON.stringify(method)}; rpc.discover lists those that exist.`
    return { error: { code: rpcErrorCodes.methodNotFound, message } }
  }
  const parsed = methods[method].params.safeParse(params === undefined ? {} : params)
  if (!parsed.success) {
    const message = `The parameters of ${method} are not valid: ${describeIssues(parsed.error)}.`
    return { error: { code: rpcErrorCodes.invalidParams, message } }
  }
  try {
    if (method === 'rpc.discover') return { result: discover() }
    // The compiler can't see that a method and its own parameters go together: each pair was just
    // proved by the schema of the same table row.
    const run = target[method].bind(target) as (
      params: unknown,
      caller: ControlCaller,
    ) => Promise<unknown>
    return { result: checkResult(method, await run(parsed.data, caller)) }
  } catch (error) {
    return { error: wordError(method, error) }
  }
}

/** The result without fields that the table doesn't name. Throws when it is not what the table promises. */
function checkResult(method: MethodName, result: unknown): unknown {
  const checked = methods[method].result.safeParse(result)
  if (checked.success) return checked.data
  throw new TypeError(`the result does not fit its schema: ${describeIssues(checked.error)}`)
}

function wordError(method: string, error: unknown): RpcError {
  if (error instanceof CofferError) {
    debug('%s failed with %s: %s', method, error.code, error.message)
    return { code: rpcErrorCodes.domain, message: error.message, data: { code: error.code } }
  }
  reportInternalError(`control method ${method}`, error)
  const message = `An internal error kept ${method} from completing; the daemon's log has the details.`
  return { code: rpcErrorCodes.internal, message }
}
