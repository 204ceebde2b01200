// Keys of tests: their bytes are known, those of secrets can't be read.

import { CHUNK_KEY_BYTES } from '../../src/native/data-path.ts'
import { Secret } from '../../src/native/secret.ts'

const KEY_BYTES = 32

/** A key that consists of one byte. @param byte 1 to 255 */
export function secretOf(byte: number, lengthBytes = KEY_BYTES): Secret {
  return Secret.take(new Uint8Array(lengthBytes).fill(byte))
}

/** What chunks are cut and named with. */
export function chunkKeyOf(
  fingerprintKey: Uint8Array = new Uint8Array(KEY_BYTES).fill(1),
  [low, high]: readonly [number, number] = [0x9e3779b1, 0x85ebca77],
): Secret {
  const bytes = new Uint8Array(CHUNK_KEY_BYTES)
  bytes.set(fingerprintKey)
  new DataView(bytes.buffer).setUint32(KEY_BYTES, low, true)
  new DataView(bytes.buffer).setUint32(KEY_BYTES + 4, high, true)
  return Secret.take(bytes)
}
