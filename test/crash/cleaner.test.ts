// kill -9 at the steps of a pass, beside writers: everything that was promised reads back, before and after the next
// pass. COFFER_CLEANER_KILLS sets how many steps are tried; 0 tries every one.

import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t from 'tap'
import { BARE_NODE } from '../helpers/bare-node.ts'
import { OpenStore, sha256 } from '../helpers/open-store.ts'

const KILLS = Number(process.env['COFFER_CLEANER_KILLS'] ?? 12)
const VICTIM = resolve(import.meta.dirname, 'cleaner-victim.js')
const PASSPHRASE = Buffer.from('correct horse')
const OUTPUT_BYTES_MAX = 1024 * 1024

interface Checks {
  fail(text: string): unknown
  same(found: unknown, expected: unknown, text: string): unknown
  equal(found: unknown, expected: unknown): unknown
}

interface Outcome {
  readonly output: string
  readonly signal: string | null
}

function runVictim(directory: string, seed: number, step: number): Promise<Outcome> {
  return new Promise(done => {
    const args = [...BARE_NODE, VICTIM, directory, String(seed), String(step)]
    const child = execFile(
      'env',
      args,
      { maxBuffer: OUTPUT_BYTES_MAX },
      (error, stdout, stderr) => {
        const signal = child.signalCode
        if (error !== null && signal !== 'SIGKILL') done({ output: stderr, signal: 'failed' })
        else done({ output: stdout, signal })
      },
    )
  })
}

/** name => hash of what must be there */
function promisesOf(output: string): Map<string, string> {
  const promised = new Map<string, string>()
  for (const line of output.split('\n')) {
    const [word, name = '', hash = ''] = line.split(' ')
    if (word === 'kept') promised.set(name, hash)
    else if (word === 'changing') promised.delete(name)
  }
  return promised
}

async function lostFiles(store: OpenStore, promised: Map<string, string>): Promise<string[]> {
  const lost: string[] = []
  for (const [name, hash] of promised) {
    const found = await store.read(name).then(sha256, (error: Error) => error.message)
    if (found !== hash) lost.push(`${name}: ${found}`)
  }
  return lost
}

async function openAgain(directory: string): Promise<OpenStore> {
  const store = await OpenStore.open(directory)
  const { encryption, groups } = store.storage
  for (const { id } of encryption.lockedGroups()) {
    await encryption.unlock(groups.byId(id), PASSPHRASE)
  }
  return store
}

/** @returns how many steps the pass had when it came to its end */
async function tryStep(t: Checks, seed: number, step: number): Promise<number | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-victim-'))
  try {
    const { output, signal } = await runVictim(directory, seed, step)
    if (signal === 'failed') {
      t.fail(output)
      return undefined
    }
    const promised = promisesOf(output)
    const store = await openAgain(directory)
    try {
      t.same(await lostFiles(store, promised), [], `killed at step ${step}`)
      const { outcome } = await store.storage.cleaner.start('manual').done
      t.equal(outcome, 'complete')
      t.same(await lostFiles(store, promised), [], 'after the next pass')
      const damage = store.storage.alerts.list().filter(({ code }) => code.startsWith('DAMAGED'))
      t.same(damage, [], 'no damage')
    } finally {
      await store.close()
    }
    const [, steps] = /^done (\d+) complete$/m.exec(output) ?? []
    return steps === undefined ? undefined : Number(steps)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

t.test(
  'no step of a pass may be the last',
  { timeout: KILLS === 0 ? 3_600_000 : 280_000 },
  async t => {
    const seed = Math.floor(Math.random() * 1e6)
    const steps = await tryStep(t, seed, 0)
    if (steps === undefined) throw new Error('the pass did not come to its end')
    t.comment(`seed ${seed}, ${steps} steps`)
    t.ok(steps > 100)
    const stride = KILLS === 0 ? 1 : steps / KILLS
    for (let at = 0, odd = 0; at < steps; at += stride, odd++) {
      const step = 1 + Math.floor(at + (KILLS === 0 ? 0 : Math.random() * stride))
      await tryStep(t, seed + (odd % 2), step)
    }
  },
)
