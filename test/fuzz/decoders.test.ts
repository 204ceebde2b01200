// Every decoder against what is kept of earlier findings, and against some thousands of damaged inputs, always the same
// ones. scripts/fuzz looks for new ones.

import { createHash } from 'node:crypto'
import t from 'tap'
import { CORPUS, readCorpus } from './corpus.ts'
import { mutate, seededRandom } from './mutate.ts'
import type { FuzzTarget } from './target.ts'
import { targets } from './targets.ts'

const INPUTS = Number(process.env['COFFER_FUZZ_INPUTS'] ?? 2000)
/** These write a file an input, or serve dozens of requests. */
const SLOW = new Set(['region', 'block-file', 'fuse', 'control-line'])
const SLOW_SHARE = 4
const INPUT_BYTES_MAX = 16 * 1024
/** Far beyond what any input should take, on a machine that does something else as well. */
const INPUT_MS_MAX = 5000
/** A length field must not decide how much memory there is: all targets together stay below this. */
const MEMORY_BYTES_MAX = 256 * 1024 * 1024

/** @throws with the input, so that it can be kept */
async function feed(target: FuzzTarget, input: Uint8Array): Promise<void> {
  const started = performance.now()
  try {
    await target.run(input)
  } catch (error) {
    const hex = Buffer.from(input).toString('hex')
    throw new Error(`${target.name}: ${String(error)}\ninput ${hex}`, { cause: error })
  }
  const took = performance.now() - started
  if (took > INPUT_MS_MAX) throw new Error(`${target.name}: an input took ${took} ms`)
}

for (const target of targets) {
  t.test(`${target.name} takes or refuses whatever comes`, async t => {
    const kept = readCorpus(target.name)
    for (const { bytes } of kept) await feed(target, bytes)
    for (const sample of target.samples) await feed(target, sample)
    const seed = createHash('sha256').update(target.name).digest().readUInt32LE(0)
    const random = seededRandom(seed)
    const pool = [...target.samples, ...kept.map(({ bytes }) => bytes)]
    const count = SLOW.has(target.name) ? Math.ceil(INPUTS / SLOW_SHARE) : INPUTS
    for (let index = 0; index < count; index++) {
      const input = pool[random(pool.length)] ?? new Uint8Array()
      const other = pool[random(pool.length)] ?? input
      await feed(target, mutate(input, other, random, INPUT_BYTES_MAX))
    }
    t.ok(target.samples.length > 0, 'there is something to start from')
    const { rss } = process.memoryUsage()
    t.ok(rss < MEMORY_BYTES_MAX * 4, `${Math.round(rss / 2 ** 20)} MiB resident`)
  })
}

t.test('the corpus belongs to targets that exist', async t => {
  const { readdirSync } = await import('node:fs')
  const names = new Set(targets.map(({ name }) => name))
  t.same(
    readdirSync(CORPUS).filter(name => !names.has(name)),
    [],
  )
})
