// JSON-RPC 2.0 as client and server both see it: limits, error codes, the shapes of messages.

import { z } from 'zod'

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

const requestId = z.union([z.string().max(256), z.number(), z.null()])

export const requestSchema = z.object({
  jsonrpc: z.literal('2.0'),
  id: requestId.optional(),
  method: z.string().max(256),
  params: z.unknown().optional(),
})

export const responseSchema = z.object({
  jsonrpc: z.literal('2.0'),
  id: requestId,
  result: z.unknown().optional(),
  error: z
    .object({
      code: z.number(),
      message: z.string(),
      data: z.object({ code: z.string().optional() }).optional(),
    })
    .optional(),
})

/** Whatever the daemon says unasked; which ones there are, a client of another version may not know. */
export const notificationSchema = z.object({
  jsonrpc: z.literal('2.0'),
  id: z.undefined().optional(),
  method: z.string(),
  params: z.unknown().optional(),
})

export type RequestId = z.output<typeof requestId>

/** A failure as it goes over the wire. */
export interface RpcError {
  code: number
  message: string
  data?: { code: string }
}

export type RpcResponse =
  | { jsonrpc: '2.0'; id: RequestId; result: unknown }
  | { jsonrpc: '2.0'; id: RequestId; error: RpcError }

export interface RpcNotification {
  jsonrpc: '2.0'
  method: string
  params: unknown
}
