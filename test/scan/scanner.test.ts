// Scans of a store in this process: damaged block files and what is lost by them, alerts, restarts, and writers beside.

import { mkdtemp, open, readFile, rm, truncate, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { ScanReport } from '../../src/scan/index.ts'
import { contentOf, OpenStore, sha256 } from '../helpers/open-store.ts'

const MIB = 2 ** 20
const FILE_BYTES = 6 * MIB

async function directoryOf(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-scan-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** Files each in a block file of its own: a block file is closed when the daemon that made it ends. */
async function storeOfFiles(t: Test, names: readonly string[]) {
  const directory = await directoryOf(t)
  const paths = new Map<string, string>()
  for (const [index, name] of names.entries()) {
    const store = await OpenStore.open(directory)
    if (index === 0) store.addContainer('a')
    await store.write(`a/${name}`, contentOf(index, FILE_BYTES))
    await store.sync()
    for (const { block } of store.storage.blockRecords()) {
      const path = join(
        directory,
        'store/blocks/1/000000',
        `${block.toString(16).padStart(8, '0')}.blk`,
      )
      if (![...paths.values()].includes(path)) paths.set(name, path)
    }
    await store.close()
  }
  const pathOf = (name: string): string => paths.get(name) ?? ''
  return { directory, pathOf }
}

async function scan(store: OpenStore, readsData = true): Promise<ScanReport> {
  return store.storage.scanner.start({ readsData }).done
}

async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+')
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, at)
  byte[0] = (byte[0] ?? 0) ^ 0xff
  await file.write(byte, 0, 1, at)
  await file.close()
}

const lostOf = (report: ScanReport): string[] =>
  report.lostFiles.map(({ path }) => path ?? '').sort()
const alertsOf = (store: OpenStore): string[] =>
  store.storage.alerts
    .list()
    .map(({ code }) => code)
    .filter(code => code.startsWith('DAMAGED'))
    .sort()

t.test('flipped, cut off, deleted: exactly the damaged files are named', async t => {
  const names = ['whole', 'flipped', 'cut', 'gone']
  const { directory, pathOf } = await storeOfFiles(t, names)
  const saved = new Map<string, Buffer>()
  for (const name of names) saved.set(name, await readFile(pathOf(name)))
  const store = await OpenStore.open(directory)
  t.match(await scan(store), { outcome: 'clean', readBlocks: 4, lostFileCount: 0 })

  await flip(pathOf('flipped'), 3 * MIB)
  await truncate(pathOf('cut'), 4 * MIB)
  await unlink(pathOf('gone'))
  const metadataOnly = await scan(store, false)
  t.same(lostOf(metadataOnly), ['a/gone'], 'a missing file is seen without reading')
  const report = await scan(store)
  t.equal(report.outcome, 'damaged')
  t.same(lostOf(report), ['a/cut', 'a/flipped', 'a/gone'])
  t.equal(report.damagedBlockCount, 3)
  const bytesOf = (path: string): number =>
    report.lostFiles.find(each => each.path === path)?.lostBytes ?? 0
  t.equal(bytesOf('a/gone'), FILE_BYTES)
  t.ok(bytesOf('a/flipped') > 0 && bytesOf('a/flipped') <= MIB, 'one region of it')
  t.ok(bytesOf('a/cut') > MIB && bytesOf('a/cut') < 3 * MIB, 'its end')
  t.same(alertsOf(store), [
    ...Array<string>(3).fill('DAMAGED_BLOCK'),
    ...Array<string>(3).fill('DAMAGED_FILE'),
  ])

  // What is named as lost can't be read, and everything else can. Handles of deleted files go with the daemon.
  await store.close()
  const reader = await OpenStore.open(directory)
  t.same(lostOf(reader.storage.scanner.report ?? metadataOnly), lostOf(report), 'it is kept')
  for (const { path, ranges } of report.lostFiles) {
    const { handle, close } = await reader.openHandle(path ?? '')
    const read = async () => reader.storage.vfs.read(handle, ranges[0]?.startBytes ?? 0, 10)
    await t.rejects(read(), { code: 'EIO' })
    close()
  }
  t.equal(sha256(await reader.read('a/whole')), sha256(contentOf(0, FILE_BYTES)))
  await reader.close()

  for (const name of names) await writeFile(pathOf(name), saved.get(name) ?? '')
  const again = await OpenStore.open(directory)
  t.match(await scan(again), { outcome: 'clean', damagedBlockCount: 0 })
  t.same(alertsOf(again), [], 'and a clean scan ends the alerts')
  await again.close()
})

t.test('a start tells block files that are missing or too short, and no others', async t => {
  const names = ['whole', 'cut', 'gone']
  const { directory, pathOf } = await storeOfFiles(t, names)
  await truncate(pathOf('cut'), 4 * MIB)
  const gone = await readFile(pathOf('gone'))
  await unlink(pathOf('gone'))
  const store = await OpenStore.open(directory)
  await store.storage.blockFiles.settled()
  const texts = store.storage.alerts.ofCode('DAMAGED_BLOCK').map(({ text }) => text)
  t.equal(texts.length, 2)
  t.match(texts.join(' '), /the file is missing\./)
  t.match(texts.join(' '), /the file has 4194304 bytes, and should have at least \d+\./)
  t.equal(sha256(await store.read('a/whole')), sha256(contentOf(0, FILE_BYTES)))
  await store.close()

  await writeFile(pathOf('gone'), gone)
  const again = await OpenStore.open(directory)
  await again.storage.blockFiles.settled()
  await again.storage.damage.look()
  t.match(
    again.storage.alerts.ofCode('DAMAGED_BLOCK'),
    { length: 1 },
    'a file that is back is well',
  )
  await again.close()
})

t.test('damaged data that is written again is stored anew, not found', async t => {
  const { directory, pathOf } = await storeOfFiles(t, ['first'])
  const store = await OpenStore.open(directory)
  await flip(pathOf('first'), 3 * MIB)
  t.same(lostOf(await scan(store)), ['a/first'])
  await store.write('a/second', contentOf(0, FILE_BYTES))
  await store.sync()
  t.equal(sha256(await store.read('a/second')), sha256(contentOf(0, FILE_BYTES)))
  t.same(lostOf(await scan(store)), ['a/first'], 'the new copy is whole')
  await store.close()
})

t.test('a scan that a restart interrupts goes on where it was', async t => {
  const { directory, pathOf } = await storeOfFiles(t, ['one', 'two', 'three', 'four'])
  await flip(pathOf('one'), 3 * MIB)
  const store = await OpenStore.open(directory)
  const { scan: begun } = store.storage.scanner.start({ readsData: true })
  while ((store.storage.scanner.running?.scan.readBlocks ?? 2) < 2) await sleep(1)
  await store.close()
  const again = await OpenStore.open(directory)
  again.storage.scanner.tick()
  t.ok((again.storage.scanner.running?.scan.readBlocks ?? 0) >= 2, 'not from the start')
  // The first block file is not read again: what was found in it is remembered.
  while (again.storage.scanner.running !== undefined) await sleep(5)
  const { report } = again.storage.scanner
  t.equal(report?.id, begun.id)
  t.equal(report?.readBlocks, 4)
  t.same(
    report?.lostFiles.map(({ path }) => path),
    ['a/one'],
  )
  again.storage.scanner.tick()
  t.equal(again.storage.scanner.running, undefined, 'and what has ended stays so')
  await again.close()
})

t.test(
  'a scheduled scan keeps to its windows, goes on in the next one, and is made once in each',
  async t => {
    const { directory } = await storeOfFiles(t, ['one', 'two', 'three', 'four'])
    const at = (day: number, hour: number, minute = 0): number =>
      new Date(2026, 10, day, hour, minute).getTime() / 1000
    let seconds = at(24, 12)
    const open = (): Promise<OpenStore> => OpenStore.open(directory, { now: () => seconds })
    const store = await open()
    const noon = { startMinutes: 12 * 60 + 10, stopMinutes: 13 * 60 }
    store.storage.schedules.add({ purpose: 'scan', day: 'daily', ...noon })
    store.storage.schedules.add({
      purpose: 'cleaner',
      day: 'daily',
      startMinutes: 0,
      stopMinutes: 720,
    })
    const { scanner } = store.storage
    scanner.tick()
    t.equal(scanner.running, undefined, 'before its window')
    seconds = at(24, 12, 10)
    scanner.tick()
    t.match(scanner.running, { scan: { readsData: true, isScheduled: true, id: 1 } })
    while ((scanner.running?.scan.readBlocks ?? 4) < 1) await sleep(1)
    seconds = at(24, 13)
    scanner.tick()
    while (scanner.running !== undefined) await sleep(1)
    scanner.tick()
    t.equal(scanner.running, undefined, 'behind its window')
    t.equal(scanner.report, undefined, 'and it has not ended')
    await store.close()

    const next = await open()
    t.teardown(() => next.close())
    const again = next.storage.scanner
    again.tick()
    t.equal(again.running, undefined, 'a restart is no window')
    seconds = at(25, 12, 30)
    again.tick()
    t.match(again.running, { scan: { id: 1 } })
    t.ok((again.running?.scan.readBlocks ?? 0) >= 1, 'not from the start')
    while (again.running !== undefined) await sleep(1)
    t.match(again.report, { id: 1, outcome: 'clean', readBlocks: 4 })
    again.tick()
    t.equal(again.running, undefined, 'once in a window')
    seconds = at(26, 12, 30)
    again.tick()
    t.match(again.running, { scan: { id: 2 } })
    seconds = at(26, 14)
    again.tick()
    while (again.running !== undefined) await sleep(1)
    await again.stop()
    seconds = at(27, 12, 30)
    again.tick()
    t.match(again.running, { scan: { id: 2, readBlocks: 0 } }, 'what was stopped begins anew')
    await again.stop()
    again.tick()
    t.equal(again.running, undefined, 'and not again in this window')
  },
)

t.test('one at a time, stopped when told to', async t => {
  const { directory } = await storeOfFiles(t, ['one', 'two'])
  const store = await OpenStore.open(directory)
  const { done } = store.storage.scanner.start({ readsData: true })
  t.throws(() => store.storage.scanner.start({ readsData: false }), { code: 'SCAN_BUSY' })
  t.match(await store.storage.scanner.stop(), { outcome: 'stopped' })
  t.match(await done, { outcome: 'stopped' })
  t.equal(await store.storage.scanner.stop(), undefined)
  store.storage.scanner.tick()
  t.equal(store.storage.scanner.running, undefined)
  await store.close()
})

t.test('a locked group is left out, and that is said', async t => {
  const directory = await directoryOf(t)
  const store = await OpenStore.open(directory)
  const { groups, encryption } = store.storage
  const group = groups.add('vault', 'none')
  await encryption.setPassphrase(group, undefined, Buffer.from('secret'))
  await encryption.set(group, { isOn: true })
  store.addContainer('safe', 'vault')
  await store.write('safe/file', contentOf(1, FILE_BYTES))
  await store.sync()
  t.match(await scan(store), { outcome: 'clean', readBlocks: 1, lockedGroups: [] })
  await encryption.lock(group)
  t.match(await scan(store), {
    outcome: 'incomplete',
    readBlocks: 0,
    lockedGroups: [group.id],
  })
  t.match(await scan(store, false), { outcome: 'clean', lockedGroups: [] }, 'metadata needs no key')
  await store.close()
})

t.test('a size that a commit could not write down yet is made up for by the next', async t => {
  const store = await OpenStore.open(await directoryOf(t))
  store.addContainer('a')
  await store.write('a/file', contentOf(1, 1000), true)
  const { handle, close } = await store.openHandle('a/file')
  await store.storage.vfs.write(handle, 1000, contentOf(2, 5000), {
    killPrivileges: false,
    flags: 2,
  })
  await store.storage.metadata.commit()
  t.same((await scan(store, false)).findings, [], 'while it waits')
  await store.sync()
  t.same((await scan(store, false)).findings, [], 'when it is stored')
  close()
  await store.close()
})

t.test('writers and the cleaner beside a scan are no findings', async t => {
  const directory = await directoryOf(t)
  const store = await OpenStore.open(directory)
  store.addContainer('a')
  let goesOn = true
  const write = async (worker: number): Promise<void> => {
    for (let round = 0; goesOn; round++) {
      // A store that grows as fast as it can is never through.
      await sleep(10)
      const name = `a/${worker}-${round % 5}`
      await store.write(name, contentOf(worker * 100 + (round % 7), 300_000 + round * 1000))
      if (round % 3 === 1) await store.truncate(name, 1000)
      if (round % 4 === 2) store.remove(name)
      if (round % 25 === 4) store.addContainer(`c${worker}-${round}`)
      if (round % 6 === 5) await store.sync()
    }
  }
  const writers = [write(1), write(2)]
  const reports: ScanReport[] = []
  for (let round = 0; round < 6; round++) {
    await sleep(20)
    const cleaning = round % 2 === 0 ? store.storage.cleaner.start('manual').done : undefined
    reports.push(await scan(store, round % 3 > 0))
    await cleaning
  }
  goesOn = false
  await Promise.all(writers)
  for (const { outcome, findings, text, lostFiles, damagedBlocks } of reports) {
    const nothing = { outcome: 'clean', findings: [], text: '', lostFiles: [], damagedBlocks: [] }
    t.same({ outcome, findings, text, lostFiles, damagedBlocks }, nothing)
  }
  await store.close()
})
