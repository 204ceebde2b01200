// The filter beside a real LevelDB: where it comes from, and that the index is right with it.

import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ChunkIndex, FilterKeeper } from '../../src/dedupe/index.ts'
import { openMetadataStore, type MetadataStore } from '../../src/metadata/index.ts'

const BYTES_MAX = 64 * 1024 * 1024
const GROUP = 3

interface Run {
  readonly metadata: MetadataStore
  readonly keeper: FilterKeeper
  readonly index: ChunkIndex
  /** keys that LevelDB was asked for */
  asked(): number
  /** as a daemon ends */
  end(): Promise<void>
}

interface Delays {
  /** before the size of the index is known */
  readonly size?: Promise<void>
  /** between what a commit collects and its batch */
  readonly commit?: Promise<void>
}

async function begin(directory: string, delays: Delays = {}): Promise<Run> {
  await mkdir(join(directory, 'metadata'), { recursive: true })
  const metadata = await openMetadataStore({
    directory: join(directory, 'metadata'),
    createIfMissing: true,
    syncData: async () => delays.commit,
    flushData: async () => {},
    committed: async () => {},
    failed: error => t.fail(error.message),
  })
  const source = {
    keys: metadata.keys.bind(metadata),
    sizeBytes: async (from: Uint8Array, to: Uint8Array) => {
      await delays.size
      return metadata.sizeBytes(from, to)
    },
  }
  const options = { path: join(directory, 'chunk-filter'), source, bytesMax: BYTES_MAX }
  const keeper = await FilterKeeper.open(options, metadata.sequence)
  let asked = 0
  const counted = {
    get: (key: Uint8Array) => (asked++, metadata.get(key)),
    getMany: (keys: readonly Uint8Array[]) => ((asked += keys.length), metadata.getMany(keys)),
    range: metadata.range.bind(metadata),
  }
  const index = new ChunkIndex(counted, () => true, keeper.filter)
  metadata.addParticipant(index)
  await keeper.start()
  metadata.begin()
  return {
    metadata,
    keeper,
    index,
    asked: () => asked,
    end: async () => {
      await keeper.stop()
      await metadata.close()
      await keeper.save(metadata.sequence, BYTES_MAX)
    },
  }
}

async function directoryOf(test: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-keeper-'))
  test.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

const fingerprints = (count: number): Buffer[] =>
  Array.from({ length: count }, () => randomBytes(32))

function addAll(index: ChunkIndex, added: readonly Buffer[]): void {
  for (const [ordinal, each] of added.entries()) {
    index.add(GROUP, each, { block: 1, page: 1, ordinal })
  }
}

async function known(index: ChunkIndex, asked: readonly Buffer[]): Promise<number> {
  const found = await index.lookup(GROUP, asked)
  return found.filter(location => location !== undefined).length
}

t.test('new chunks are known for new without LevelDB, known ones are found', async t => {
  const run = await begin(await directoryOf(t))
  await run.keeper.settled()
  const added = fingerprints(3000)
  addAll(run.index, added)
  await run.metadata.commit()
  t.equal(await known(run.index, added), 3000)
  const before = run.asked()
  t.equal(await known(run.index, fingerprints(3000)), 0)
  t.ok(run.asked() - before < 100, `LevelDB was asked ${run.asked() - before} times`)
  await run.end()
})

t.test('after an end in good order it comes from its file, which is gone then', async t => {
  const directory = await directoryOf(t)
  const added = fingerprints(3000)
  const first = await begin(directory)
  await first.keeper.settled()
  addAll(first.index, added)
  await first.end()
  t.ok(existsSync(join(directory, 'chunk-filter')))
  const second = await begin(directory)
  t.notOk(existsSync(join(directory, 'chunk-filter')))
  t.ok(second.keeper.filter.isComplete, 'without reading the index')
  t.equal(await known(second.index, added), 3000)
  t.equal(await known(second.index, fingerprints(100)), 0)
  t.ok(second.asked() < 3050)
  await second.end()
})

t.test('after any other end it is made from the index, beside new chunks', async t => {
  const directory = await directoryOf(t)
  const added = fingerprints(30_000)
  const first = await begin(directory)
  await first.keeper.settled()
  addAll(first.index, added)
  await first.metadata.commit()
  await first.keeper.stop()
  await first.metadata.close()
  const second = await begin(directory)
  t.notOk(second.keeper.filter.isComplete)
  t.equal(await known(second.index, added), 30_000)
  const later = fingerprints(2000)
  addAll(second.index, later)
  await second.metadata.commit()
  await second.keeper.settled()
  t.ok(second.keeper.filter.isComplete)
  t.equal(await known(second.index, [...added, ...later]), 32_000)
  const before = second.asked()
  t.equal(await known(second.index, fingerprints(1000)), 0)
  t.ok(second.asked() - before < 50)
  await second.end()
})

t.test('a file of an earlier commit, and what is no file of a filter, is not used', async t => {
  const directory = await directoryOf(t)
  const path = join(directory, 'chunk-filter')
  const first = await begin(directory)
  await first.keeper.settled()
  await first.end()
  const { state } = first.keeper.filter
  if (state === undefined) throw new Error('the filter is not complete')
  const second = await begin(directory)
  const added = fingerprints(10)
  addAll(second.index, added)
  const early = second.metadata.sequence
  await second.end()
  // As a copy of the store might bring it back.
  await first.keeper.save(early, BYTES_MAX)
  const third = await begin(directory)
  t.notOk(third.keeper.filter.isComplete)
  await third.keeper.settled()
  t.equal(await known(third.index, added), 10)
  await third.end()
  await writeFile(path, 'COFRFLTR but no more')
  const fourth = await begin(directory)
  t.notOk(fourth.keeper.filter.isComplete)
  await fourth.keeper.settled()
  t.equal(await known(fourth.index, added), 10)
  await fourth.end()
})

t.test('it takes no room that the next start needs', async t => {
  const directory = await directoryOf(t)
  const run = await begin(directory)
  await run.keeper.settled()
  addAll(run.index, fingerprints(10))
  await run.metadata.commit()
  const { bytes } = run.keeper.filter
  await run.keeper.stop()
  await run.metadata.close()
  await run.keeper.save(run.metadata.sequence, bytes - 1)
  t.notOk(existsSync(join(directory, 'chunk-filter')))
  await run.keeper.save(run.metadata.sequence, bytes)
  t.ok(existsSync(join(directory, 'chunk-filter')))
})

t.test('an end while it is being made waits for nothing', async t => {
  const directory = await directoryOf(t)
  const first = await begin(directory)
  await first.keeper.settled()
  addAll(first.index, fingerprints(50_000))
  await first.metadata.commit()
  await first.keeper.stop()
  await first.metadata.close()
  const second = await begin(directory)
  await second.end()
  t.notOk(second.keeper.filter.isComplete)
  t.notOk(existsSync(join(directory, 'chunk-filter')))
})

t.test('what a commit has collected and not written when the index is read is known', async t => {
  const directory = await directoryOf(t)
  let sized = (): void => {}
  let committed = (): void => {}
  const run = await begin(directory, {
    size: new Promise(resolve => (sized = resolve)),
    commit: new Promise(resolve => (committed = resolve)),
  })
  const added = fingerprints(100)
  addAll(run.index, added)
  const committing = run.metadata.commit()
  await turn()
  sized()
  await run.keeper.settled()
  t.ok(run.keeper.filter.isComplete)
  committed()
  await committing
  t.equal(await known(run.index, added), 100)
  await run.end()
})

t.test('an index that can not be read is no reason to try again and again', async t => {
  const run = await begin(await directoryOf(t))
  await run.keeper.settled()
  let reads = 0
  const source = {
    sizeBytes: async () => 0,
    keys: () => {
      reads++
      throw new Error('damaged')
    },
  }
  const options = { path: join(tmpdir(), 'coffer-no-filter'), source, bytesMax: BYTES_MAX }
  const keeper = await FilterKeeper.open(options, 1)
  await keeper.start()
  await keeper.settled()
  await keeper.start()
  await keeper.settled()
  t.equal(reads, 1)
  t.notOk(keeper.filter.isComplete)
  t.equal(keeper.filter.bytes, 0)
  await keeper.stop()
  await run.end()
})

t.test('a filter that is wrong makes no chunk unfindable for readers', async t => {
  const run = await begin(await directoryOf(t))
  const added = fingerprints(10)
  addAll(run.index, added)
  await run.metadata.commit()
  const deaf = { mayHave: () => false, add: () => undefined, removed: () => undefined }
  const index = new ChunkIndex(run.metadata, () => true, deaf)
  t.equal(await known(index, added), 0)
  t.ok((await index.locate(GROUP, added)).every(location => location !== undefined))
  await run.end()
})
