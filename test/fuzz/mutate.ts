// Makes inputs out of inputs: the usual small damages, from a seed, so that a failure can be had again.

/** Numbers at which lengths, counts and offsets go wrong. */
const INTERESTING = [0, 1, 2, 7, 8, 16, 64, 100, 127, 128, 255, 256, 1000, 1024, 4095, 4096, 32_767]
const INTERESTING_WIDE = [
  65_535,
  65_536,
  2 ** 20,
  2 ** 24,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 4096,
  2 ** 32 - 1,
]
const INTERESTING_64 = [
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
]
const STACKED_MAX = 6

export type Random = (below: number) => number

/** mulberry32: small, and the same everywhere. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return below => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

type Mutation = (bytes: Buffer, random: Random, other: Uint8Array) => Buffer

const flipBit: Mutation = (bytes, random) => {
  if (bytes.length === 0) return bytes
  const at = random(bytes.length)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8))
  return bytes
}

const setByte: Mutation = (bytes, random) => {
  if (bytes.length > 0) bytes[random(bytes.length)] = random(256)
  return bytes
}

const addSmall: Mutation = (bytes, random) => {
  if (bytes.length === 0) return bytes
  const at = random(bytes.length)
  bytes[at] = ((bytes[at] ?? 0) + random(17) - 8) & 0xff
  return bytes
}

const setNumber: Mutation = (bytes, random) => {
  const width = [1, 2, 4, 8][random(4)] ?? 4
  if (bytes.length < width) return bytes
  const at = random(bytes.length - width + 1)
  const narrow = BigInt(INTERESTING[random(INTERESTING.length)] ?? 0)
  const wide = BigInt(INTERESTING_WIDE[random(INTERESTING_WIDE.length)] ?? 0)
  const widest = INTERESTING_64[random(INTERESTING_64.length)] ?? 0n
  const value = width <= 2 ? narrow : width === 4 ? [narrow, wide][random(2)] : widest
  const number = Buffer.alloc(8)
  number.writeBigUInt64LE(value ?? 0n)
  const part = number.subarray(0, width)
  bytes.set(random(2) === 0 ? part : part.reverse(), at)
  return bytes
}

const cut: Mutation = (bytes, random) => bytes.subarray(0, random(bytes.length + 1))

const remove: Mutation = (bytes, random) => {
  const at = random(bytes.length + 1)
  const end = Math.min(bytes.length, at + 1 + random(16))
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)])
}

const insert: Mutation = (bytes, random) => {
  const at = random(bytes.length + 1)
  const added = Buffer.from(Array.from({ length: 1 + random(16) }, () => random(256)))
  return Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at)])
}

const repeat: Mutation = (bytes, random) => {
  const at = random(bytes.length + 1)
  const piece = bytes.subarray(at, at + 1 + random(64))
  return Buffer.concat([
    bytes.subarray(0, at),
    ...Array(1 + random(4)).fill(piece),
    bytes.subarray(at),
  ])
}

const splice: Mutation = (bytes, random, other) => {
  const head = bytes.subarray(0, random(bytes.length + 1))
  return Buffer.concat([head, other.subarray(random(other.length + 1))])
}

const MUTATIONS: readonly Mutation[] = [
  flipBit,
  flipBit,
  setByte,
  addSmall,
  setNumber,
  setNumber,
  cut,
  remove,
  insert,
  repeat,
  splice,
]

/** One input, damaged in one to six ways. @param other what a piece may be taken from */
export function mutate(
  input: Uint8Array,
  other: Uint8Array,
  random: Random,
  bytesMax: number,
): Buffer {
  let bytes = Buffer.from(input)
  for (let count = 1 + random(STACKED_MAX); count > 0; count--) {
    const mutation = MUTATIONS[random(MUTATIONS.length)] ?? flipBit
    bytes = Buffer.from(mutation(bytes, random, other))
  }
  return bytes.subarray(0, bytesMax)
}
