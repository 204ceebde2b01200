// Buffers over memory that is there already.

import { Buffer } from 'node:buffer'

/**
 * The same bytes as a Buffer. Nearly all of them are one already; making another costs, and asking small arrays of V8's own
 * heap for their `buffer` has them moved out of it.
 */
export function bufferOf(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
