// The life of an encrypted group: writes among locks, rotations, changes of mode and passphrase, passes of the cleaner and
// restarts, in random order. After each unlock every file reads as it was written, and nothing of it lies in the open.
// COFFER_ENCRYPTION_SEED repeats a printed run.

import '../helpers/cheap-scrypt.ts'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { OpenStore } from '../helpers/open-store.ts'

const RUNS = Number(process.env['COFFER_ENCRYPTION_RUNS'] ?? 12)
const SEED = Number(process.env['COFFER_ENCRYPTION_SEED'] ?? Date.now() % 2 ** 31)
/** In every file, uncompressed: what can be found on the disk was not sealed. */
const MARKER = 'nobody may read this '
/** Below and above what waits for company, and what a region holds. */
const SIZES = [1, 5000, 270_000, 600_000]

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('write' as const),
      file: fc.integer({ min: 0, max: 5 }),
      bytes: fc.constantFrom(...SIZES),
      isSynced: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('relock' as const) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('rotate' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('mode' as const) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('passphrase' as const) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('restart' as const) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('pass' as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

/** A store with one encrypted container, and its files in memory. */
class Model {
  readonly #directory: string
  readonly #files = new Map<string, Buffer>()
  #store: OpenStore
  #number = 0
  #passphrase = 'passphrase 0'
  #isStatic = false

  private constructor(directory: string, store: OpenStore) {
    this.#directory = directory
    this.#store = store
  }

  static async make(directory: string): Promise<Model> {
    const store = await OpenStore.open(directory)
    store.storage.groups.add('vault', 'none')
    store.addContainer('v', 'vault')
    const model = new Model(directory, store)
    const { encryption } = store.storage
    await encryption.setPassphrase(model.#group, undefined, Buffer.from(model.#passphrase))
    await encryption.set(model.#group, { isOn: true })
    return model
  }

  get #group() {
    return this.#store.storage.groups.named('vault')
  }

  async apply(each: Step): Promise<void> {
    const { encryption, cleaner } = this.#store.storage
    switch (each.op) {
      case 'write': {
        const data = this.#contentOf(each.bytes)
        await this.#store.write(`v/f${each.file}`, data, each.isSynced)
        this.#files.set(`v/f${each.file}`, data)
        return
      }
      case 'relock':
        await encryption.lock(this.#group)
        await encryption.unlock(this.#group, Buffer.from(this.#passphrase))
        return this.check()
      case 'rotate':
        return encryption.rotate(this.#group)
      case 'mode':
        this.#isStatic = !this.#isStatic
        return encryption.set(this.#group, { mode: this.#isStatic ? 'static' : 'internal' })
      case 'passphrase': {
        const next = `passphrase ${++this.#number}`
        const current = Buffer.from(this.#passphrase)
        await encryption.setPassphrase(this.#group, current, Buffer.from(next))
        this.#passphrase = next
        return
      }
      case 'restart':
        return this.restart()
      case 'pass': {
        const { outcome, text } = await cleaner.start('manual').done
        if (outcome !== 'complete') throw new Error(`${outcome}: ${text}`)
      }
    }
  }

  async restart(): Promise<void> {
    await this.#store.close()
    this.#store = await OpenStore.open(this.#directory)
    await this.#store.storage.encryption.unlock(this.#group, Buffer.from(this.#passphrase))
    await this.check()
  }

  async check(): Promise<void> {
    for (const [name, expected] of this.#files) {
      const found = await this.#store.read(name)
      if (!found.equals(expected)) throw new Error(`${name} differs`)
    }
  }

  async close(): Promise<void> {
    await this.#store.close()
  }

  #contentOf(bytes: number): Buffer {
    return Buffer.alloc(bytes, `${MARKER}${++this.#number} `)
  }
}

async function findInTheOpen(directory: string): Promise<string[]> {
  const found: string[] = []
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    if ((await readFile(path)).includes(MARKER)) found.push(path)
  }
  return found
}

t.test(
  'no order of locks, rotations and writes loses or shows anything',
  { timeout: 0 },
  async t => {
    t.comment(`COFFER_ENCRYPTION_SEED=${SEED}`)
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 5, maxLength: 30, size: 'max' }),
        async steps => {
          const directory = await mkdtemp(join(tmpdir(), 'coffer-life-'))
          const model = await Model.make(directory)
          try {
            for (const each of steps) await model.apply(each)
            await model.restart()
          } finally {
            await model.close()
            t.strictSame(await findInTheOpen(directory), [])
            await rm(directory, { recursive: true, force: true })
          }
        },
      ),
      { numRuns: RUNS, seed: SEED, endOnFailure: true },
    )
  },
)
