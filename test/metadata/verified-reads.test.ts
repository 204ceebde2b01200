// A bit is flipped in a table, and LevelDB reads it by every way there is. Each has to say so, and none may leave anything out.

import { spawnSync } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { openDatabase } from '../../src/metadata/database.ts'
import type { Database } from '../../src/metadata/database.ts'
import { MetadataStore, OfflineMetadata } from '../../src/metadata/index.ts'
import {
  change,
  compact,
  flip,
  keyOf,
  makeDatabase,
  named,
  scratch,
} from '../helpers/small-database.ts'

const DAMAGED = { code: 'METADATA_DAMAGED', message: /coffer recover --store .* --dry-run/ }
const COUNT = 2000
const LAST = keyOf(COUNT)
/** In the middle of the table, which holds the even keys. */
const HIDDEN = COUNT / 2

interface Damaged {
  readonly store: MetadataStore
  readonly database: Database
  readonly failures: Error[]
}

async function damagedStore(test: Test): Promise<Damaged> {
  const directory = await scratch(test)
  await makeDatabase(directory, COUNT)
  await change(await named(directory, /ldb$/), bytes =>
    flip(bytes, bytes.indexOf(`value ${HIDDEN}`)),
  )
  const failures: Error[] = []
  const database = await openDatabase({ directory, createIfMissing: false })
  const store = new MetadataStore(database, {
    directory,
    createIfMissing: false,
    syncData: async () => {},
    flushData: async () => {},
    committed: async () => {},
    failed: error => failures.push(error),
  })
  test.teardown(() => store.close())
  return { store, database, failures }
}

async function drain(entries: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of entries);
}

t.test('MetadataStore reads behind a damaged block fail with METADATA_DAMAGED', async t => {
  const { store } = await damagedStore(t)
  t.throws(() => store.get(keyOf(HIDDEN)), DAMAGED, 'get')
  t.throws(() => store.frame(keyOf(HIDDEN)), DAMAGED, 'frame')
  await t.rejects(store.getMany([keyOf(0), keyOf(HIDDEN)]), DAMAGED, 'getMany')
  await t.rejects(drain(store.range(keyOf(0), LAST)), DAMAGED, 'range')
  await t.rejects(drain(store.range(keyOf(HIDDEN), LAST)), DAMAGED, 'range from within')
  await t.rejects(drain(store.keys(keyOf(0), LAST)), DAMAGED, 'keys')
  const view = store.view()
  await t.rejects(drain(view.range(keyOf(0), LAST)), DAMAGED, 'range of a view')
  await view.close()
  const snapshot = store.snapshot()
  t.throws(() => snapshot.get(keyOf(HIDDEN)), DAMAGED, 'get of a snapshot')
  await t.rejects(drain(snapshot.entries(keyOf(0))), DAMAGED, 'entries of a snapshot')
  await snapshot.close()
  t.ok(store.get(keyOf(0)), 'what lies elsewhere is read')
})

t.test('MetadataStore ranges leave nothing out before they fail', async t => {
  const { store } = await damagedStore(t)
  const indexes: number[] = []
  const walk = async (): Promise<void> => {
    for await (const { key } of store.range(keyOf(0), LAST)) {
      indexes.push(Number(Buffer.from(key).toString().slice(-6)))
    }
  }
  await t.rejects(walk(), DAMAGED)
  // A gap would be a record that the damaged block holds: the log's records go on behind it.
  t.same(
    indexes.findIndex((index, place) => index !== place),
    -1,
  )
  t.ok(indexes.length < HIDDEN)
})

t.test('MetadataStore becomes read-only when a compaction meets damage', async t => {
  const { store, database, failures } = await damagedStore(t)
  store.begin()
  await compact(database, keyOf(0), LAST)
  await t.rejects(store.commit(), { code: 'STORE_READ_ONLY' })
  t.match(failures, [DAMAGED])
  t.throws(
    () => store.get(keyOf(HIDDEN)),
    DAMAGED,
    'it has not become a table with right checksums',
  )
})

t.test('OfflineMetadata tells damage', async t => {
  const directory = await scratch(t)
  await makeDatabase(directory, COUNT)
  await change(await named(directory, /ldb$/), bytes =>
    flip(bytes, bytes.indexOf(`value ${HIDDEN}`)),
  )
  const metadata = await OfflineMetadata.open(directory)
  t.throws(() => metadata.get(keyOf(HIDDEN)), DAMAGED)
  await t.rejects(drain(metadata.range(keyOf(0), LAST)), DAMAGED)
  await metadata.close()
})

t.test(
  'OfflineMetadata.open refuses tables with a damaged footer, which would end the process',
  async t => {
    const directory = await scratch(t)
    await makeDatabase(directory, COUNT)
    // The size of the index block becomes astronomical.
    await change(await named(directory, /ldb$/), bytes => {
      bytes.fill(0xff, bytes.length - 42, bytes.length - 34)
    })
    await t.rejects(OfflineMetadata.open(directory), DAMAGED)
  },
)

t.test('openDatabase refuses a LevelDB that verifies nothing', async t => {
  const directory = await scratch(t)
  const module = new URL('../../src/metadata/database.js', import.meta.url).href
  const script = `
    const { openDatabase } = await import(${JSON.stringify(module)})
    await openDatabase({ directory: ${JSON.stringify(directory)}, createIfMissing: true }).then(
      () => console.log('open'),
      error => console.log(error.code, error.message),
    )`
  // Makes the loader prefer the prebuilt binding.
  const env = { ...process.env, PREBUILDS_ONLY: '1' }
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { env })
  t.match(stdout.toString(), /^LEVELDB_UNCHECKED .*npm run setup/)
  t.same(await readdir(directory), [], 'nothing is made')
})
