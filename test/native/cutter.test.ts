// Cutting: the same chunks however the stream is handed over and whatever the processor.

import fc from 'fast-check'
import t from 'tap'
import { randomBytes } from 'node:crypto'
import { allocateArena, type CutParameters } from '../../src/native/data-path.ts'
import { chunkKeyOf, secretOf } from '../helpers/secrets.ts'
import { cutAndFingerprint, setInstructionSet } from '../helpers/test-exports.ts'

const MULTIPLIERS = [0x9e3779b1, 0x85ebca77] as const
const PARAMETERS: CutParameters = {
  key: chunkKeyOf(Buffer.alloc(32, 1), MULTIPLIERS),
  averageBytes: 8192,
  maxBytes: 65_536,
}

interface Cuts {
  readonly lengths: number[]
  readonly fingerprints: string[]
}

async function cutWhole(data: Uint8Array, parameters = PARAMETERS): Promise<Cuts> {
  return cutInPieces(data, [data.length], parameters)
}

/** Hands the stream over in pieces, the unconsumed rest of each before the next. */
async function cutInPieces(
  data: Uint8Array,
  pieces: readonly number[],
  parameters = PARAMETERS,
): Promise<Cuts> {
  const lengths: number[] = []
  const fingerprints: string[] = []
  let start = 0
  let end = 0
  for (let index = 0; start < data.length; index++) {
    end = Math.min(data.length, end + (pieces[index] ?? data.length))
    const isEnd = end === data.length
    const result = await cutAndFingerprint(data.subarray(start, end), parameters, isEnd)
    lengths.push(...result.lengths)
    for (let at = 0; at < result.fingerprints.length; at += 32) {
      fingerprints.push(Buffer.from(result.fingerprints.subarray(at, at + 32)).toString('hex'))
    }
    start += result.consumedBytes
  }
  return { lengths, fingerprints }
}

/** Data of the alphabets that backups hold: all bytes, DNA, runs. */
function dataOf(kind: number, length: number): Uint8Array {
  const data = randomBytes(length)
  if (kind === 1)
    for (let at = 0; at < length; at++) data[at] = 'ACGT'.charCodeAt(Number(data[at]) & 3)
  if (kind === 2) data.fill(0, length >> 2, length >> 1)
  if (kind === 3) data.fill(0)
  return data
}

t.test('all instruction sets cut alike', async t => {
  t.teardown(() => void setInstructionSet('auto'))
  await fc.assert(
    fc.asyncProperty(
      fc.nat(3),
      fc.nat(200_000),
      fc.integer({ min: 1, max: 20_000 }),
      fc.integer({ min: 1, max: 65_536 }),
      async (kind, length, averageBytes, maxBytes) => {
        const data = dataOf(kind, length)
        const parameters = { ...PARAMETERS, averageBytes, maxBytes: Math.max(maxBytes, 64) }
        const results: string[] = []
        for (const set of ['scalar', 'avx2', 'avx512'] as const) {
          setInstructionSet(set)
          results.push(JSON.stringify(await cutWhole(data, parameters)))
        }
        return new Set(results).size === 1
      },
    ),
    { numRuns: 150 },
  )
})

t.test('cuts do not depend on how the stream is handed over', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(3),
      fc.integer({ min: 1, max: 300_000 }),
      fc.array(fc.integer({ min: 1, max: 100_000 }), { maxLength: 20 }),
      async (kind, length, pieces) => {
        const data = dataOf(kind, length)
        const whole = await cutWhole(data)
        const sum = whole.lengths.reduce((total, chunk) => total + chunk, 0)
        return (
          sum === length &&
          JSON.stringify(whole) === JSON.stringify(await cutInPieces(data, pieces))
        )
      },
    ),
    { numRuns: 150 },
  )
})

t.test('a plain reading of the definition gives the same cuts', async t => {
  const data = dataOf(1, 100_000)
  const window = Math.round(1000 / 1.718)
  const expected: number[] = []
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const valueAt = (at: number): number =>
    (Math.imul(view.getUint32(at, true), MULTIPLIERS[0]) +
      Math.imul(view.getUint32(at + 4, true), MULTIPLIERS[1])) >>>
    0
  let start = 0
  while (start < data.length) {
    let length = Math.min(2500, data.length - start)
    let place = start
    for (let at = start + 1; at + 8 <= data.length && at + 1 - start <= 2500; at++) {
      if (valueAt(at) > valueAt(place)) {
        place = at
      } else if (at === place + window) {
        length = at + 1 - start
        break
      }
    }
    expected.push(length)
    start += length
  }
  const cuts = await cutWhole(data, { ...PARAMETERS, averageBytes: 1000, maxBytes: 2500 })
  t.same(cuts.lengths, expected)
})

t.test('the average size is near its target, also for DNA', async t => {
  for (const kind of [0, 1]) {
    const { lengths } = await cutWhole(dataOf(kind, 8_000_000))
    const mean = 8_000_000 / lengths.length
    t.ok(mean > 0.9 * 8192 && mean < 1.1 * 8192, `mean ${mean}`)
  }
})

t.test('after an inserted byte the cuts fall into step again', async t => {
  const data = dataOf(0, 1_000_000)
  const edited = Buffer.concat([
    data.subarray(0, 500_000),
    Buffer.from([1]),
    data.subarray(500_000),
  ])
  const before = await cutWhole(data)
  const after = await cutWhole(edited)
  const known = new Set(before.fingerprints)
  const fresh = after.fingerprints.filter(fingerprint => !known.has(fingerprint))
  t.ok(fresh.length <= 3, `${fresh.length} new chunks`)
})

t.test('fingerprints are keyed BLAKE3', async t => {
  // From the official test vectors: input of 251-byte counting, length 1, key of the vectors' file.
  const key = chunkKeyOf(Buffer.from('whats the Elvish word for friend'))
  const { fingerprints } = await cutWhole(Buffer.from([0]), { ...PARAMETERS, key })
  t.equal(fingerprints[0], '6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b')
})

t.test('an arena is aligned and writable to its end', async t => {
  const bytes = 3 * 1024 * 1024 + 5
  const arena = new Uint8Array(allocateArena(bytes, { prefault: true }))
  t.equal(arena.length, bytes)
  arena[bytes - 1] = 9
  t.equal(arena[bytes - 1], 9)
})

t.test('bad arguments are refused', async t => {
  t.throws(() => cutAndFingerprint(Buffer.alloc(10), { ...PARAMETERS, maxBytes: 1 << 20 }, true))
  t.throws(() => cutAndFingerprint(Buffer.alloc(10), { ...PARAMETERS, key: secretOf(1, 39) }, true))
})
