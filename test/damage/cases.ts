// Runs cases: copies a prepared store, damages it, lets a process use it, judges the result.

import { fork } from 'node:child_process'
import { appendFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Random } from '../helpers/random.ts'
import type { Message } from './case-child.ts'
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
import type { Observation } from './observe.ts'
import { copyTree, prepareStore, VARIANTS } from './prepare.ts'

const HANG_MS = 60_000
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
    while (next < end) {
      const number = next++
      const each = prepared[number % prepared.length]
      if (each === undefined) throw new Error('there is no store')
      const result = await runCase(run, number, each)
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
  const { observation, fault, stderr } = await runChild(place, prepared.modelPath)
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
  const end = await runChild(place, prepared.modelPath)
  const { hasTrash } = run
  const violations = await judge({ prepared, damage, end, baseline, store, stamps, hasTrash })
  const isKept = violations.length > 0 && run.keepsFailures === true
  if (!isKept) rmSync(place, { recursive: true, force: true })
  const { observation, fault } = end
  const told = observation === undefined ? [] : tellings(observation, baseline).slice(0, 5)
  const ms = Math.round(performance.now() - startMs)
  return { number, variant: prepared.variant, damage, violations, told, fault, ms }
}

async function runChild(place: string, modelPath: string): Promise<CaseEnd> {
  const child = fork(CHILD, [place, modelPath], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  let observation: Observation | undefined
  let step = 'start'
  let stderr = ''
  let isHung = false
  child.stderr?.on('data', (bytes: Buffer) => {
    stderr = `${stderr}${bytes.toString()}`.slice(-STDERR_BYTES_MAX)
  })
  child.on('message', (message: Message) => {
    if ('step' in message) step = message.step
    else observation = message.observation
  })
  const timer = setTimeout(() => {
    isHung = true
    child.kill('SIGKILL')
  }, HANG_MS)
  const { code, signal } = await new Promise<{ code: number | null; signal: string | null }>(
    resolve => child.on('close', (code, signal) => resolve({ code, signal })),
  )
  clearTimeout(timer)
  let fault: string | undefined
  if (isHung) fault = 'a hang'
  else if (signal !== null) fault = `killed by ${signal}`
  else if (code !== 0 || observation === undefined) fault = `exit code ${code}`
  return { observation, step, fault, stderr }
}
