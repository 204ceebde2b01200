// The frame around every value: each value carries a checksum of its own, made before LevelDB sees it.
//
//   0  1  frame version (1)
//   1  4  CRC-32 over key ‖ payload, little-endian: a value found under another key is refused too
//   5  …  payload

import { crc32 } from 'node:zlib'
import { StoreError } from '../errors.ts'

const FRAME_VERSION = 1
const FRAME_HEADER_BYTES = 5

export function packFrame(key: Uint8Array, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length)
  frame[0] = FRAME_VERSION
  frame.writeUInt32LE(crc32(payload, crc32(key)), 1)
  frame.set(payload, FRAME_HEADER_BYTES)
  return frame
}

/** Of a frame that was packed here, unchecked. */
export function payloadOf(frame: Buffer): Buffer {
  return frame.subarray(FRAME_HEADER_BYTES)
}

/** @returns a view of the payload. @throws StoreError RECORD_DAMAGED, UNKNOWN_VERSION */
export function parseFrame(key: Uint8Array, frame: Buffer): Buffer {
  if (frame.length < FRAME_HEADER_BYTES) throw damaged(key)
  if (frame[0] !== FRAME_VERSION) {
    throw new StoreError(
      'UNKNOWN_VERSION',
      `A metadata record has frame version ${frame[0]}; this coffer knows ${FRAME_VERSION}.`,
    )
  }
  const payload = payloadOf(frame)
  if (frame.readUInt32LE(1) !== crc32(payload, crc32(key))) throw damaged(key)
  return payload
}

function damaged(key: Uint8Array): StoreError {
  return new StoreError(
    'RECORD_DAMAGED',
    `The metadata record ${Buffer.from(key).toString('hex')} is damaged.`,
  )
}
