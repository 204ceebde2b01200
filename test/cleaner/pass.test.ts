// Passes over whole stores: random histories with passes at random moments, beside what clients do, against a plain map
// of files. COFFER_CLEANER_SEED repeats a printed run.

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import type { PassParts, PassReport } from '../../src/cleaner/index.ts'
import { StoreError } from '../../src/errors.ts'
import { contentOf, OpenStore, sha256 } from '../helpers/open-store.ts'
import { watchedScans } from '../helpers/watched-scans.ts'
import type { OpenStoreOptions } from '../helpers/open-store.ts'

const RUNS = Number(process.env['COFFER_CLEANER_RUNS'] ?? 15)
const SEED = Number(process.env['COFFER_CLEANER_SEED'] ?? Date.now() % 2 ** 31)
const PASSPHRASE = Buffer.from('correct horse')
const SLOWED = new Set(['commit', 'lookup', 'append', 'readRegion', 'settled', 'settleFreed'])
const CONTAINERS = ['a', 'b', 'z']

interface Teardown {
  teardown(handler: () => Promise<void>): void
}

async function newDirectory(t: Teardown): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-cleaner-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** Containers a and b share a group; z's group is another one, without compression. */
async function newStore(directory: string, options: OpenStoreOptions = {}): Promise<OpenStore> {
  const store = await OpenStore.open(directory, options)
  store.storage.groups.add('Other', 'none')
  store.addContainer('a')
  store.addContainer('b')
  store.addContainer('z', 'Other')
  return store
}

/** A pass that takes its time, and has room for small windows only, so that much happens beside it. */
function slowed(parts: PassParts): PassParts {
  return {
    ...parts,
    metadata: watchedScans(dawdling(parts.metadata), () => async () => {
      await delay(Math.random() * 3)
    }),
    index: dawdling(parts.index),
    blocks: dawdling(parts.blocks),
    inFlight: dawdling(parts.inFlight),
    space: async () => ({ freeBytes: 20 * 2 ** 20, reserveBytes: 0 }),
  }
}

/** Asynchronous calls begin late, now and then. */
function dawdling<Target extends object>(target: Target): Target {
  return new Proxy(target, {
    get(_target, property) {
      const value: unknown = Reflect.get(target, property)
      if (typeof value !== 'function') return value
      if (!SLOWED.has(String(property))) return value.bind(target) as unknown
      return async (...parameters: unknown[]): Promise<unknown> => {
        await delay(Math.random() * 4)
        return Reflect.apply(value, target, parameters) as unknown
      }
    },
  })
}

async function pass(store: OpenStore): Promise<PassReport> {
  return store.storage.cleaner.start('manual').done
}

const path = fc
  .tuple(fc.constantFrom(...CONTAINERS), fc.integer({ min: 0, max: 7 }))
  .map(([container, number]) => `${container}/f${number}`)
/** few seeds, so that files share chunks; two thirds of some files are the same */
const content = fc.record({
  seed: fc.integer({ min: 1, max: 5 }),
  bytes: fc.integer({ min: 0, max: 400_000 }),
})
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constant('write' as const), path, content }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('patch' as const),
      path,
      content,
      at: fc.integer({ min: 0, max: 300_000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('truncate' as const), path, content }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('remove' as const), path }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('copy' as const), path, to: path }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('hold' as const), path }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('letGo' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('sync' as const) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('pass' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('compression' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('rotate' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('reopen' as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

/** A store and the same files in memory. */
class Model {
  readonly files = new Map<string, Buffer>()
  readonly held: { handle: number; close: () => void; content: Buffer }[] = []
  readonly #directory: string
  #store: OpenStore
  #passes: Promise<PassReport>[] = []
  #isEncrypted = false
  #isStatic = false
  #isFast = true

  constructor(directory: string, store: OpenStore) {
    this.#directory = directory
    this.#store = store
  }

  get store(): OpenStore {
    return this.#store
  }

  async apply(each: Step): Promise<void> {
    const { files } = this
    const store = this.#store
    const old = 'path' in each ? files.get(each.path) : undefined
    switch (each.op) {
      case 'write': {
        const data = contentOf(each.content.seed, each.content.bytes)
        await store.write(each.path, data)
        files.set(each.path, data)
        return
      }
      case 'patch': {
        if (old === undefined) return
        const data = contentOf(each.content.seed, each.content.bytes)
        const longer = Buffer.alloc(
          Math.max(old.length, data.length === 0 ? 0 : each.at + data.length),
        )
        old.copy(longer)
        data.copy(longer, each.at)
        await store.patch(each.path, each.at, data)
        files.set(each.path, longer)
        return
      }
      case 'truncate': {
        if (old === undefined) return
        const shorter = Buffer.alloc(each.content.bytes)
        old.copy(shorter)
        await store.truncate(each.path, shorter.length)
        files.set(each.path, shorter)
        return
      }
      case 'remove':
        if (old === undefined) return
        store.remove(each.path)
        files.delete(each.path)
        return
      case 'copy':
        if (old === undefined || each.path === each.to) return
        if ((each.path[0] === 'z') !== (each.to[0] === 'z')) return
        await store.copy(each.path, each.to)
        files.set(each.to, old)
        return
      case 'hold':
        if (old === undefined) return
        this.held.push({ ...(await store.openHandle(each.path)), content: old })
        store.remove(each.path)
        files.delete(each.path)
        return
      case 'letGo':
        this.held.shift()?.close()
        return
      case 'sync':
        await store.sync()
        return
      case 'pass':
        // Not waited for: what follows happens beside it.
        if (store.storage.cleaner.running === undefined) this.#passes.push(pass(store))
        return
      case 'compression':
        this.#isFast = !this.#isFast
        store.storage.groups.update('DefaultGroup', { compression: this.#isFast ? 'fast' : 'none' })
        return
      case 'rotate':
        await this.#rotate()
        return
      case 'reopen':
        await this.settle()
        await store.close()
        this.#store = await OpenStore.open(this.#directory, { instrument: slowed })
        if (this.#isEncrypted) {
          const { encryption, groups } = this.#store.storage
          await encryption.unlock(groups.named('Other'), PASSPHRASE)
        }
    }
  }

  /** Passes under way have ended, and well. */
  async settle(): Promise<void> {
    for (const { close } of this.held.splice(0)) close()
    const reports = await Promise.all(this.#passes.splice(0))
    for (const report of reports) {
      if (report.outcome !== 'complete') throw new Error(`${report.outcome}: ${report.text}`)
    }
  }

  /** Everything reads as it was written. */
  async check(): Promise<void> {
    for (const [name, expected] of this.files) {
      const found = await this.#store.read(name)
      if (!found.equals(expected)) throw new Error(`${name} differs`)
    }
    for (const { handle, content } of this.held) {
      const found = await this.#store.readHandle(handle)
      if (!found.equals(content)) throw new Error('an open file without a name differs')
    }
    const alerts = this.#store.storage.alerts.list().map(({ code }) => code)
    const bad = alerts.filter(code => code.startsWith('DAMAGED') || code === 'PASS_FAILED')
    if (bad.length > 0) throw new Error(`alerts: ${bad.join()}`)
  }

  /** First encryption comes, then it changes its mode. */
  async #rotate(): Promise<void> {
    const { encryption, groups } = this.#store.storage
    const group = groups.named('Other')
    if (!this.#isEncrypted) await encryption.setPassphrase(group, undefined, PASSPHRASE)
    const mode = this.#isStatic ? 'internal' : 'static'
    await encryption.set(group, { isOn: true, mode })
    this.#isStatic = !this.#isStatic
    this.#isEncrypted = true
  }
}

t.test('no history with passes loses a byte', { timeout: 0 }, async t => {
  t.comment(`COFFER_CLEANER_SEED=${SEED}`)
  let passes = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), async steps => {
      const directory = await mkdtemp(join(tmpdir(), 'coffer-cleaner-'))
      const model = new Model(directory, await newStore(directory, { instrument: slowed }))
      try {
        for (const each of steps) {
          await model.apply(each)
          if (each.op === 'sync') await model.check()
        }
        await model.check()
        await model.settle()
        await pass(model.store)
        await model.check()
        await model.apply({ op: 'reopen' })
        await model.check()
        const last = await pass(model.store)
        const { reclaimableBytes } = await model.store.storage.cleaner.plan()
        if (reclaimableBytes !== 0) throw new Error(`${reclaimableBytes} bytes are left`)
        if (last.outcome !== 'complete') throw new Error(last.text)
        passes += model.store.storage.cleaner.passes.length
      } finally {
        await model.settle().catch(() => undefined)
        await model.store.close()
        await rm(directory, { recursive: true, force: true })
      }
    }),
    { numRuns: RUNS, seed: SEED, endOnFailure: true },
  )
  t.ok(passes > RUNS, `${passes} passes`)
})

t.test('after a pass the store is as large as a fresh one with the same files', async t => {
  const [aged, fresh] = [
    await newStore(await newDirectory(t)),
    await newStore(await newDirectory(t)),
  ]
  const files = new Map<string, Buffer>()
  for (let round = 0; round < 6; round++) {
    for (let number = 0; number < 20; number++) {
      const name = `${CONTAINERS[number % 3]}/f${number}`
      if (number % 6 === round % 6) {
        if (files.delete(name)) aged.remove(name)
        continue
      }
      if (round % 2 === 1 && number % 4 !== 0) continue
      const data = contentOf(round * 100 + number, 1_500_000)
      await aged.write(name, data)
      files.set(name, data)
    }
    await aged.sync()
    if (round === 3) await pass(aged)
  }
  t.equal((await pass(aged)).outcome, 'complete')
  t.equal((await pass(aged)).outcome, 'complete')
  for (const [name, data] of files) await fresh.write(name, data)
  await fresh.sync()
  const ratio = aged.physicalBytes() / fresh.physicalBytes()
  t.ok(ratio < 1.05 && ratio > 0.95, `${ratio.toFixed(3)} of a fresh store`)
  for (const [name, data] of files) t.equal(sha256(await aged.read(name)), sha256(data))
  await aged.close()
  await fresh.close()
})

t.test('the plan says what the pass then frees', async t => {
  const store = await newStore(await newDirectory(t))
  for (let number = 0; number < 30; number++) {
    await store.write(`a/f${number}`, contentOf(number, 1_000_000))
    await store.write(`z/f${number}`, contentOf(number, 300_000))
  }
  await store.sync()
  for (let number = 0; number < 30; number++) {
    if (number % 3 > 0) store.remove(`a/f${number}`)
    store.remove(`z/f${number}`)
  }
  const plan = await store.storage.cleaner.plan()
  const before = store.physicalBytes()
  const { counts, plannedBytes, outcome } = await pass(store)
  t.equal(outcome, 'complete')
  t.equal(plannedBytes, plan.reclaimableBytes)
  const freed = before - store.physicalBytes()
  t.equal(counts.freedBytes - counts.writtenBytes > 0, true)
  t.ok(Math.abs(freed / plannedBytes - 1) < 0.02, `${plannedBytes} planned, ${freed} freed`)
  t.ok(freed > 27_000_000, 'nearly all that was deleted')
  t.equal((await store.storage.cleaner.plan()).reclaimableBytes, 0)
  await store.close()
})

t.test('a damaged block file is kept and said, and the rest is cleaned', async t => {
  const directory = await newDirectory(t)
  const store = await newStore(directory)
  await store.write('a/one', contentOf(1, 1_000_000))
  await store.write('a/two', contentOf(2, 1_000_000))
  await store.write('z/one', contentOf(3, 1_000_000))
  await store.write('z/two', contentOf(4, 1_000_000))
  await store.close()
  const folder = join(directory, 'store', 'blocks', '1', '000000')
  const [name = ''] = await readdir(folder)
  const bytes = await readFile(join(folder, name))
  // In every region.
  for (let at = 2 * 4096; at < bytes.length; at += 64 * 1024) bytes.fill(0xff, at, at + 100)
  await writeFile(join(folder, name), bytes)
  const again = await OpenStore.open(directory)
  again.remove('a/two')
  again.remove('z/two')
  const report = await pass(again)
  t.equal(report.outcome, 'incomplete')
  t.equal(report.counts.damagedBlocks, 1)
  t.match(report.text, /Damaged/)
  t.ok(again.storage.alerts.isRaised('DAMAGED_BLOCK', '1'))
  t.same(await readdir(folder), [name], 'the damaged file is still there')
  t.ok(report.counts.copiedBlocks >= 1)
  t.equal(sha256(await again.read('z/one')), sha256(contentOf(3, 1_000_000)))
  // The same data is stored anew, and nothing is left that refers to the damaged file.
  await again.write('a/one', contentOf(1, 1_000_000), true)
  t.equal(sha256(await again.read('a/one')), sha256(contentOf(1, 1_000_000)))
  t.match(await pass(again), { outcome: 'complete' })
  t.notOk((await readdir(folder)).includes(name), 'the damaged file is gone')
  await again.close()
})

t.test('metadata that can not be read stops a pass, and nothing is freed', async t => {
  const damaged = { isOn: false }
  const store = await newStore(await newDirectory(t), {
    instrument: parts => ({
      ...parts,
      metadata: watchedScans(parts.metadata, () => async () => {
        if (damaged.isOn) throw new StoreError('RECORD_DAMAGED', 'a record is damaged')
      }),
    }),
  })
  await store.write('a/one', contentOf(1, 500_000))
  await store.sync()
  store.remove('a/one')
  const before = store.physicalBytes()
  damaged.isOn = true
  const report = await pass(store)
  t.equal(report.outcome, 'failed')
  t.ok(store.storage.alerts.isRaised('PASS_FAILED'))
  t.equal(store.physicalBytes(), before)
  damaged.isOn = false
  t.equal((await pass(store)).outcome, 'complete')
  t.notOk(store.storage.alerts.isRaised('PASS_FAILED'))
  t.equal(store.physicalBytes(), 0)
  await store.close()
})
