// The hash under which a name lies in its directory. Keyed, so that nobody can make names that collide on purpose, and
// nothing can be learnt from the order of a listing.
//
// HalfSipHash-1-3 with 64-bit output (Aumasson and Bernstein's SipHash on 32-bit words, the variant that Linux uses for
// its own hash tables): 32-bit operations are what JavaScript does fast. 52 of the 64 bits are kept, so that a
// hash is an exact number and a cookie that fits the kernel's signed directory offsets.

import type { ByteString } from './types.ts'

/** 0 is the start of a listing, 1 and 2 are "." and ".." */
const FIRST_COOKIE = 3
const HIGH_BITS_MASK = 0xfffff
const KEY_BYTES_MIN = 16

export type NameHash = (name: ByteString) => number

/** @param key at least 16 secret bytes */
export function nameHash(key: Uint8Array): NameHash {
  if (key.length < KEY_BYTES_MIN) throw new RangeError('a key for name hashes has 16 bytes or more')
  const words = new DataView(key.buffer, key.byteOffset, key.byteLength)
  // HalfSipHash has a key of 64 bits: fold 128 into it
  const k0 = words.getInt32(0, true) ^ words.getInt32(8, true)
  const k1 = words.getInt32(4, true) ^ words.getInt32(12, true)
  return name => hashName(k0, k1, name)
}

function hashName(k0: number, k1: number, name: ByteString): number {
  let v0 = k0
  let v1 = k1 ^ 0xee
  let v2 = 0x6c796765 ^ k0
  let v3 = 0x74656462 ^ k1

  const round = (): void => {
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
  }

  const length = name.length
  const whole = length - (length % 4)
  for (let at = 0; at <= whole; at += 4) {
    const word =
      at < whole
        ? name.charCodeAt(at) |
          (name.charCodeAt(at + 1) << 8) |
          (name.charCodeAt(at + 2) << 16) |
          (name.charCodeAt(at + 3) << 24)
        : lastWord(name, whole)
    v3 ^= word
    round()
    v0 ^= word
  }

  v2 ^= 0xee
  round()
  round()
  round()
  const low = (v1 ^ v3) >>> 0
  v1 ^= 0xdd
  round()
  round()
  round()
  const high = (v1 ^ v3) & HIGH_BITS_MASK
  return Math.max(high * 2 ** 32 + low, FIRST_COOKIE)
}

/** the bytes that fill no word, and the length in the top byte */
function lastWord(name: ByteString, whole: number): number {
  let word = name.length << 24
  for (let at = whole; at < name.length; at++) word |= name.charCodeAt(at) << (8 * (at - whole))
  return word
}
