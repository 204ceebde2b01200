// For every check: a store with one broken record is repaired, so that a scan finds nothing any more, or what it finds is
// damage that nobody can mend and that is said to be there.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { inodeKey, TABLE } from '../../src/metadata/index.ts'
import { JobBoard } from '../../src/daemon/job-board.ts'
import { repairMethods } from '../../src/daemon/repair-methods.ts'
import { parseBackup } from '../../src/repair/index.ts'
import type { RepairReport } from '../../src/repair/index.ts'
import { CHECK_NAMES } from '../../src/scan/index.ts'
import type { CheckName, ScanReport } from '../../src/scan/index.ts'
import { breaks, dentryOf, extentsOf } from '../helpers/broken-records.ts'
import type { Place } from '../helpers/broken-records.ts'
import { brokenStores, FILE_CONTENT, LINKED_CONTENT } from '../helpers/broken-store.ts'
import type { BrokenStores } from '../helpers/broken-store.ts'
import { OpenStore, sha256 } from '../helpers/open-store.ts'

/** What stays as it is: nothing in the store tells what is right, or the data is gone. */
const LEFT_ALONE: ReadonlySet<CheckName> = new Set<CheckName>([
  'table-known',
  'extent-group',
  'extent-shape',
  'extent-block',
  'extent-place',
  'container-group',
  'block-record',
  'block-file',
  'block-header',
  'block-key',
])

async function repair(store: OpenStore): Promise<RepairReport> {
  return store.storage.repairer.start(undefined).done
}

async function scan(store: OpenStore): Promise<ScanReport> {
  return store.storage.scanner.start({ readsData: false }).done
}

/** The store with this change after one repair, and what the repair said. */
async function repaired(t: Test, stores: BrokenStores, change: (place: Place) => void) {
  const directory = await stores.broken(change)
  const store = await OpenStore.open(directory)
  let isClosed = false
  const close = async (): Promise<void> => {
    if (!isClosed) await store.close()
    isClosed = true
  }
  t.teardown(close)
  return { directory, store, close, report: await repair(store) }
}

/** Names in lost+found of container a. */
async function lostNames(store: OpenStore): Promise<string[]> {
  const { vfs } = store.storage
  const { root } = vfs.containerByName('a')
  const found = vfs.lookup(root, 'lost+found')
  if (found === undefined) return []
  const { inode } = found.attributes
  const names: string[] = []
  for (const { name } of await vfs.readdir(inode, 0, 100)) names.push(name)
  return names.filter(name => name !== '.' && name !== '..').sort()
}

t.test(
  'each broken record is mended, or said to be beyond repair',
  { timeout: 300_000 },
  async t => {
    const stores = await brokenStores(t)
    for (const [check, change] of breaks) {
      const { store, close, report } = await repaired(t, stores, change)
      const after = await scan(store)
      const left = after.checks.map(each => each.check)
      if (LEFT_ALONE.has(check)) {
        t.equal(report.outcome, 'incomplete', `${check}: ${JSON.stringify(report)}`)
        t.ok(
          left.every(each => LEFT_ALONE.has(each)),
          `${check}: ${JSON.stringify(after.findings)}`,
        )
      } else {
        t.ok(['repaired', 'clean'].includes(report.outcome), `${check}: ${JSON.stringify(report)}`)
        t.same(after.findings, [], `${check}: ${JSON.stringify(report.done)}`)
      }
      const again = await repair(store)
      // A block file that reads well takes hits again until the next scan.
      t.equal(
        check === 'block-file' ? 0 : again.doneCount,
        0,
        `${check}: a second repair has nothing to do: ${JSON.stringify(again)}`,
      )
      if (!LEFT_ALONE.has(check)) t.equal(again.outcome, 'clean')
      await close()
    }
    const tested = new Set<CheckName>([
      'block-key',
      'database-files',
      ...breaks.map(([check]) => check),
    ])
    t.same(
      CHECK_NAMES.filter(check => !tested.has(check)),
      [],
    )
  },
)

t.test('a file whose record is gone is saved in lost+found, and nothing else is', async t => {
  const stores = await brokenStores(t)
  const { file, link } = stores.inodes
  const { store, report } = await repaired(t, stores, ({ records }) => {
    records.set(inodeKey(TABLE.inode, file), null)
    records.delete(inodeKey(TABLE.inode, link))
  })
  t.equal(report.outcome, 'repaired', JSON.stringify(report))
  t.same(await lostNames(store), [`inode-${file}`, `inode-${link}`])
  const { vfs } = store.storage
  const { root } = vfs.containerByName('a')
  t.equal(vfs.lookup(root, 'file'), undefined, 'its name is gone: nobody may take it for the file')
  t.equal(vfs.lookup(root, 'other name'), undefined)
  const found = vfs.lookup(root, 'lost+found')?.attributes.inode ?? 0
  const read = async (name: string): Promise<string> => {
    const inode = vfs.lookup(found, name)?.attributes.inode ?? 0
    const { handle } = await vfs.open(inode, 0)
    const content = await store.readHandle(handle)
    vfs.release(handle)
    return sha256(content)
  }
  t.equal(await read(`inode-${file}`), sha256(FILE_CONTENT))
  t.equal(await read(`inode-${link}`), sha256(LINKED_CONTENT))
  t.same((await scan(store)).findings, [])
})

t.test('a file for which lost+found has no name waits until there is one', async t => {
  const stores = await brokenStores(t)
  const { file } = stores.inodes
  const directory = await stores.broken(({ records }) => {
    records.set(inodeKey(TABLE.inode, file), null)
  })
  const store = await OpenStore.open(directory)
  t.teardown(() => store.close())
  const { vfs } = store.storage
  const { root } = vfs.containerByName('a')
  const caller = { uid: 0, gid: 0, pid: 1 }
  const lost = vfs.mkdir(root, 'lost+found', 0o700, caller).attributes.inode
  const name = `inode-${file}`
  vfs.mknod(lost, name, 0o100600, 0, caller)
  for (let count = 1; count < 1000; count++) {
    vfs.mknod(lost, `${name}.${count}`, 0o100600, 0, caller)
  }
  t.equal((await repair(store)).outcome, 'incomplete')
  t.throws(() => vfs.getattr(file), { code: 'RECORD_DAMAGED' }, 'half of it is not there')

  vfs.unlink(lost, `${name}.7`)
  t.equal((await repair(store)).outcome, 'repaired')
  t.equal(vfs.lookup(lost, `${name}.7`)?.attributes.inode, file)
  t.same((await scan(store)).findings, [])
})

t.test('a directory whose record is gone comes back with its entries', async t => {
  const stores = await brokenStores(t)
  for (const change of [
    ({ records, inodes }: Place) => records.set(inodeKey(TABLE.inode, inodes.directory), null),
    ({ records, inodes }: Place) => records.delete(inodeKey(TABLE.inode, inodes.directory)),
  ]) {
    const { store, close, report } = await repaired(t, stores, change)
    t.equal(report.outcome, 'repaired', JSON.stringify(report))
    const { vfs } = store.storage
    const { root } = vfs.containerByName('a')
    const inode = vfs.lookup(root, 'directory')?.attributes.inode ?? 0
    t.equal(inode, stores.inodes.directory)
    t.ok(vfs.lookup(inode, 'nested'))
    t.equal(vfs.getattr(inode).mode & 0o777, 0o700, 'of its owner alone, who is root')
    t.same((await scan(store)).findings, [])
    await close()
  }
})

t.test('a file that lost its name, and one that took its place', async t => {
  const stores = await brokenStores(t)
  const { file } = stores.inodes
  const { store, report } = await repaired(t, stores, place =>
    place.records.set(dentryOf(place, 'file'), null),
  )
  t.equal(report.outcome, 'repaired', JSON.stringify(report))
  t.same(await lostNames(store), [`inode-${file}`])
  t.equal(store.storage.vfs.getattr(file).linkCount, 1)
})

t.test('a container whose record is gone is made again, with everything in it', async t => {
  const stores = await brokenStores(t)
  const { store, report } = await repaired(t, stores, ({ records }) => {
    for (const key of records.keys(TABLE.container)) records.delete(key)
  })
  t.equal(report.outcome, 'repaired', JSON.stringify(report))
  t.equal(sha256(await store.read('a/file')), sha256(FILE_CONTENT))
  t.same((await scan(store)).findings, [])
})

t.test('what is lost stays EIO, is listed, and leaves the list when it is back', async t => {
  const stores = await brokenStores(t)
  const { file } = stores.inodes
  const { store, report } = await repaired(t, stores, place =>
    place.records.set(extentsOf(place), null),
  )
  t.equal(report.outcome, 'incomplete')
  const { quarantine } = store.storage.repairBook
  t.match(quarantine.files, [{ inode: file, path: 'a/file', ranges: [{ startBytes: 0 }] }])
  await t.rejects(store.read('a/file'), { code: 'RECORD_DAMAGED' }, 'EIO for clients')
  t.ok(store.storage.alerts.isRaised('DAMAGED_FILE', String(file)))
  store.remove('a/file')
  await store.sync()
  await store.storage.vfs.deletionsDone()
  const again = await repair(store)
  t.equal(again.quarantinedFileCount, 0, JSON.stringify(again))
  t.same(store.storage.repairBook.quarantine.files, [])
})

t.test(
  'clearing the quarantine deletes only what is damaged still, and only when told to',
  async t => {
    const stores = await brokenStores(t)
    const { file, link } = stores.inodes
    const { store } = await repaired(t, stores, ({ records }) => {
      // The first extent of each file refers to a block file that isn't there, and no index knows of another copy.
      for (const key of records.keys(TABLE.chunk)) records.delete(key)
      for (const key of records.keys(TABLE.extents)) {
        records.patch(key, value => void value.writeUInt32LE(999, 7 + 16))
      }
    })
    const { storage } = store
    const { 'maintenance.clearQuarantine': clear } = repairMethods(storage, new JobBoard(() => 0))
    const caller = { gone: new AbortController().signal, notify: () => true }
    const call = (deleteFiles: boolean, dryRun = false) => clear({ deleteFiles, dryRun }, caller)
    const inodes = (files: readonly { inode: number }[]): number[] =>
      files.map(({ inode }) => inode)
    t.same(inodes((await call(true, true)).files), [file, link], 'a dry run')
    t.same(inodes(storage.repairBook.quarantine.files), [file, link], 'forgets nothing')
    t.match(await call(false), { fileCount: 2, deletedFileCount: 0 })
    t.equal(storage.alerts.isRaised('DAMAGED_FILE', String(file)), false)
    t.same(storage.repairBook.quarantine.files, [])
    t.ok(store.size('a/file') > 0, 'the files are there')

    await repair(store)
    t.same(inodes(storage.repairBook.quarantine.files), [file, link], 'they are damaged still')
    // Somebody has dealt with one of them meanwhile.
    await store.truncate('a/two names', 0)
    await store.patch('a/two names', 0, LINKED_CONTENT)
    await store.sync()
    t.match(await call(true), { deletedFileCount: 1 })
    await storage.vfs.deletionsDone()
    t.throws(() => store.size('a/file'), /there is no/)
    t.equal(sha256(await store.read('a/two names')), sha256(LINKED_CONTENT))
    t.match(await repair(store), { outcome: 'clean' })
  },
)

t.test('records are kept as they were before they are changed', async t => {
  const stores = await brokenStores(t)
  const key = inodeKey(TABLE.inode, stores.inodes.file)
  const { directory, report } = await repaired(t, stores, ({ records }) =>
    records.patch(key, value => void value.writeUInt32BE(7, 13)),
  )
  t.equal(report.outcome, 'repaired')
  const folder = join(directory, 'store', 'repairs')
  t.same(await readdir(folder), report.backups)
  const kept = parseBackup(await readFile(join(folder, report.backups[0] ?? '')))
  t.equal(kept.repair, report.id)
  const record = kept.records.find(each => each.key.equals(key))
  t.equal(record?.frame?.readUInt32BE(5 + 13), 7, 'the wrong count')
})

t.test('a plan changes nothing, and says what would be done', async t => {
  const stores = await brokenStores(t)
  const key = inodeKey(TABLE.inode, stores.inodes.file)
  const directory = await stores.broken(({ records }) =>
    records.patch(key, value => void value.writeUInt32BE(7, 13)),
  )
  const store = await OpenStore.open(directory)
  t.teardown(() => store.close())
  const { actions } = await store.storage.repairer.plan(undefined)
  t.same(
    actions.map(({ text }) => text),
    [`Correct what inode ${stores.inodes.file} counts by -6 links. (a/file)`],
  )
  t.equal((await scan(store)).findings.length, 1)
  t.same(store.storage.repairBook.history, [])
})

t.test('counts are right although clients go on meanwhile', async t => {
  const stores = await brokenStores(t)
  const directory = await stores.broken(place => {
    place.records.patch(inodeKey(TABLE.inode, place.inodes.file), value => {
      value.writeUInt32BE(5, 13)
    })
    for (const [check, change] of breaks) if (check === 'container-files') change(place)
  })
  const store = await OpenStore.open(directory)
  t.teardown(() => store.close())
  let goesOn = true
  const churn = async (): Promise<void> => {
    for (let count = 0; goesOn; count++) {
      await store.write(`a/new ${count}`, Buffer.from(String(count)))
      store.link('a/file', `a/link ${count}`)
      if (count % 3 > 0) store.remove(`a/link ${count}`)
      if (count % 2 > 0) store.remove(`a/new ${count}`)
      await store.storage.metadata.commit()
    }
  }
  const churning = churn()
  t.match(await repair(store), { outcome: 'repaired' })
  goesOn = false
  await churning
  await store.sync()
  await store.storage.vfs.deletionsDone()
  t.same((await scan(store)).findings, [])
})

t.test('one at a time; history and quarantine are durable, a crash is said', async t => {
  const stores = await brokenStores(t)
  const directory = await stores.broken(() => undefined)
  const store = await OpenStore.open(directory)
  const { done } = store.storage.repairer.start(undefined)
  t.throws(() => store.storage.repairer.start(undefined), { code: 'REPAIR_BUSY' })
  t.match(await done, { outcome: 'clean', doneCount: 0, backups: [] })
  for (let count = 0; count < 31; count++) await repair(store)
  const { history } = store.storage.repairBook
  t.equal(history.length, 30, 'bounded')
  t.equal(history.at(-1)?.id, 32)
  store.storage.repairBook.update({
    ...(history.at(-1) ?? (await done)),
    id: 33,
    outcome: 'running',
  })
  await store.close()
  const next = await OpenStore.open(directory)
  t.teardown(() => next.close())
  t.match(next.storage.repairBook.history.at(-1), { id: 33, outcome: 'interrupted' })
  t.equal(next.storage.repairBook.history.length, 30)
  await next.storage.repairer.close()
  t.throws(() => next.storage.repairer.start(undefined), { code: 'REPAIR_BUSY' })
})

t.test('Repairer plans for a read-only store, and repairs nothing there', async t => {
  const stores = await brokenStores(t)
  const change = breaks.find(([check]) => check === 'inode-links')?.[1]
  if (change === undefined) throw new Error('there is no such check')
  const store = await OpenStore.open(await stores.broken(change))
  t.teardown(() => store.close())
  const { metadata, repairer } = store.storage
  metadata.addParticipant({
    collect: () => {
      throw new Error('the disk fails')
    },
    settled: () => undefined,
  })
  await t.rejects(metadata.commit(), { code: 'STORE_READ_ONLY' })
  t.match((await repairer.plan(undefined)).actions, [{ check: 'inode-links' }])
  t.throws(() => repairer.start(undefined), { code: 'STORE_READ_ONLY' })
})
