// Looks for inputs that a decoder doesn't bear, led by coverage: what runs code that nothing ran before is kept and
// changed further. Usage: coverage-fuzzer.js SECONDS [TARGET...], SECONDS for each target; see scripts/fuzz.
//
// Findings are written to test/fuzz/corpus as regressions. Inputs that reach new code are kept beside them when
// COFFER_FUZZ_KEEP is set; the corpus is to stay small.

import { keep, readCorpus } from './corpus.ts'
import { Coverage } from './coverage.ts'
import { mutate, seededRandom, type Random } from './mutate.ts'
import type { FuzzTarget } from './target.ts'
import { targets } from './targets.ts'

/** Asking V8 what has run costs as much as some dozen inputs. */
const BATCH_INPUTS = 100
const INPUT_BYTES_MAX = 4096
const POOL_MAX = 2000
const KEPT_BYTES_MAX = 1024
const INPUT_MS_MAX = 2000

export interface FuzzReport {
  readonly inputs: number
  readonly reachedInputs: number
  /** pieces of source that have run */
  readonly places: number
  readonly findings: readonly { readonly message: string; readonly path: string }[]
}

/** @returns what is wrong with how the target took the input */
async function findingOf(target: FuzzTarget, input: Uint8Array): Promise<string | undefined> {
  const started = performance.now()
  try {
    await target.run(input)
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
  const took = performance.now() - started
  return took > INPUT_MS_MAX ? `an input took ${Math.round(took)} ms` : undefined
}

class Fuzzer {
  readonly #target: FuzzTarget
  readonly #random: Random
  readonly #coverage = new Coverage()
  readonly #pool: Uint8Array[]
  readonly #findings = new Map<string, { message: string; path: string }>()
  #inputs = 0
  #reachedInputs = 0

  constructor(target: FuzzTarget, seed: number) {
    this.#target = target
    this.#random = seededRandom(seed)
    this.#pool = [...target.samples, ...readCorpus(target.name).map(({ bytes }) => bytes)]
  }

  async run(milliseconds: number): Promise<FuzzReport> {
    await this.#coverage.start()
    for (const input of this.#pool) await this.#feed(input)
    await this.#coverage.takeNew()
    const end = performance.now() + milliseconds
    while (performance.now() < end) await this.#batch()
    this.#coverage.stop()
    return {
      inputs: this.#inputs,
      reachedInputs: this.#reachedInputs,
      places: this.#coverage.reachedCount,
      findings: [...this.#findings.values()],
    }
  }

  async #batch(): Promise<void> {
    const batch = Array.from({ length: BATCH_INPUTS }, () => this.#next())
    for (const input of batch) await this.#feed(input)
    const places = await this.#coverage.takeNew()
    if (places.size === 0) return
    // Which of them it was is seen by running them again.
    for (const input of batch) {
      await this.#feed(input)
      if (await this.#coverage.ranAny(places)) this.#remember(input)
    }
  }

  #remember(input: Uint8Array): void {
    this.#reachedInputs++
    if (process.env['COFFER_FUZZ_KEEP'] !== undefined && input.length <= KEPT_BYTES_MAX) {
      keep(this.#target.name, 'reached', input)
    }
    if (this.#pool.length < POOL_MAX) this.#pool.push(input)
    else this.#pool[this.#random(POOL_MAX)] = input
  }

  #next(): Uint8Array {
    const input = this.#pool[this.#random(this.#pool.length)] ?? new Uint8Array()
    const other = this.#pool[this.#random(this.#pool.length)] ?? input
    return mutate(input, other, this.#random, INPUT_BYTES_MAX)
  }

  async #feed(input: Uint8Array): Promise<void> {
    this.#inputs++
    const message = await findingOf(this.#target, input)
    if (message === undefined) return
    // The same mistake at the same place is one finding, whatever led there.
    const place = message.replaceAll(/[0-9a-f]{4,}|\d+/g, '#')
    if (this.#findings.has(place)) return
    const path = keep(this.#target.name, 'crash', input)
    this.#findings.set(place, { message, path })
    console.log(`${this.#target.name}: ${message}\nkept as ${path}`)
  }
}

const [secondsText = '', ...names] = process.argv.slice(2)
const seconds = Number(secondsText)
const unknown = names.filter(name => !targets.some(target => target.name === name))
if (!(seconds > 0) || unknown.length > 0) {
  console.error(
    `usage: scripts/fuzz SECONDS [TARGET...]; unknown: ${unknown.join(', ') || secondsText}`,
  )
  console.error(`targets: ${targets.map(({ name }) => name).join(' ')}`)
  process.exitCode = 2
} else {
  const chosen = targets.filter(({ name }) => names.length === 0 || names.includes(name))
  const seed = Number(process.env['COFFER_FUZZ_SEED'] ?? Date.now() % 2 ** 32)
  console.log(`seed ${seed}`)
  for (const target of chosen) {
    const report = await new Fuzzer(target, seed).run(seconds * 1000)
    console.log(
      `${target.name}: ${report.inputs} inputs, ${report.places} places reached, ` +
        `${report.reachedInputs} inputs reached something new, ${report.findings.length} findings`,
    )
    if (report.findings.length > 0) process.exitCode = 1
  }
}
