// Every durable step of every operation of several steps fails (EIO, ENOSPC, in the middle of its bytes) or is the last
// one (kill): what was promised is there, whoever waited heard of it, the store opens again, keystores open with a
// passphrase that may be expected. COFFER_FAULTS sets how many faults are tried; 0 tries all, or with COFFER_FAULTS_PART=K/N
// every Nth of them, from the Kth on.

import '../helpers/cheap-scrypt.ts'
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t from 'tap'
import { BARE_NODE } from '../helpers/bare-node.ts'
import { DURABLE_STEPS, FAULT_KINDS, type FaultKind } from '../../src/fault-points.ts'
import { contentOf, OpenStore, sha256 } from '../helpers/open-store.ts'
import { describe, SCENARIOS } from './encryption-scenarios.ts'

const FAULTS = Number(process.env['COFFER_FAULTS'] ?? 6)
const [PART = 1, PARTS = 1] = (process.env['COFFER_FAULTS_PART'] ?? '1/1').split('/').map(Number)
const VICTIM = resolve(import.meta.dirname, 'fault-victim.js')
/** Tries at the same time: most of one is waiting for the disk. */
const LANES = 3
/** `recover-…` start on what a kill has left, a tail and a block file without a record. */
const OPERATIONS = [
  'start',
  'recover-tail',
  'recover-unknown',
  'write',
  'clean',
  'undo free',
  'delete',
  'password',
  'repair',
  'stop',
  'another passphrase',
  'encryption on',
  'rotation',
  'from internal to static mode',
  'unlock beside a forged copy',
  'unlock beside an older copy',
  'delete group',
] as const
type Operation = (typeof OPERATIONS)[number]

/** A failure here leaves open what is on disk: the store takes no more writes. */
const FINAL = /^(metadata\.batch|block\.sync|block\.directory-sync)\./
/** Nothing was promised yet: the writer hears of it, and the next one may have more luck. */
const REFUSABLE = /^block\.(append|create|folder)\./

interface Checks {
  ok(found: unknown, text: string): unknown
  same(found: unknown, expected: unknown, text: string): unknown
  equal(found: unknown, expected: unknown, text: string): unknown
}

interface Fault {
  readonly operation: Operation
  readonly point: string
  readonly kind: FaultKind
  /** among the times that the operation reaches the point */
  readonly turn: number
  readonly skip: number
  /** not of what the victim does afterwards, its cleaner above all */
  readonly isOfOperation: boolean
}

interface Outcome {
  readonly output: string
  readonly trace: string
  readonly isKilled: boolean
}

function runVictim(directory: string, operation: string, fault: string): Promise<Outcome> {
  const env = { ...process.env, COFFER_FAULT: fault }
  return new Promise((done, reject) => {
    const args = [...BARE_NODE, VICTIM, directory, operation]
    const child = execFile('env', args, { env }, (error, output, trace) => {
      const isKilled = child.signalCode === 'SIGKILL'
      if (error !== null && !isKilled) reject(new Error(trace))
      else done({ output, trace, isKilled })
    })
  })
}

/** The directory that the operation begins with, and what is promised in there. */
async function begin(directory: string, operation: Operation): Promise<string> {
  if (!operation.startsWith('recover')) return ''
  const first = operation === 'recover-tail' ? 'write' : 'start'
  const { trace } = await runVictim(await freshDirectory(directory, 'trace'), first, 'trace')
  // The commit that would have told of the block file's end, or of the block file.
  const upTo = trace.slice(0, trace.indexOf('block.append.after', trace.indexOf('begin')))
  const skip = upTo.split('reached metadata.batch.before').length - 1
  const { output } = await runVictim(directory, first, `metadata.batch.before:kill:${skip}`)
  return output
}

async function freshDirectory(directory: string, name: string): Promise<string> {
  return mkdtemp(join(directory, `${name}-`))
}

/** All faults of an operation, in the order of the points that it reaches. */
function faultsOf(operation: Operation, trace: string): Fault[] {
  const [before = '', after = ''] = trace.split('begin\n')
  const counts = new Map<string, number>()
  for (const [, point = ''] of before.matchAll(/^reached (\S+)$/gm)) {
    counts.set(point, (counts.get(point) ?? 0) + 1)
  }
  const turns = new Map<string, number>()
  const faults: Fault[] = []
  let isOfOperation = true
  for (const [line, point = ''] of after.matchAll(/^(?:reached (\S+)|going on)$/gm)) {
    if (line === 'going on') {
      isOfOperation = false
      continue
    }
    const turn = turns.get(point) ?? 0
    turns.set(point, turn + 1)
    for (const kind of FAULT_KINDS) {
      if (kind === 'short' && !point.endsWith('.write.before')) continue
      const skip = (counts.get(point) ?? 0) + turn
      faults.push({ operation, point, kind, turn, skip, isOfOperation })
    }
  }
  return faults
}

/** name => hash of what must be there */
function promisesOf(output: string): Map<string, string> {
  const promised = new Map<string, string>()
  for (const line of output.split('\n')) {
    const [, word, name = '', hash = ''] = /^(kept|changing) (\S+) ?(.*)$/.exec(line) ?? []
    if (word === 'kept') promised.set(name, hash)
    else if (word === 'changing') promised.delete(name)
  }
  return promised
}

async function wrongFiles(store: OpenStore, promised: Map<string, string>): Promise<string[]> {
  const wrong: string[] = []
  for (const [name, hash] of promised) {
    const found = await store.read(name).then(sha256, (error: Error) => error.message)
    if (found !== hash) wrong.push(`${name}: ${found}`)
  }
  return wrong
}

/** What the process itself had to say after the step failed. */
function checkAnswer(t: Checks, fault: Fault, output: string): void {
  const { point, kind, operation, isOfOperation } = fault
  t.ok(/^operation /m.test(output), 'the operation came to an end')
  if (operation !== 'write' || !isOfOperation) return
  if (FINAL.test(point)) {
    t.ok(!/^operation ok$/m.test(output), 'the failure reached the caller')
    t.ok(/^read-only true$/m.test(output), 'and is final, with an alert')
  }
  if (REFUSABLE.test(point)) {
    const expected = kind === 'ENOSPC' ? /^operation ENOSPC$/m : /^operation EIO$/m
    t.ok(expected.test(output), 'the writer got the error')
    t.ok(/^kept v\/later /m.test(output), 'the next writer had luck')
    t.ok(/^cleaned complete$/m.test(output), 'deletes and the cleaner work')
  }
}

/** The store as the next start finds it. */
async function checkStore(t: Checks, directory: string, operation: Operation, output: string) {
  const promised = promisesOf(output)
  const store = await OpenStore.open(directory)
  try {
    const scenario = SCENARIOS.find(({ name }) => name === operation)
    if (scenario !== undefined) {
      const isDone = /^operation ok$/m.test(output)
      const states = isDone ? [scenario.after] : [scenario.before, scenario.after]
      const state = (await describe(store)).replace(/ retired/g, ' decrypt-only')
      const isExpected = states.some(each => state.startsWith(each.replace(/, keys: .*/, '')))
      t.ok(isExpected, `${state}, of ${states.join(' | ')}`)
    }
    if (operation === 'delete group' && store.storage.groups.find('short-lived') === undefined) {
      t.same(await keystoreNames(directory), [], 'a deleted group has no keystore')
    }
    if (operation === 'repair') {
      const { outcome } = await store.storage.repairer.start(undefined).done
      t.ok(['clean', 'repaired'].includes(outcome), `a second repair finishes: ${outcome}`)
    }
    t.same(await wrongFiles(store, promised), [], 'what was promised is there')
    if (store.storage.groups.find('vault') === undefined) store.storage.groups.add('vault', 'fast')
    store.addContainer('after', 'vault')
    await store.write('after/f', contentOf(40, 200_000), true)
    t.equal((await store.storage.cleaner.start('manual').done).outcome, 'complete', 'cleaner')
    promised.set('after/f', sha256(contentOf(40, 200_000)))
    t.same(await wrongFiles(store, promised), [], 'and after the cleaner')
    const codes = store.storage.alerts.list().map(({ code }) => code)
    const bad = codes.filter(code => code.startsWith('DAMAGED') || code === 'KEYSTORE_UNUSABLE')
    t.same(bad, [], 'no damage')
  } finally {
    await store.close()
  }
}

async function keystoreNames(directory: string): Promise<string[]> {
  const names = await readdir(directory, { recursive: true })
  return names.filter(name => /\.keystore/.test(name))
}

async function tryFault(t: Checks, templates: Map<string, Template>, fault: Fault): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-fault-'))
  try {
    const template = templates.get(fault.operation)
    if (template === undefined) throw new Error('every operation has a beginning')
    await cp(template.directory, directory, { recursive: true })
    const setting = `${fault.point}:${fault.kind}:${fault.skip}`
    const name = fault.operation.startsWith('recover') ? 'recover' : fault.operation
    const { output, isKilled } = await runVictim(directory, name, setting)
    if (fault.kind === 'kill') t.ok(isKilled, 'it was the last step')
    else checkAnswer(t, fault, output)
    await checkStore(t, directory, fault.operation, template.output + output)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

interface Template {
  readonly directory: string
  readonly output: string
}

t.test('no durable step may fail unheard, or be the last', { timeout: 7_200_000 }, async t => {
  const base = await mkdtemp(join(tmpdir(), 'coffer-faults-'))
  t.teardown(() => rm(base, { recursive: true, force: true }))
  const templates = new Map<string, Template>()
  const all: Fault[] = []
  for (const operation of OPERATIONS) {
    const directory = await freshDirectory(base, 'template')
    const output = await begin(directory, operation)
    templates.set(operation, { directory, output })
    const traced = await freshDirectory(base, 'trace')
    await cp(directory, traced, { recursive: true })
    const name = operation.startsWith('recover') ? 'recover' : operation
    all.push(...faultsOf(operation, (await runVictim(traced, name, 'trace')).trace))
  }
  const reached = new Set(all.map(({ point }) => point))
  for (const step of DURABLE_STEPS) {
    for (const point of [`${step}.before`, `${step}.after`]) t.ok(reached.has(point), point)
  }
  t.jobs = LANES
  const stride = FAULTS === 0 ? PARTS : all.length / FAULTS
  t.comment(`${all.length} faults`)
  const tries: Promise<unknown>[] = []
  for (let at = FAULTS === 0 ? PART - 1 : 0; at < all.length; at += stride) {
    const fault = all[Math.floor(at + (FAULTS === 0 ? 0 : Math.random() * stride))]
    if (fault === undefined) continue
    const { operation, point, kind, turn } = fault
    const title = `${operation}: ${kind} at ${point}, time ${turn + 1}`
    tries.push(t.test(title, { buffered: true }, t => tryFault(t, templates, fault)))
  }
  await Promise.all(tries)
})
