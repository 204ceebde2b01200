// kill -9 at the steps of every change of a group's keys: there is always exactly one passphrase that opens the group,
// the one before the answer or the one after it, and with it everything reads. COFFER_ENCRYPTION_KILLS sets how many
// steps of each change are tried; 0 tries every one.

import '../helpers/cheap-scrypt.ts'
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t from 'tap'
import { BARE_NODE } from '../helpers/bare-node.ts'
import { contentOf, OpenStore, sha256 } from '../helpers/open-store.ts'
import { describe, GROUP, SCENARIOS, type Scenario } from './encryption-scenarios.ts'

const KILLS = Number(process.env['COFFER_ENCRYPTION_KILLS'] ?? 2)
const VICTIM = resolve(import.meta.dirname, 'encryption-victim.js')
/** Tries at the same time: most of one is waiting for the disk. */
const LANES = 3
/** At most so many steps a change has; more would be a victim that counts something else. */
const STEPS_MAX = 300

type Contents = ReadonlyMap<string, string>

interface Checks {
  ok(found: unknown, text: string): unknown
  same(found: unknown, expected: unknown, text: string): unknown
  equal(found: unknown, expected: unknown, text: string): unknown
}

interface Outcome {
  readonly isAnswered: boolean
  readonly kept: Contents
  /** when it came to its end */
  readonly steps: number | undefined
}

function runVictim(directory: string, scenario: number, step: number): Promise<Outcome> {
  const args = [...BARE_NODE, VICTIM, directory, String(scenario), String(step)]
  return new Promise((done, reject) => {
    const child = execFile('env', args, (error, stdout, stderr) => {
      if (error !== null && child.signalCode !== 'SIGKILL') {
        reject(new Error(stderr))
        return
      }
      const kept = [...stdout.matchAll(/^kept (\S+) (\S+)$/gm)]
      const steps = /^steps (\d+)$/m.exec(stdout)?.[1]
      done({
        isAnswered: /^done$/m.test(stdout),
        kept: new Map(kept.map(([, name = '', hash = '']) => [name, hash])),
        steps: steps === undefined ? undefined : Number(steps),
      })
    })
  })
}

/** A group with data in clear, and a neighbour that nothing of this may touch. */
async function prepare(directory: string, scenario: Scenario): Promise<Contents> {
  const store = await OpenStore.open(directory)
  const contents = new Map<string, string>()
  try {
    store.storage.groups.add(GROUP, 'fast')
    store.addContainer('v', GROUP)
    store.addContainer('other')
    for (let number = 0; number < 4; number++) {
      for (const container of ['v', 'other']) {
        await store.write(`${container}/f${number}`, contentOf(number, 50_000 + number * 40_000))
      }
    }
    await store.sync()
    await scenario.prepare(store)
    for (const name of ['v/f0', 'v/f1', 'v/f2', 'v/f3', 'v/first', 'other/f0', 'other/f3']) {
      const bytes = await store.read(name).catch(() => undefined)
      if (bytes !== undefined) contents.set(name, sha256(bytes))
    }
  } finally {
    await store.close()
  }
  return contents
}

async function wrongFiles(store: OpenStore, contents: Contents): Promise<string[]> {
  const wrong: string[] = []
  for (const [name, hash] of contents) {
    const found = await store.read(name).then(sha256, (error: Error) => error.message)
    if (found !== hash) wrong.push(`${name}: ${found}`)
  }
  return wrong
}

/** The keystores below a directory. */
async function keystores(directory: string): Promise<Buffer[]> {
  const entries = await readdir(directory, { recursive: true }).catch(() => [])
  const names = entries.filter(name => name.endsWith('.keystore'))
  return Promise.all(names.map(name => readFile(join(directory, name))))
}

async function check(
  t: Checks,
  directory: string,
  { putsAside = false }: Scenario,
  states: readonly string[],
  contents: Contents,
): Promise<void> {
  const store = await OpenStore.open(directory)
  const later = new Map(contents)
  let state = ''
  try {
    state = await describe(store)
    t.ok(states.includes(state), `${state}, of ${states.join(' | ')}`)
    t.same(await wrongFiles(store, contents), [], 'all files read')
    const group = store.storage.groups.named(GROUP)
    const isOn = store.storage.encryption.info(group.id)?.isOn ?? false
    t.equal(group.hasSecrets, !isOn, 'the secrets are in the keystore alone if it is encrypted')
    const alerts = store.storage.alerts.list().map(({ code }) => code)
    t.same(
      alerts.filter(code => code.startsWith('DAMAGED') || code === 'KEYSTORE_UNUSABLE'),
      [],
      'no damage',
    )
    const fresh = contentOf(7, 200_000)
    await store.write('v/after', fresh, true)
    later.set('v/after', sha256(fresh))
  } finally {
    await store.close()
  }
  const primary = await keystores(join(directory, 'store/keystores'))
  const backup = await keystores(join(directory, 'keystore-backup'))
  t.equal(primary.length, state === 'no passphrase' ? 0 : 1, 'one keystore or none')
  t.same(primary, backup, 'both copies are equal')
  const again = await OpenStore.open(directory)
  try {
    t.equal(await describe(again), state, 'and so it stays')
    t.same(await wrongFiles(again, later), [], 'all files read, the new one too')
    const said = again.storage.alerts.list().filter(({ code }) => code.startsWith('KEYSTORE'))
    t.same(
      said.filter(({ code }) => code !== (putsAside ? 'KEYSTORE_ASIDE' : 'KEYSTORE_REPAIRED')),
      [],
      'nothing is left to be said of keystores',
    )
  } finally {
    await again.close()
  }
}

/** @returns how many steps the change had when it came to its end */
async function tryStep(
  t: Checks,
  template: string,
  contents: Contents,
  scenario: Scenario,
  step: number,
): Promise<number | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-victim-'))
  try {
    await cp(template, directory, { recursive: true })
    const number = SCENARIOS.indexOf(scenario)
    const { isAnswered, kept, steps } = await runVictim(directory, number, step)
    const states = isAnswered ? [scenario.after] : [scenario.before, scenario.after]
    await check(t, directory, scenario, states, new Map([...contents, ...kept]))
    return steps
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

for (const scenario of SCENARIOS) {
  t.test(`${scenario.name}, killed at any step`, { timeout: 600_000 }, async t => {
    t.jobs = LANES
    const template = await mkdtemp(join(tmpdir(), 'coffer-template-'))
    t.teardown(() => rm(template, { recursive: true, force: true }))
    const contents = await prepare(template, scenario)
    const steps = await tryStep(t, template, contents, scenario, 0)
    if (steps === undefined) throw new Error('the change did not come to its end')
    t.ok(steps > 20 && steps < STEPS_MAX, `${steps} steps`)
    const stride = KILLS === 0 ? 1 : Math.max(1, steps / KILLS)
    const tries: Promise<unknown>[] = []
    for (let at = 0; at < steps; at += stride) {
      const step = 1 + Math.floor(at + (KILLS === 0 ? 0 : Math.random() * stride))
      const trying = (t: Checks) => tryStep(t, template, contents, scenario, step)
      tries.push(t.test(`step ${step}`, { buffered: true }, trying))
    }
    await Promise.all(tries)
  })
}
