// JSON-RPC 2.0 as client and server both see it: limits, error codes, the shapes of messages. Nothing here or in what
// the client imports loads zod: that would take longer than all else that a short command does.

/** A request or an answer is one line; a longer one is not ours, or an attack on our memory. */
export const MAX_LINE_BYTES = 1024 * 1024

export const rpcErrorCodes = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  /** A CofferError; its own code is in `data.code`. */
  domain: -32000,
  /** A line over MAX_LINE_BYTES; the connection is closed after this answer. */
  tooLarge: -32001,
} as const

/** null answers what could not be told apart: a line that was no request, or too long. */
export type RequestId = string | number | null

/** A failure as it goes over the wire. */
export interface RpcError {
  code: number
  message: string
  data?: { code: string }
}

/** What JSON-RPC doesn't ask for, and every answer has: who is older than the other shows at once. */
interface RpcAnswer {
  jsonrpc: '2.0'
  cofferVersion: string
  id: RequestId
}

export type RpcResponse = (RpcAnswer & { result: unknown }) | (RpcAnswer & { error: RpcError })

export interface RpcNotification {
  jsonrpc: '2.0'
  method: string
  params: unknown
}
