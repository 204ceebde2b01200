// A keystore opened as docs/format.md describes it, with node's own cryptography: what is in it is known here as bytes,
// which the daemon never shows.

import { createDecipheriv, scrypt } from 'node:crypto'
import { promisify } from 'node:util'

const HEAD_BYTES = 112
const PREDECESSOR_BYTES = 32
const ENTRY_BYTES = 24
const KEY_BYTES = 32
const CHUNK_KEY_BYTES = 40
const TAG_BYTES = 16
const derive = promisify<Buffer, Buffer, number, object, Buffer>(scrypt)

/** Everything secret in a keystore, by name; keys that are retired are left out. */
export async function secretsIn(file: Buffer, passphrase: string): Promise<Map<string, Buffer>> {
  const count = file.readUInt16LE(26)
  const wrappingKey = await derive(Buffer.from(passphrase), file.subarray(40, 72), KEY_BYTES, {
    N: 2 ** (file[36] ?? 0),
    r: file[37],
    p: file.readUInt16LE(38),
    maxmem: 2 ** 30,
  })
  const bodyAt = HEAD_BYTES + count * ENTRY_BYTES + (file[84] ?? 0) * PREDECESSOR_BYTES
  const tagAt = bodyAt + CHUNK_KEY_BYTES + count * KEY_BYTES
  const decipher = createDecipheriv('aes-256-gcm', wrappingKey, file.subarray(72, 84))
  decipher.setAAD(file.subarray(0, bodyAt))
  decipher.setAuthTag(file.subarray(tagAt, tagAt + TAG_BYTES))
  const body = Buffer.concat([decipher.update(file.subarray(bodyAt, tagAt)), decipher.final()])
  const found = new Map([
    ['wrapping key', wrappingKey],
    ['fingerprint key', body.subarray(0, KEY_BYTES)],
  ])
  for (let index = 0; index < count; index++) {
    const at = CHUNK_KEY_BYTES + index * KEY_BYTES
    const key = body.subarray(at, at + KEY_BYTES)
    const id = file.readUInt16LE(HEAD_BYTES + index * ENTRY_BYTES)
    if (key.some(byte => byte !== 0)) found.set(`key ${id}`, key)
  }
  return found
}
