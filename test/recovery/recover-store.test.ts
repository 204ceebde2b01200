// What a recovery makes of odd remains, without a mount.

import { mkdir, mkdtemp, open, readdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { recoverStore } from '../../src/daemon/index.ts'
import type { RecoveryReport } from '../../src/daemon/contract.ts'
import { contentOf, OpenStore } from '../helpers/open-store.ts'

interface Teardown {
  teardown(handler: () => Promise<void>): void
}

async function closedStore(t: Teardown): Promise<{ directory: string; store: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-recover-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const made = await OpenStore.open(directory)
  made.addContainer('c')
  await made.write('c/f', contentOf(1, 500_000), true)
  await made.close()
  return { directory, store: join(directory, 'store') }
}

async function recover(store: string, how: { isForced?: boolean } = {}): Promise<RecoveryReport> {
  // The lock ends with the process, and this one goes on.
  await rm(join(store, 'lock'), { force: true })
  const { isForced = false } = how
  const now = () => new Date(0)
  return recoverStore({ store, isDryRun: false, isForced, now, progress: () => {} })
}

async function readsWell(directory: string): Promise<boolean> {
  const later = await OpenStore.open(directory)
  const isEqual = (await later.read('c/f')).equals(contentOf(1, 500_000))
  await later.close()
  return isEqual
}

t.test('what is no store, or has no copy, is refused and stays as it is', async t => {
  const { directory, store } = await closedStore(t)
  await t.rejects(recover(directory), { code: 'NOT_A_STORE' })
  await t.rejects(recover(join(directory, 'nowhere')), { code: 'NOT_A_STORE' })
  await t.rejects(recover(store), { code: 'NOTHING_TO_RECOVER' })
  const before = (await readdir(store)).sort()
  await rename(join(store, 'copies'), join(directory, 'copies'))
  await mkdir(join(store, 'copies'))
  await rename(join(store, 'metadata'), join(directory, 'metadata'))
  await mkdir(join(store, 'metadata'))
  await t.rejects(recover(store), { code: 'NO_COPY' })
  t.same((await readdir(store)).sort(), before)
})

t.test('metadata that is whole but behind, and newer than every copy, is taken itself', async t => {
  const { directory, store } = await closedStore(t)
  await rm(join(store, 'copies'), { recursive: true })
  const report = await recover(store, { isForced: true })
  t.match(report, { source: 'metadata', lostFileCount: 0, writtenAt: null })
  t.ok(await readsWell(directory))
})

t.test(
  'a block file without a readable header is kept, and what referred to it is EIO',
  async t => {
    const { directory, store } = await closedStore(t)
    const path = join(store, 'blocks', '1', '000000', '00000001.blk')
    const file = await open(path, 'r+')
    await file.write(Buffer.from('damage'), 0, 6, 20)
    await file.close()
    await rm(join(store, 'metadata'), { recursive: true })
    const report = await recover(store)
    t.same(report.unreadableBlockFiles, [`${path}.damaged`])
    t.match(report, { lostFileCount: 1, lostBytes: 500_000 })
    const later = await OpenStore.open(directory)
    await t.rejects(later.read('c/f'), { code: 'EIO' })
    await later.write('c/f', contentOf(1, 500_000), true)
    t.ok((await later.read('c/f')).equals(contentOf(1, 500_000)), 'written again it reads')
    await later.close()
    t.ok((await readdir(dirname(path))).includes('00000001.blk.damaged'))
  },
)

t.test('a store whose FORMAT is gone too', async t => {
  const { directory, store } = await closedStore(t)
  await rm(join(store, 'FORMAT'))
  await rm(join(store, 'metadata'), { recursive: true })
  await t.rejects(OpenStore.open(directory), { code: 'NOT_A_STORE' })
  t.match(await recover(store), { source: 'copy', keptAside: null })
  t.ok(await readsWell(directory))
})

t.test('ids of block files and groups that were given out are not given out again', async t => {
  const { directory, store } = await closedStore(t)
  const between = await OpenStore.open(directory)
  const known = between.storage.groups.lastId
  await between.close()
  // Both are younger than the copy.
  const copies = join(directory, 'older-copies')
  await rename(join(store, 'copies'), copies)
  const late = await OpenStore.open(directory)
  const group = late.storage.groups.add('late', 'none')
  late.addContainer('late', 'late')
  await late.write('late/f', contentOf(2, 500_000), true)
  const blocks = [...late.storage.blockRecords()].map(({ block }) => block)
  await late.close()
  await rm(join(store, 'copies'), { recursive: true })
  await rename(copies, join(store, 'copies'))
  await rm(join(store, 'metadata'), { recursive: true })
  const report = await recover(store)
  t.ok(report.lastSequence > report.sequence, 'commits are missing, and that is said')
  const later = await OpenStore.open(directory)
  t.teardown(() => later.close())
  t.ok(group.id > known && later.storage.groups.add('new', 'none').id > group.id)
  await later.write('c/g', contentOf(3, 500_000), true)
  const newest = Math.max(...[...later.storage.blockRecords()].map(({ block }) => block))
  t.ok(newest > Math.max(...blocks))
})
