// Metadata that has lost records without a word, as a flipped bit in a key of a LevelDB table does it: nothing is deleted
// because of it, and the administrator is told.

import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { countersIn, subtractUsage, UsageTally, usageRecords } from '../../src/evidence/index.ts'
import { recoverStore } from '../../src/daemon/recover-store.ts'
import { OfflineMetadata, prefixEnd, TABLE } from '../../src/metadata/index.ts'
import { contentOf, OpenStore } from '../helpers/open-store.ts'

const DAY_SECONDS = 24 * 3600

interface Teardown {
  teardown(handler: () => Promise<void>): void
}

/** A closed store with three files, of which one was deleted. Its first extents are those of a/one. */
async function preparedStore(t: Teardown): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-evidence-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const store = await OpenStore.open(directory)
  store.addContainer('a')
  await store.write('a/one', contentOf(1, 300_000), true)
  await store.write('a/two', contentOf(2, 300_000), true)
  await store.write('a/dead', contentOf(3, 300_000), true)
  store.remove('a/dead')
  await store.sync()
  await store.close()
  return directory
}

async function editMetadata(
  directory: string,
  edit: (metadata: OfflineMetadata) => Promise<void>,
): Promise<void> {
  const metadata = await OfflineMetadata.open(join(directory, 'store', 'metadata'))
  try {
    await edit(metadata)
  } finally {
    await metadata.close()
  }
}

async function recordsOf(metadata: OfflineMetadata, table: number) {
  const records: { key: Uint8Array; value: Uint8Array }[] = []
  const prefix = Buffer.of(table)
  for await (const record of metadata.range(prefix, prefixEnd(prefix))) records.push(record)
  return records
}

/** Takes the last record of a table away. */
function loseLast(directory: string, table: number): Promise<void> {
  return editMetadata(directory, async metadata => {
    const last = (await recordsOf(metadata, table)).at(-1)
    if (last === undefined) throw new Error('there is a record')
    await metadata.write([{ key: last.key, value: null }])
  })
}

/** Names and sizes of all block files, wherever in the store they are. */
async function blockFiles(directory: string): Promise<string[]> {
  const names = await readdir(join(directory, 'store', 'blocks'), { recursive: true })
  return names.filter(name => name.endsWith('.blk')).sort()
}

t.test(
  'a store that has lost a block record is refused as it is, and can be recovered',
  async t => {
    const directory = await preparedStore(t)
    const before = await blockFiles(directory)
    await loseLast(directory, TABLE.block)
    await t.rejects(OpenStore.open(directory), {
      code: 'METADATA_DAMAGED',
      message: /the last commit counts 1 block records, and 0 are listed.*coffer recover/,
    })
    t.same(await blockFiles(directory), before)
    const options = {
      store: join(directory, 'store'),
      isDryRun: false,
      isForced: false,
      now: () => new Date(),
      progress: () => undefined,
    }
    const report = await recoverStore(options)
    t.match(report.metadataTrouble, /lost records/)
    t.equal(report.lostFileCount, 0)
    const store = await OpenStore.open(directory)
    t.ok((await store.read('a/one')).equals(contentOf(1, 300_000)))
    t.ok((await store.read('a/two')).equals(contentOf(2, 300_000)))
    t.equal((await store.storage.cleaner.start('manual').done).outcome, 'complete')
    await store.close()
  },
)

t.test('a block record that no commit wrote is noticed', async t => {
  const directory = await preparedStore(t)
  await editMetadata(directory, async metadata => {
    const [record] = await recordsOf(metadata, TABLE.block)
    if (record === undefined) throw new Error('there is a record')
    const value = Buffer.from(record.value)
    value[6] = (value[6] ?? 0) ^ 16
    await metadata.write([{ key: record.key, value }])
  })
  await t.rejects(OpenStore.open(directory), { code: 'METADATA_DAMAGED' })
})

t.test('a store that has lost extents frees nothing, and says so', async t => {
  const directory = await preparedStore(t)
  const before = await blockFiles(directory)
  await loseLast(directory, TABLE.extents)
  const store = await OpenStore.open(directory)
  const report = await store.storage.cleaner.start('manual').done
  t.equal(report.outcome, 'failed')
  t.match(report.text, /^Nothing was deleted: .*the commits counted/)
  t.equal(report.counts.freedBlocks + report.counts.copiedBlocks, 0)
  t.ok(store.storage.alerts.isRaised('EVIDENCE_DISAGREES'))
  t.same(await blockFiles(directory), before)

  // Inodes and counters both say that extents are lost: a repair must not make the loss the truth.
  const repair = await store.storage.repairer.start(undefined).done
  t.equal(repair.outcome, 'incomplete')
  t.equal((await store.storage.cleaner.start('manual').done).outcome, 'failed')
  t.same(await blockFiles(directory), before)
  await store.close()
})

t.test('lost extents whose counters are lost as well are found by the inodes', async t => {
  const directory = await preparedStore(t)
  const before = await blockFiles(directory)
  await loseLast(directory, TABLE.extents)
  await editMetadata(directory, async metadata => {
    const counted = new UsageTally()
    for (const { value } of await recordsOf(metadata, TABLE.extents)) counted.add(value, 1)
    for (const { key } of await recordsOf(metadata, TABLE.usage)) {
      await metadata.write([{ key, value: null }])
    }
    await metadata.write(usageRecords(counted))
  })
  const store = await OpenStore.open(directory)
  const report = await store.storage.cleaner.start('manual').done
  t.equal(report.outcome, 'failed')
  t.match(report.text, /inode \d+ says 300000 bytes, and its extents map 0/)
  t.same(await blockFiles(directory), before)
  await store.close()
})

t.test('an inode that has lost its record keeps what its extents refer to', async t => {
  const directory = await preparedStore(t)
  const before = await blockFiles(directory)
  await loseLast(directory, TABLE.inode)
  const store = await OpenStore.open(directory)
  const report = await store.storage.cleaner.start('manual').done
  t.equal(report.outcome, 'failed')
  t.match(report.text, /has extents and no record/)
  t.same(await blockFiles(directory), before)
  await store.close()
})

t.test(
  'lost counters free nothing; a repair counts anew, since extents and inodes agree',
  async t => {
    const directory = await preparedStore(t)
    await loseLast(directory, TABLE.usage)
    const store = await OpenStore.open(directory)
    t.equal((await store.storage.cleaner.start('manual').done).outcome, 'failed')
    t.ok(store.storage.alerts.isRaised('EVIDENCE_DISAGREES'))
    const repair = await store.storage.repairer.start(undefined).done
    t.equal(repair.outcome, 'repaired', repair.text)
    const pass = await store.storage.cleaner.start('manual').done
    t.equal(pass.outcome, 'complete', pass.text)
    t.equal(pass.counts.copiedBlocks, 1)
    t.notOk(store.storage.alerts.isRaised('EVIDENCE_DISAGREES'))
    t.ok((await store.read('a/two')).equals(contentOf(2, 300_000)))
    await store.close()
  },
)

t.test('a correction stays right beside commits that change the same counters', async t => {
  const directory = await preparedStore(t)
  await loseLast(directory, TABLE.usage)
  const store = await OpenStore.open(directory)
  const { metadata, repairer } = store.storage
  const repairing = repairer.start(undefined).done
  for (let index = 0; index < 10; index++) {
    await store.write(`a/new-${index}`, contentOf(10 + index, 50_000), true)
  }
  store.remove('a/one')
  await repairing
  await store.sync()
  const snapshot = metadata.snapshot()
  const counted = new UsageTally()
  const prefix = Buffer.of(TABLE.extents)
  for await (const { value } of snapshot.entries(prefix, prefixEnd(prefix))) {
    if (value !== undefined) counted.add(value, 1)
  }
  const { blocks, groups } = subtractUsage(counted, await countersIn(snapshot))
  await snapshot.close()
  t.ok([...blocks.values()].every(({ extents, bytes }) => extents === 0 && bytes === 0))
  t.ok([...groups.values()].every(({ pages, bytes }) => pages === 0 && bytes === 0))
  await store.close()
})

t.test(
  'counters that say more than the listing at the last moment keep the block file',
  async t => {
    const directory = await preparedStore(t)
    const store = await OpenStore.open(directory, {
      instrument: parts => ({ ...parts, usage: { of: () => ({ extents: 1, bytes: 10 }) } }),
    })
    const before = await blockFiles(directory)
    const report = await store.storage.cleaner.start('manual').done
    t.equal(report.outcome, 'failed')
    t.match(report.text, /is in use, says the reference counters: 1 extents map 10 bytes/)
    const after = await blockFiles(directory)
    t.ok(before.every(name => after.includes(name)))
    t.same([...store.storage.blockRecords()].filter(({ block }) => block === 1).length, 1)
    await store.close()
  },
)

t.test('what a pass frees is kept for the time, then goes; undo brings it back', async t => {
  const directory = await preparedStore(t)
  const clock = { seconds: 1_800_000_000 }
  const store = await OpenStore.open(directory, {
    now: () => clock.seconds,
    trash: { keepSeconds: DAY_SECONDS },
  })
  const { storage } = store
  t.equal((await storage.cleaner.start('manual').done).counts.copiedBlocks, 1)
  t.match(storage.trash.content, { files: 1 })
  t.ok((await blockFiles(directory)).includes(join('trash', '1-00000001.blk')))

  const undone = await storage.trash.undoFree()
  t.equal(undone.files, 1)
  t.same(
    (await blockFiles(directory)).filter(name => name.startsWith('trash')),
    [],
  )
  t.ok([...storage.blockRecords()].some(({ block }) => block === 1))
  t.equal((await storage.cleaner.start('manual').done).counts.freedBlocks, 1)

  clock.seconds += DAY_SECONDS - 1
  await storage.tickTrash()
  t.equal(storage.trash.content.files, 1)
  storage.alerts.raise('EVIDENCE_DISAGREES', 'for the test')
  clock.seconds += 1
  await storage.tickTrash()
  t.equal(storage.trash.content.files, 1, 'held while evidence disagrees')
  t.equal(storage.trash.reclaimableBytes, 0)
  await t.rejects(storage.trash.empty(), { code: 'TRASH_HELD' })
  storage.alerts.clear('EVIDENCE_DISAGREES')
  await storage.tickTrash()
  t.equal(storage.trash.content.files, 0)
  t.same(
    (await blockFiles(directory)).filter(name => name.startsWith('trash')),
    [],
  )
  await store.close()
})

t.test('the trash keeps a file that something refers to', async t => {
  const directory = await preparedStore(t)
  const first = await OpenStore.open(directory, { trash: { keepSeconds: DAY_SECONDS } })
  await first.storage.cleaner.start('manual').done
  await first.close()
  await editMetadata(directory, async metadata => {
    const counted = new UsageTally()
    counted.addBlock(1, { extents: 1, bytes: 5 })
    await metadata.write(usageRecords(counted))
  })
  const store = await OpenStore.open(directory, { trash: { keepSeconds: DAY_SECONDS } })
  await t.rejects(store.storage.trash.empty(), { code: 'EVIDENCE_DISAGREES' })
  t.ok((await blockFiles(directory)).includes(join('trash', '1-00000001.blk')))
  await store.close()
})
