// Runs cases: copies a prepared store, damages it, lets a process use it, judges the result.

import { fork, type ChildProcess } from 'node:child_process'
import { appendFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Random } from '../helpers/random.ts'
import type { Message, Order } from './case-child.ts'
import { damageSource, damageStore, type Damage, type DamageSource } from './damages.ts'
import {
  baselineOf,
  judge,
  stampBlocks,
  tellings,
  type Baseline,
  type CaseEnd,
  type Violation,
} from './judge.ts'
import { copyTree, prepareStore, VARIANTS } from './prepare.ts'

const HANG_MS = 60_000
/** Starting a process takes as long as half a case. */
const CASES_OF_WORKER = 25
const CHILD = join(import.meta.dirname, 'case-child.js')
const STDERR_BYTES_MAX = 20_000

export interface CaseResult {
  readonly number: number
  readonly variant: string
  readonly damage: Damage
  readonly violations: readonly Violation[]
  /** how the damage was told of, at most a few of them */
  readonly told: readonly string[]
  readonly fault: string | undefined
  readonly ms: number
}

export interface DamageRun {
  readonly seed: number
  readonly count: number
  /** only this case */
  readonly only?: number
  /** for the prepared stores, which are kept, and the cases, which are not */
  readonly work: string
  readonly hasTrash: boolean
  /** so many cases at once */
  readonly lanes: number
  /** for a line of JSON a case */
  readonly results?: string
  /** keeps the store of each case that breaks a rule */
  readonly keepsFailures?: boolean
  readonly told?: (result: CaseResult) => void
}

interface Prepared {
  readonly source: DamageSource
  readonly baseline: Baseline
}

/** @throws Error when the undamaged store breaks a rule: then no case would prove anything */
export async function runDamages(run: DamageRun): Promise<CaseResult[]> {
  mkdirSync(run.work, { recursive: true })
  const prepared: Prepared[] = []
  for (const [index, variant] of VARIANTS.entries()) {
    const store = await prepareStore(run.work, variant, run.seed + index)
    const source = await damageSource(store)
    prepared.push({ source, baseline: await undamaged(run.work, source) })
  }
  const results: CaseResult[] = []
  let next = run.only ?? 0
  const end = run.only === undefined ? run.count : run.only + 1
  const lane = async (): Promise<void> => {
    const worker = new Worker()
    try {
      await work(worker)
    } finally {
      worker.end()
    }
  }
  const work = async (worker: Worker): Promise<void> => {
    while (next < end) {
      const number = next++
      const each = prepared[number % prepared.length]
      if (each === undefined) throw new Error('there is no store')
      const result = await runCase(run, number, each, worker)
      results.push(result)
      if (run.results !== undefined) appendFileSync(run.results, `${JSON.stringify(result)}\n`)
      run.told?.(result)
    }
  }
  await Promise.all(Array.from({ length: run.lanes }, lane))
  return results.sort((a, b) => a.number - b.number)
}

/** Runs a case without damage: its warnings do not count as told damage. */
async function undamaged(work: string, { prepared }: DamageSource): Promise<Baseline> {
  const place = join(work, `undamaged-${prepared.variant}`)
  rmSync(place, { recursive: true, force: true })
  copyTree(prepared.keep, place)
  const worker = new Worker()
  const order = { directory: place, modelPath: prepared.modelPath }
  const { observation, fault, stderr } = await worker.run(order)
  worker.end()
  rmSync(place, { recursive: true, force: true })
  const files = Object.keys(prepared.model.files).length
  const isWhole =
    observation !== undefined &&
    observation.mistakes.length === 0 &&
    observation.lives.length === 2 &&
    observation.lives.every(
      ({ equalFiles, missing, extra }) =>
        equalFiles === files && missing.length === 0 && extra.length === 0,
    )
  const said = observation === undefined ? [] : tellings(observation, baselineOf(observation))
  if (isWhole && said.length === 0) return baselineOf(observation)
  const what = JSON.stringify({ fault, stderr, said, observation }).slice(0, 2000)
  throw new Error(`The undamaged store is not whole: ${what}`)
}

async function runCase(
  run: DamageRun,
  number: number,
  { source, baseline }: Prepared,
  worker: Worker,
): Promise<CaseResult> {
  const startMs = performance.now()
  const { prepared } = source
  const place = join(run.work, `case-${number}`)
  rmSync(place, { recursive: true, force: true })
  copyTree(prepared.keep, place)
  const store = join(place, 'store')
  const random = new Random(Math.imul(run.seed, 1_000_003) + number)
  const damage = damageStore(source, store, random)
  const stamps = stampBlocks(store)
  const end = await worker.run({ directory: place, modelPath: prepared.modelPath })
  const { hasTrash } = run
  const violations = await judge({ prepared, damage, end, baseline, store, stamps, hasTrash })
  const isKept = violations.length > 0 && run.keepsFailures === true
  if (!isKept) rmSync(place, { recursive: true, force: true })
  const { observation, fault } = end
  const told = observation === undefined ? [] : tellings(observation, baseline).slice(0, 5)
  const ms = Math.round(performance.now() - startMs)
  return { number, variant: prepared.variant, damage, violations, told, fault, ms }
}

/** A process for cases; one that a case has ended, or left with a mistake, is not used again. */
class Worker {
  #child: ChildProcess | undefined
  #caseCount = 0

  async run(order: Order): Promise<CaseEnd> {
    const child = (this.#child ??= fork(CHILD, [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] }))
    const end = await runIn(child, order)
    const isWhole = end.fault === undefined && end.observation?.mistakes.length === 0
    if (!isWhole || ++this.#caseCount >= CASES_OF_WORKER) this.end()
    return end
  }

  end(): void {
    this.#child?.kill('SIGKILL')
    this.#child = undefined
    this.#caseCount = 0
  }
}

async function runIn(child: ChildProcess, order: Order): Promise<CaseEnd> {
  let step = 'start'
  let startedBlocks: readonly number[] | undefined
  let stderr = ''
  const hear = (bytes: Buffer): void => {
    stderr = `${stderr}${bytes.toString()}`.slice(-STDERR_BYTES_MAX)
  }
  child.stderr?.on('data', hear)
  let timer: NodeJS.Timeout | undefined
  const ended = await new Promise<Pick<CaseEnd, 'observation' | 'fault'>>(resolve => {
    child.on('message', (message: Message) => {
      if ('step' in message) step = message.step
      else if ('startedBlocks' in message) startedBlocks = message.startedBlocks
      else resolve({ observation: message.observation, fault: undefined })
    })
    child.on('close', (code, signal) => {
      const fault = signal === null ? `exit code ${code}` : `killed by ${signal}`
      resolve({ observation: undefined, fault })
    })
    timer = setTimeout(() => resolve({ observation: undefined, fault: 'a hang' }), HANG_MS)
    child.send(order)
  })
  clearTimeout(timer)
  child.removeAllListeners('message')
  child.removeAllListeners('close')
  child.stderr?.removeListener('data', hear)
  return { ...ended, step, startedBlocks, stderr }
}
