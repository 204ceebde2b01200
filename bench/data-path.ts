// Throughput of each stage of the data path, in GB/s of raw data. `node dist/bench/data-path.js [directory]`; the
// directory decides which disk is measured.

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openBlockStore, type NewChunk, type SealingPolicy } from '../src/blocks/index.ts'
import { Secret } from '../src/native/secret.ts'
import { allocateArena, CHUNK_KEY_BYTES, type CutParameters } from '../src/native/data-path.ts'
import { cutAndFingerprint, setInstructionSet } from '../test/helpers/test-exports.ts'

const SEGMENT_BYTES = 4 << 20
const ROUNDS = 64
/** Segments under way at once, as the write path keeps them. */
const IN_FLIGHT = 4
const RUNS = 3
const CHUNK_BYTES = 32 * 1024

const PARAMETERS: CutParameters = {
  key: Secret.random(CHUNK_KEY_BYTES),
  averageBytes: CHUNK_BYTES,
  maxBytes: 256 * 1024,
}

const KEY = Secret.random(32)

function segmentOf(isText: boolean): Uint8Array {
  const segment = new Uint8Array(allocateArena(SEGMENT_BYTES, { prefault: true }))
  segment.set(randomBytes(SEGMENT_BYTES))
  if (!isText) return segment
  // Words of a small vocabulary: shrinks about as well as source code.
  const words = Array.from({ length: 4096 }, (_, index) =>
    Buffer.from(`${(index * 7919) % 10_007} `),
  )
  for (let at = 0; at < SEGMENT_BYTES;) {
    const word = words[((segment[at] ?? 0) | ((segment[at + 1] ?? 0) << 8)) & 4095]
    if (!word) break
    segment.set(word.subarray(0, SEGMENT_BYTES - at), at)
    at += word.length
  }
  return segment
}

function chunksOf(segment: Uint8Array): NewChunk[] {
  const chunks: NewChunk[] = []
  for (let at = 0; at < segment.length; at += CHUNK_BYTES) {
    chunks.push({ fingerprint: randomBytes(32), data: segment.subarray(at, at + CHUNK_BYTES) })
  }
  return chunks
}

async function measure(
  label: string,
  rounds: number,
  bytesPerRound: number,
  run: (round: number) => Promise<unknown>,
  finish: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const rates: number[] = []
  const costs: number[] = []
  for (let repeat = 0; repeat < RUNS; repeat++) {
    const cpu = process.cpuUsage()
    const start = performance.now()
    let next = 0
    const worker = async (): Promise<void> => {
      while (next < rounds) await run(next++)
    }
    await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
    await finish()
    const gigabytes = (rounds * bytesPerRound) / 1e9
    const used = process.cpuUsage(cpu)
    rates.push(gigabytes / ((performance.now() - start) / 1000))
    costs.push((used.user + used.system) / 1000 / gigabytes)
  }
  const middle = (values: number[]): number => values.sort((a, b) => a - b)[RUNS >> 1] ?? 0
  console.log(
    `${label.padEnd(44)} ${middle(rates).toFixed(2).padStart(6)} GB/s ` +
      `${middle(costs).toFixed(0).padStart(5)} ms CPU/GB`,
  )
}

async function measureCutting(segment: Uint8Array): Promise<void> {
  for (const name of ['scalar', 'avx2', 'avx512'] as const) {
    if (setInstructionSet(name) !== name) continue
    await measure(`cut + fingerprint, ${name}`, ROUNDS, SEGMENT_BYTES, () =>
      cutAndFingerprint(segment, PARAMETERS, true),
    )
  }
  setInstructionSet('auto')
}

async function measureStore(
  parent: string,
  label: string,
  policy: SealingPolicy,
  segment: Uint8Array,
  verify: boolean,
): Promise<void> {
  const directory = await mkdtemp(join(parent, 'coffer-bench-'))
  const store = await openBlockStore({
    directory,
    records: [],
    committedSequence: 0,
    nextBlock: 1,
    nowSeconds: () => Math.floor(Date.now() / 1000),
    lookupKey: () => KEY,
    cacheBytes: 32 << 20,
    verify,
  })
  const chunks = chunksOf(segment)
  const pages = new Map<string, { block: number; page: number }>()
  await measure(
    `append ${label}${verify ? '' : ', unverified'}`,
    ROUNDS,
    SEGMENT_BYTES,
    async () => {
      for (const { block, page } of await store.append(policy, chunks, 1)) {
        pages.set(`${block}:${page}`, { block, page })
      }
    },
    () => store.sync(),
  )
  const regions = [...pages.values()]
  await measure(`read ${label}`, regions.length, SEGMENT_BYTES / 8, async round => {
    const place = regions[round]
    if (!place) return
    const region = await store.readRegion(place.block, place.page)
    region.release()
  })
  await store.close()
  await rm(directory, { recursive: true })
}

const parent = process.argv[2] ?? tmpdir()
const random = segmentOf(false)
const text = segmentOf(true)
await measureCutting(random)
const clear: SealingPolicy = { group: 1, compression: 'none', keyId: 0 }
const keyed: SealingPolicy = { group: 1, compression: 'none', keyId: 1, key: KEY }
await measureStore(parent, 'random, clear, none', clear, random, true)
await measureStore(parent, 'random, clear, none', clear, random, false)
await measureStore(parent, 'random, keyed, none', keyed, random, true)
await measureStore(parent, 'random, keyed, none', keyed, random, false)
await measureStore(parent, 'random, keyed, fast', { ...keyed, compression: 'fast' }, random, true)
await measureStore(parent, 'random, keyed, best', { ...keyed, compression: 'best' }, random, true)
await measureStore(parent, 'text, keyed, fast', { ...keyed, compression: 'fast' }, text, true)
await measureStore(parent, 'text, keyed, best', { ...keyed, compression: 'best' }, text, true)
