// The chunk index made again from the block files: entries are deleted, bent and invented at random, and afterwards the
// index is what it was.

import { randomBytes } from 'node:crypto'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import t from 'tap'
import '../helpers/cheap-scrypt.ts'
import { JobBoard } from '../../src/daemon/job-board.ts'
import { recoveryMethods } from '../../src/daemon/recovery-methods.ts'
import { prefixEnd, TABLE } from '../../src/metadata/index.ts'
import type { MetadataWriter } from '../../src/metadata/index.ts'
import { rebuildIndex } from '../../src/recovery/index.ts'
import type { RebuildCounts } from '../../src/recovery/index.ts'
import { contentOf, OpenStore } from '../helpers/open-store.ts'

const PASSPHRASE = Buffer.from('correct horse')
const CHUNKS = Buffer.from([TABLE.chunk])
const FILE_BYTES = 1_500_000
/** version, block, page, ordinal */
const PAGE_AT = 5

interface Teardown {
  teardown(handler: () => Promise<void>): void
}

async function newStore(t: Teardown): Promise<{ store: OpenStore; directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-rebuild-'))
  const store = await OpenStore.open(directory)
  t.teardown(async () => {
    await store.close().catch(() => undefined)
    await rm(directory, { recursive: true, force: true })
  })
  store.addContainer('clear')
  const { groups, encryption } = store.storage
  const vault = groups.add('vault', 'best')
  await encryption.setPassphrase(vault, undefined, PASSPHRASE)
  await encryption.set(vault, { isOn: true })
  store.addContainer('sealed', 'vault')
  return { store, directory }
}

async function indexOf(store: OpenStore): Promise<Map<string, string>> {
  const entries = new Map<string, string>()
  for await (const { key, value } of store.storage.metadata.range(CHUNKS, prefixEnd(CHUNKS))) {
    entries.set(Buffer.from(key).toString('hex'), Buffer.from(value).toString('hex'))
  }
  return entries
}

/** Writes to the metadata behind everybody's back. */
async function change(store: OpenStore, change: (batch: MetadataWriter) => void): Promise<void> {
  let isDone = false
  store.storage.metadata.addParticipant({
    collect: batch => {
      if (!isDone) change(batch)
      isDone = true
    },
    settled: () => {},
  })
  await store.storage.metadata.commit()
}

function rebuild(store: OpenStore, isDryRun = false): Promise<RebuildCounts> {
  const { cleaner, groups, rebuildParts } = store.storage
  return cleaner.exclusively(pace =>
    rebuildIndex(rebuildParts, {
      groups: groups.list().map(({ id }) => id),
      isDryRun,
      pace,
      progress: () => {},
    }),
  )
}

async function fill(store: OpenStore): Promise<void> {
  for (let seed = 1; seed <= 4; seed++) {
    await store.write(`clear/f${seed}`, contentOf(seed, FILE_BYTES))
    await store.write(`sealed/f${seed}`, contentOf(seed, FILE_BYTES))
  }
  await store.sync()
}

t.test('what is missing, wrong or invented is set right, and dedupe works again', async t => {
  const { store } = await newStore(t)
  await fill(store)
  const whole = await indexOf(store)
  t.ok(whole.size > 200, `${whole.size} entries`)
  const expected = { added: 0, corrected: 0, removed: 0 }
  await change(store, batch => {
    for (const [place, [key, value]] of [...whole].entries()) {
      const record = Buffer.from(value, 'hex')
      const kind = Math.random()
      if (kind < 0.4) {
        batch.delete(Buffer.from(key, 'hex'))
        expected.added++
      } else if (kind < 0.6) {
        // To another chunk's place, to a place that isn't one, and to a block file that isn't there.
        const other = [...whole.values()].find(each => each !== value) ?? ''
        if (place % 3 === 0) record.set(Buffer.from(other, 'hex'))
        else if (place % 3 === 1) record.writeUInt16LE(60_000, PAGE_AT)
        else record.writeUInt32LE(4_000_000, 1)
        batch.put(Buffer.from(key, 'hex'), record)
        expected.corrected++
      } else if (kind < 0.7) {
        const fingerprint = randomBytes(32)
        const invented = Buffer.concat([Buffer.from(key, 'hex').subarray(0, 3), fingerprint])
        batch.put(invented, record)
        expected.removed++
      }
    }
  })
  const before = await indexOf(store)
  const dry = await rebuild(store, true)
  t.match(dry, expected, 'a dry run says what is wrong')
  t.same(await indexOf(store), before, 'and changes nothing')
  const counts = await rebuild(store)
  t.match(counts, { ...expected, damagedRegions: 0, correctedRecords: 0 })
  t.same(await indexOf(store), whole)
  t.match(await rebuild(store), { added: 0, corrected: 0, removed: 0 }, 'once is enough')

  const physicalBytes = store.physicalBytes()
  for (let seed = 1; seed <= 4; seed++) {
    await store.write(`clear/again${seed}`, contentOf(seed, FILE_BYTES))
    await store.write(`sealed/again${seed}`, contentOf(seed, FILE_BYTES))
  }
  await store.sync()
  t.equal(store.physicalBytes(), physicalBytes, 'writing the same data again adds nothing')
})

t.test('an index that is lost as a whole, and counts of block records that are wrong', async t => {
  const { store } = await newStore(t)
  await fill(store)
  const whole = await indexOf(store)
  await rebuild(store)
  const records = [...store.storage.blockRecords()]
  await change(store, batch => {
    for (const key of whole.keys()) batch.delete(Buffer.from(key, 'hex'))
  })
  for (const { block } of records) {
    store.storage.rebuildParts.blocks.correctCounts(block, {
      regionCount: 1,
      chunkCount: 1,
      rawBytes: 1,
      compressedBytes: 1,
    })
  }
  t.match(await rebuild(store), { added: whole.size, correctedRecords: records.length })
  t.same(await indexOf(store), whole)
  t.same([...store.storage.blockRecords()], records)
})

t.test('entries whose own record is damaged are written again, or go', async t => {
  const { store, directory } = await newStore(t)
  await fill(store)
  const whole = await indexOf(store)
  await store.close()
  const database = new Level<Uint8Array, Buffer>(join(directory, 'store', 'metadata'), {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    compression: false,
  })
  const [some] = [...whole.keys()]
  const known = Buffer.from(some ?? '', 'hex')
  const invented = Buffer.concat([known.subarray(0, 3), randomBytes(32)])
  for (const key of [known, invented]) await database.put(key, Buffer.from('0100000000aa', 'hex'))
  await database.close()

  const later = await OpenStore.open(directory)
  t.teardown(() => later.close())
  const { encryption, groups } = later.storage
  await encryption.unlock(groups.named('vault'), PASSPHRASE)
  t.match(await rebuild(later), { added: 1, corrected: 0, removed: 1 })
  t.same(await indexOf(later), whole)
})

t.test('beside writers: every file reads as it was written, and no pass runs', async t => {
  const { store } = await newStore(t)
  await fill(store)
  const whole = await indexOf(store)
  await change(store, batch => {
    for (const key of whole.keys()) if (Math.random() < 0.5) batch.delete(Buffer.from(key, 'hex'))
  })
  const rebuilding = rebuild(store)
  await t.rejects(
    (async () => store.storage.cleaner.start('manual'))(),
    { code: 'CLEANER_BUSY', message: /rebuilt/ },
    'no pass beside it',
  )
  await t.rejects(rebuild(store), { code: 'CLEANER_BUSY' }, 'nor a second one')
  const written: string[] = []
  let isRebuilding = true
  void rebuilding.finally(() => {
    isRebuilding = false
  })
  for (let round = 0; isRebuilding || round < 4; round++) {
    const name = `${round % 2 === 0 ? 'clear' : 'sealed'}/during${round}`
    // Half of it is known, half is new.
    await store.write(name, contentOf((round % 8) + 1, FILE_BYTES), true)
    written.push(name)
  }
  await rebuilding
  await store.sync()
  for (const [round, name] of written.entries()) {
    t.ok((await store.read(name)).equals(contentOf((round % 8) + 1, FILE_BYTES)), name)
  }
  t.match(await rebuild(store), { added: 0, corrected: 0, removed: 0 })
  const { report, done } = store.storage.cleaner.start('manual')
  t.ok(report.id > 0)
  await t.rejects(rebuild(store), { code: 'CLEANER_BUSY' }, 'not beside a pass')
  t.match(await done, { outcome: 'complete' })
})

t.test('a damaged region: its entries go, and its data is stored again', async t => {
  const { store } = await newStore(t)
  await store.write('clear/f', contentOf(1, FILE_BYTES), true)
  await rebuild(store)
  const { rebuildParts } = store.storage
  const [record] = store.storage.blockRecords()
  const path = rebuildParts.blocks.pathOf(record?.block ?? 0) ?? ''
  const file = await open(path, 'r+')
  await file.write(randomBytes(64), 0, 64, 3 * 4096)
  await file.close()
  rebuildParts.blocks.uncache(record?.block ?? 0)
  const counts = await rebuild(store)
  t.equal(counts.damagedRegions, 1)
  t.ok(counts.removed > 0)
  await store.write('clear/again', contentOf(1, FILE_BYTES), true)
  t.ok((await store.read('clear/again')).equals(contentOf(1, FILE_BYTES)))
})

t.test('a locked group is refused with the command that opens it', async t => {
  const { store } = await newStore(t)
  await fill(store)
  const { groups, encryption } = store.storage
  const jobs = new JobBoard(() => 0)
  const { 'maintenance.rebuildIndex': method } = recoveryMethods(store.storage, jobs)
  const caller = { notify: () => false, gone: new AbortController().signal }
  await encryption.lock(groups.named('vault'))
  const refusal = { code: 'GROUP_LOCKED', message: /coffer storage-group unlock vault/ }
  await t.rejects(method({ dryRun: false }, caller), refusal)
  await t.rejects(method({ dryRun: false, group: 'vault' }, caller), refusal)
  const { job } = await method({ dryRun: false, group: 'DefaultGroup' }, caller)
  const end = await new Promise(ended => jobs.get(job).whenEnded(ended))
  t.match(end, { state: 'finished', text: /^1 block file with \d+ chunks was read; 0 entries/ })
})
