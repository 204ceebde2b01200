// The trash beside commits, passes, full disks and failing files: nothing is taken for deleted that is not, and no client
// waits for what can't be given up.

import '../helpers/cheap-scrypt.ts'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { TrashCollector, type PassParts } from '../../src/cleaner/index.ts'
import { SpaceGuard } from '../../src/daemon/space-guard.ts'
import { openStoreDirectory, findStoreDirectory } from '../../src/daemon/store-directory.ts'
import { countersIn, subtractUsage, UsageTally } from '../../src/evidence/index.ts'
import { OfflineMetadata, prefixEnd, TABLE } from '../../src/metadata/index.ts'
import { contentOf, OpenStore, type OpenStoreOptions } from '../helpers/open-store.ts'

const DAY = { keepSeconds: 24 * 3600 }
const PAGE_BYTES = 4 * 2 ** 20

interface Teardown {
  teardown(handler: () => Promise<void>): void
}

async function newDirectory(t: Teardown): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-trash-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

async function blockFiles(directory: string): Promise<string[]> {
  const names = await readdir(join(directory, 'store', 'blocks'), { recursive: true })
  return names.filter(name => name.endsWith('.blk')).sort()
}

/** A store whose one block file holds a deleted file, and the parts of its cleaner. */
async function withDeadBlock(
  directory: string,
  options: OpenStoreOptions = {},
): Promise<{ store: OpenStore; parts: PassParts }> {
  const late: { parts?: PassParts } = {}
  const store = await OpenStore.open(directory, {
    trash: DAY,
    ...options,
    instrument: parts => {
      late.parts = options.instrument?.(parts) ?? parts
      return late.parts
    },
  })
  store.addContainer('a')
  await store.write('a/dead', contentOf(1, 600_000), true)
  store.remove('a/dead')
  await store.sync()
  const { parts } = late
  if (parts === undefined) throw new Error('the cleaner was built')
  return { store, parts }
}

/** Whether the counters say what the extents refer to. */
async function countersAgree(store: OpenStore): Promise<boolean> {
  await store.storage.metadata.commit()
  const snapshot = store.storage.metadata.snapshot()
  const counted = new UsageTally()
  const prefix = Buffer.of(TABLE.extents)
  for await (const { value } of snapshot.entries(prefix, prefixEnd(prefix))) {
    if (value !== undefined) counted.add(value, 1)
  }
  const { blocks, groups } = subtractUsage(counted, await countersIn(snapshot))
  await snapshot.close()
  return (
    [...blocks.values()].every(({ extents, bytes }) => extents === 0 && bytes === 0) &&
    [...groups.values()].every(({ pages, bytes }) => pages === 0 && bytes === 0)
  )
}

t.test(
  'a file is deleted page by page while commits go on, and the counters stay right',
  async t => {
    const store = await OpenStore.open(await newDirectory(t))
    store.addContainer('a')
    await store.write('a/file', contentOf(1, 4096))
    for (let page = 1; page < 60; page++) {
      await store.patch('a/file', page * PAGE_BYTES, contentOf(page, 4096))
    }
    await store.sync()
    // The newest pages are only in memory when the file goes.
    for (let page = 30; page < 60; page++) {
      await store.patch('a/file', page * PAGE_BYTES + 100, contentOf(900 + page, 2000))
    }
    const { metadata } = store.storage
    const range = metadata.range.bind(metadata)
    metadata.range = (from, to, damaged) =>
      from[0] === TABLE.extents ? withCommit(metadata, range(from, to)) : range(from, to, damaged)
    store.remove('a/file')
    await store.storage.vfs.deletionsDone()
    t.ok(await countersAgree(store))
    await store.close()
  },
)

/** A listing between whose pieces a commit comes. */
async function* withCommit<Entry>(
  metadata: { commit(): Promise<void> },
  entries: AsyncIterable<Entry>,
): AsyncGenerator<Entry, void, undefined> {
  let place = 0
  for await (const entry of entries) {
    if (++place === 17) await metadata.commit()
    yield entry
  }
}

t.test('a writer hears ENOSPC when the trash can not be given up', async t => {
  const directory = await newDirectory(t)
  const { store } = await withDeadBlock(directory)
  t.equal((await store.storage.cleaner.start('manual').done).outcome, 'complete')
  const [name = ''] = (await blockFiles(directory)).filter(each => each.startsWith('trash'))
  const path = join(directory, 'store', 'blocks', name)
  const bytes = await readFile(path)
  await writeFile(path, Buffer.alloc(bytes.length, 7))
  const { trash } = store.storage
  const guard = new SpaceGuard(directory, () => 0, trash)
  await guard.start()
  await t.rejects(Promise.resolve(guard.reserve(2 ** 50)), { code: 'ENOSPC' })
  t.equal(trash.reclaimableBytes, 0, 'what stays makes no room')
  t.ok(store.storage.alerts.isRaised('EVIDENCE_DISAGREES', 'trash'))
  guard.stop()
  await store.close()
})

t.test('what is freed and not moved yet is neither deleted nor forgotten', async t => {
  const directory = await newDirectory(t)
  const late: { emptied?: number } = {}
  const { store } = await withDeadBlock(directory, {
    instrument: parts => ({
      ...parts,
      blocks: new Proxy(parts.blocks, {
        get(target, property) {
          const value: unknown = Reflect.get(target, property)
          if (typeof value !== 'function') return value
          if (property !== 'settleFreed') return value.bind(target) as unknown
          return async () => {
            late.emptied = (await store.storage.trash.empty()).files
            await target.settleFreed()
          }
        },
      }),
    }),
  })
  t.equal((await store.storage.cleaner.start('manual').done).outcome, 'complete')
  t.equal(late.emptied, 0)
  t.match(store.storage.trash.content, { files: 1 })
  t.same(await blockFiles(directory), [join('trash', '1-00000001.blk')])
  await store.close()
})

t.test(
  'undo-free takes back what a failed move left in its place, and keeps a quarantine',
  async t => {
    const directory = await newDirectory(t)
    const { store, parts } = await withDeadBlock(directory, {
      instrument: given => ({
        ...given,
        blocks: new Proxy(given.blocks, {
          get(target, property) {
            const value: unknown = Reflect.get(target, property)
            if (typeof value !== 'function') return value
            if (property === 'settleFreed') return async () => undefined
            return value.bind(target) as unknown
          },
        }),
      }),
    })
    parts.blocks.closeFiles(() => true)
    parts.blocks.quarantine(1, 'a region is damaged')
    t.equal((await store.storage.cleaner.start('manual').done).outcome, 'complete')
    t.same(await blockFiles(directory), [join('1', '000000', '00000001.blk')])
    t.equal((await store.storage.trash.undoFree()).files, 1)
    t.notOk(parts.blocks.isUsable(1))
    t.equal(parts.blocks.quarantined.get(1), 'a region is damaged')
    // What is tried again now must not move a file of the store.
    await store.storage.tickTrash()
    t.same(await blockFiles(directory), [join('1', '000000', '00000001.blk')])
    await store.close()
  },
)

t.test('a block file that is missing leaves no record in the trash', async t => {
  const directory = await newDirectory(t)
  const { store } = await withDeadBlock(directory)
  await rm(join(directory, 'store', 'blocks', '1', '000000', '00000001.blk'))
  await store.storage.cleaner.start('manual').done
  t.same(store.storage.trash.content, { files: 0, bytes: 0 })
  await store.close()
  const again = await OpenStore.open(directory, { trash: DAY })
  t.same([...again.storage.blockRecords()], [])
  await again.close()
})

t.test('lost counters prove nothing dead: the trash is held', async t => {
  const directory = await newDirectory(t)
  const { store } = await withDeadBlock(directory)
  await store.write('a/live', contentOf(5, 300_000), true)
  t.equal((await store.storage.cleaner.start('manual').done).outcome, 'complete')
  await store.close()
  const metadata = await OfflineMetadata.open(join(directory, 'store', 'metadata'))
  const prefix = Buffer.of(TABLE.usage)
  for await (const { key } of metadata.range(prefix, prefixEnd(prefix))) {
    await metadata.write([{ key, value: null }])
  }
  await metadata.close()
  const again = await OpenStore.open(directory, { trash: DAY })
  await t.rejects(again.storage.trash.empty(), { code: 'EVIDENCE_DISAGREES' })
  t.equal(await again.storage.trash.makeRoom(1), 0)
  t.ok(again.storage.alerts.isRaised('EVIDENCE_DISAGREES'))
  t.equal(again.storage.trash.content.files > 0, true)
  await again.close()
})

t.test('no link and no pipe in the trash or beside the logs is followed', async t => {
  for (const place of [
    ['blocks', 'trash'],
    ['blocks', 'trash', '1-000000ff.blk'],
    ['metadata.kept-logs'],
    ['metadata.kept-logs', '000001-000009.log'],
  ]) {
    const directory = await newDirectory(t)
    await (await OpenStore.open(directory)).close()
    const path = join(directory, 'store', ...place)
    const victim = join(directory, 'victim')
    await mkdir(victim)
    await rm(path, { recursive: true, force: true })
    await mkdir(join(path, '..'), { recursive: true })
    await symlink(victim, path)
    await t.rejects(openStoreDirectory(join(directory, 'store')), { code: 'FOREIGN_FILE' })
    await t.rejects(findStoreDirectory(join(directory, 'store')), { code: 'FOREIGN_FILE' })
    t.same(await readdir(victim), [])
  }
})

t.test('a store whose torn log was cut starts again and again', async t => {
  const directory = await newDirectory(t)
  const first = await OpenStore.open(directory)
  first.addContainer('a')
  await first.write('a/file', contentOf(1, 10_000), true)
  // As a crash leaves it: a copy while the daemon runs, with a torn end.
  const crashed = await newDirectory(t)
  await cp(directory, crashed, { recursive: true })
  await first.close()
  const metadata = join(crashed, 'store', 'metadata')
  const log =
    (await readdir(metadata))
      .filter(name => name.endsWith('.log'))
      .sort()
      .at(-1) ?? ''
  const bytes = await readFile(join(metadata, log))
  await writeFile(
    join(metadata, log),
    Buffer.concat([bytes, Buffer.from([1, 2, 3, 4, 5, 6, 7, 1])]),
  )
  for (let start = 0; start < 3; start++) {
    const store = await OpenStore.open(crashed)
    t.ok((await store.read('a/file')).equals(contentOf(1, 10_000)))
    await store.close()
  }
})

t.test(
  'a file of the trash stays when a counter says at the last moment that it is needed',
  async t => {
    const record = {
      block: 3,
      group: 1,
      keyId: 0,
      compression: 'none' as const,
      isClosed: true,
      lengthBytes: 8192,
      regionCount: 1,
      chunkCount: 1,
      rawBytes: 100,
      compressedBytes: 100,
      quarantine: null,
      freedSeconds: 5,
    }
    const deleted: number[] = []
    const told: string[] = []
    const usage = { extents: 1, bytes: 7 }
    const trash = new TrashCollector({
      blocks: {
        records: () => [],
        freed: () => [record],
        trashed: () => (deleted.length === 0 ? [record] : []),
        trashedBytes: 8192,
        deleteTrashed: async proofs => {
          deleted.push(...proofs.map(({ subject }) => subject))
          return { deleted: [...deleted], foreign: [], errors: [] }
        },
        restoreTrashed: async () => [],
        quarantine: () => undefined,
        hasBlock: () => false,
      },
      usage: { of: () => usage },
      metadata: { commit: async () => undefined, touched: () => undefined },
      nowSeconds: () => 100,
      keepSeconds: 0,
      keyRetirement: 'wait',
      verifyMetadata: async () => undefined,
      proveListing: async () => undefined,
      unproved: text => void told.push(text),
      failed: text => void told.push(text),
      heldBecause: () => undefined,
      isHeld: () => false,
      activeKeyId: () => undefined,
      disagreed: text => void told.push(text),
      agreed: () => undefined,
    })
    await trash.expire()
    t.same(deleted, [])
    t.match(told, [/Block file 3 in the trash is in use, says the reference counters/])
    Object.assign(usage, { extents: 0, bytes: 0 })
    await trash.expire()
    t.same(deleted, [3])
  },
)
