// Writes of block files that end early, in a process whose pwrite does: what goes on is nobody's business, what fails is
// heard by the writer, and the store is whole either way.

import '../helpers/cheap-scrypt.ts'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { BARE_NODE } from '../helpers/bare-node.ts'
import { tool } from '../helpers/mounted.ts'
import { OpenStore, sha256 } from '../helpers/open-store.ts'

const run = promisify(execFile)
const VICTIM = resolve(import.meta.dirname, 'fault-victim.js')
/** Compiled, from dist/test/crash/. */
const SOURCE = resolve(import.meta.dirname, '../../../test/crash/short-writes.c')
/** Those of the first file, and of what the operation itself writes. */
const SKIPS = [1, 6] as const
const PASSED_OVER = ['half', 'odd'] as const
/** how => what the writer hears */
const FAILING = { none: 'EIO', ENOSPC: 'ENOSPC', EIO: 'EIO' } as const

async function compilerSkipReason(): Promise<string | false> {
  return tool('sh', '-c', 'command -v cc').then(
    () => false,
    () => 'there is no C compiler',
  )
}

/** @returns what the victim said */
async function runVictim(library: string, directory: string, how: string): Promise<string> {
  const env = { ...process.env, LD_PRELOAD: library, SHORT_WRITES: how }
  const { stdout } = await run('env', [...BARE_NODE, VICTIM, directory, 'write'], { env })
  return stdout
}

async function wrongFiles(directory: string, output: string): Promise<string[]> {
  const store = await OpenStore.open(directory)
  const wrong: string[] = []
  try {
    const promised = new Map<string, string>()
    for (const [, word, name = '', hash = ''] of output.matchAll(
      /^(kept|changing) (\S+) ?(.*)$/gm,
    )) {
      if (word === 'kept') promised.set(name, hash)
      else promised.delete(name)
    }
    for (const [name, hash] of promised) {
      const found = await store.read(name).then(sha256, (error: Error) => error.message)
      if (found !== hash) wrong.push(`${name}: ${found}`)
    }
    const codes = store.storage.alerts.list().map(({ code }) => code)
    wrong.push(...codes.filter(code => code.startsWith('DAMAGED')))
  } finally {
    await store.close()
  }
  return wrong
}

t.test('a write that ends early', { skip: await compilerSkipReason() }, async t => {
  const base = await mkdtemp(join(tmpdir(), 'coffer-short-'))
  t.teardown(() => rm(base, { recursive: true, force: true }))
  const library = join(base, 'short-writes.so')
  await tool('cc', '-shared', '-fPIC', '-O1', '-o', library, SOURCE, '-ldl')

  for (const how of PASSED_OVER) {
    t.test(`${how}: the rest follows`, async t => {
      const directory = await mkdtemp(join(base, 'store-'))
      const output = await runVictim(library, directory, `${how}:0`)
      t.match(output, /^operation ok$/m)
      t.match(output, /^cleaned complete$/m)
      t.match(output, /^kept v\/later /m)
      t.same(await wrongFiles(directory, output), [])
    })
  }

  for (const [how, code] of Object.entries(FAILING)) {
    for (const skip of SKIPS) {
      t.test(`${how} at write ${skip}: the writer hears of ${code}`, async t => {
        const directory = await mkdtemp(join(base, 'store-'))
        const output = await runVictim(library, directory, `${how}:${skip}`)
        t.match(output, new RegExp(`^operation ${code}$`, 'm'))
        // Else it met what comes before, and the process ended with that.
        if (/^end$/m.test(output)) {
          t.match(output, /^kept v\/later /m, 'the next writer has luck')
          t.match(output, /^cleaned complete$/m, 'deletes and the cleaner work')
        }
        t.same(await wrongFiles(directory, output), [])
      })
    }
  }
})
