// The copy of the metadata: it says what LevelDB says, over restarts and new generations; and whatever happens to its files,
// what is read from them is a state that was, never another one. COFFER_COPY_RUNS makes it longer.

import { cp, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { Level } from 'level'
import t from 'tap'
import '../helpers/cheap-scrypt.ts'
import { parseFrame } from '../../src/metadata/frame.ts'
import { isCopied, readNewestCopy } from '../../src/recovery/index.ts'
import { contentOf, OpenStore } from '../helpers/open-store.ts'

const RUNS = Number(process.env['COFFER_COPY_RUNS'] ?? 40)
const PASSPHRASE = Buffer.from('correct horse')

type State = Map<string, string>

interface Teardown {
  teardown(handler: () => Promise<void>): void
}

async function newDirectory(t: Teardown): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-copies-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

function put(state: State, key: Uint8Array, value: Uint8Array | null): void {
  const name = Buffer.from(key).toString('hex')
  if (value === null) state.delete(name)
  else state.set(name, Buffer.from(value).toString('hex'))
}

/** What the metadata of an open store holds, of what is copied. */
async function stateOf(store: OpenStore): Promise<State> {
  const state: State = new Map()
  for await (const { key, value } of store.storage.metadata.range(Buffer.of(0), Buffer.of(0xff))) {
    if (isCopied(key)) put(state, key, value)
  }
  return state
}

/** The same of a store that is closed. */
async function storedState(directory: string): Promise<State> {
  const database = new Level<Buffer, Buffer>(join(directory, 'store', 'metadata'), {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    compression: false,
  })
  const state: State = new Map()
  for await (const [key, frame] of database.iterator()) {
    if (isCopied(key)) put(state, key, parseFrame(key, frame))
  }
  await database.close()
  return state
}

async function readCopy(
  copies: string,
): Promise<{ state: State; sequence: number; generation: number } | undefined> {
  let state: State = new Map()
  const found = await readNewestCopy(copies, async () => {
    state = new Map()
    return {
      write: async records => {
        for (const { key, value } of records) put(state, key, value)
      },
    }
  })
  return found && { state, ...found }
}

async function firstCopy(store: OpenStore): Promise<void> {
  await store.storage.copies.caughtUp()
  t.ok(store.storage.copies.copiedSequence > 0)
}

t.test('what is read from a copy is what LevelDB held, restart after restart', async t => {
  const directory = await newDirectory(t)
  const copies = join(directory, 'store', 'copies')
  const generations = new Set<number>()
  for (let round = 0; round < 4; round++) {
    const store = await OpenStore.open(directory)
    if (round === 0) store.addContainer('c')
    await store.write(`c/f${round}`, contentOf(round, 300_000), true)
    if (round > 0) store.remove(`c/f${round - 1}`)
    await store.sync()
    await store.storage.copies.caughtUp()
    const read = await readCopy(copies)
    t.same(read?.state, await stateOf(store), `while it is open, round ${round}`)
    await store.close()
    const later = await readCopy(copies)
    t.same(later?.state, await storedState(directory), `after a clean stop, round ${round}`)
    generations.add(later?.generation ?? 0)
  }
  t.equal(generations.size, 1, 'clean stops are gone on from')
})

t.test('a journal that has outgrown its snapshot is followed by a new generation', async t => {
  const directory = await newDirectory(t)
  const copies = join(directory, 'store', 'copies')
  const store = await OpenStore.open(directory, { copies: { journalBytesMin: 20_000 } })
  store.addContainer('c')
  await firstCopy(store)
  for (let index = 0; index < 12; index++) {
    await store.write(`c/f${index % 3}`, contentOf(index, 300_000), true)
    const { sequence } = store.storage.metadata
    await store.storage.copies.caughtUp()
    const read = await readCopy(copies)
    t.ok((read?.sequence ?? 0) >= sequence, `after write ${index}`)
  }
  await store.close()
  const read = await readCopy(copies)
  t.ok((read?.generation ?? 0) > 1, `generation ${read?.generation}`)
  t.same(read?.state, await storedState(directory))
  t.ok((await readdir(copies)).length <= 6, 'older ones are deleted')
})

t.test(
  'after a kill the copy is begun anew, and the older one stays until it is whole',
  async t => {
    const directory = await newDirectory(t)
    const copies = join(directory, 'store', 'copies')
    const store = await OpenStore.open(directory)
    store.addContainer('c')
    await store.write('c/f', contentOf(1, 300_000), true)
    await store.storage.copies.caughtUp()
    const before = await readCopy(copies)
    await store.write('c/g', contentOf(2, 300_000), true)
    // As a kill leaves it: what was gathered is gone.
    const killed = await newDirectory(t)
    await cp(join(directory, 'store'), join(killed, 'store'), { recursive: true })
    await store.close()
    t.same(await readCopy(join(killed, 'store', 'copies')), before)
    const later = await OpenStore.open(killed)
    await later.storage.copies.caughtUp()
    t.same((await readCopy(join(killed, 'store', 'copies')))?.state, await stateOf(later))
    t.ok(later.storage.copies.copiedSequence >= 0)
    await later.close()
    t.ok(((await readCopy(join(killed, 'store', 'copies')))?.generation ?? 0) > 1)
  },
)

t.test('the key of fingerprints leaves the copy when encryption is turned on', async t => {
  const directory = await newDirectory(t)
  const copies = join(directory, 'store', 'copies')
  const store = await OpenStore.open(directory)
  const { groups, encryption } = store.storage
  const vault = groups.add('vault', 'none')
  const secret = Buffer.from(vault.fingerprintKey).toString('hex')
  await store.sync()
  await firstCopy(store)
  const holds = async (): Promise<boolean> =>
    [...((await readCopy(copies))?.state.values() ?? [])].some(value => value.includes(secret))
  t.ok(await holds(), 'it is there while the group is clear, as it is in LevelDB')
  const files = new Set(await readdir(copies))
  await encryption.setPassphrase(vault, undefined, PASSPHRASE)
  await encryption.set(vault, { isOn: true })
  await store.close()
  t.notOk(await holds())
  t.notOk(
    (await readdir(copies)).some(name => files.has(name)),
    'and the files that held it',
  )
})

t.test('a disk that refuses the copy refuses nothing else, and says so', async t => {
  const directory = await newDirectory(t)
  const raised: string[] = []
  const alerts = { raise: (_: string, text: string) => void raised.push(text), clear: () => {} }
  const store = await OpenStore.open(directory, { copies: { alerts, hasRoom: () => false } })
  store.addContainer('c')
  await store.write('c/f', contentOf(1, 300_000), true)
  await store.storage.copies.caughtUp()
  t.match(raised, [/no room/])
  t.match(await store.storage.cleaner.start('manual').done, { outcome: 'complete' })
  await store.close()
  t.equal(await readCopy(join(directory, 'store', 'copies')), undefined)
})

t.test('truncated, flipped, missing: an older state or none, never another one', async t => {
  const directory = await newDirectory(t)
  const copies = join(directory, 'store', 'copies')
  const states = new Map<number, State>()
  const store = await OpenStore.open(directory)
  store.addContainer('c')
  await firstCopy(store)
  const snapshot = join(directory, 'snapshot')
  await cp(copies, snapshot, { recursive: true, filter: path => !path.includes('journal') })
  for (const base of [await readCopy(snapshot), await readCopy(copies)]) {
    if (base !== undefined) states.set(base.sequence, base.state)
  }
  for (let index = 0; index < 8; index++) {
    await store.write(`c/f${index % 4}`, contentOf(index, 200_000 * (1 + (index % 3))), true)
    if (index % 3 === 2) store.remove(`c/f${index % 4}`)
    await store.sync()
    await store.storage.copies.caughtUp()
    states.set(store.storage.copies.copiedSequence, await stateOf(store))
  }
  await store.close()
  const final = await readCopy(copies)
  if (final !== undefined) states.set(final.sequence, final.state)
  const names = (await readdir(copies)).sort()
  // Cut at every page from behind: every state that has a mark is seen.
  const cut = new Set<number>()
  const cutCopies = join(directory, 'cut')
  await cp(copies, cutCopies, { recursive: true })
  const journal = names.filter(name => name.includes('journal')).reverse()
  for (const name of journal) {
    const path = join(cutCopies, name)
    for (let pages = (await stat(path)).size / 4096; pages >= 0; pages--) {
      await truncate(path, pages * 4096)
      const read = await readCopy(cutCopies)
      cut.add(read?.sequence ?? 0)
      if (!sameState(states.get(read?.sequence ?? 0), read?.state ?? new Map())) {
        t.fail(`${name} cut to ${pages} pages reads as something else`)
      }
    }
    await rm(path)
  }
  t.same([...cut].sort(ascending), [...states.keys()].sort(ascending))
  const broken = join(directory, 'broken')
  const harm = fc.record({
    file: fc.nat(),
    at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    what: fc.constantFrom('truncate', 'flip', 'zero', 'delete'),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(harm, { minLength: 1, maxLength: 2 }), async harms => {
      await rm(broken, { recursive: true, force: true })
      await cp(copies, broken, { recursive: true })
      for (const { file, at, what } of harms) {
        const path = join(broken, names[file % names.length] ?? '')
        const bytes = await readFile(path).catch(() => undefined)
        if (bytes === undefined) continue
        const offset = Math.floor(at * bytes.length)
        if (what === 'delete') await rm(path)
        else if (what === 'truncate') await truncate(path, offset)
        else {
          if (what === 'flip') bytes[offset] = (bytes[offset] ?? 0) ^ 0x10
          else bytes.fill(0, offset, Math.min(offset + 4096, bytes.length))
          await writeFile(path, bytes)
        }
      }
      const read = await readCopy(broken)
      return read === undefined || sameState(states.get(read.sequence), read.state)
    }),
    { numRuns: RUNS },
  )
})

function ascending(a: number, b: number): number {
  return a - b
}

function sameState(a: State | undefined, b: State): boolean {
  return a?.size === b.size && [...b].every(([key, value]) => a.get(key) === value)
}
