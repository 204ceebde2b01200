// Disks that fill up or fail, files that go away, environments that end early.

import t from 'tap'
import { execFile } from 'node:child_process'
import { mkdir, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import {
  CLEAR,
  KEYED,
  openStore,
  randomChunk,
  readsBack,
  temporaryDirectory,
  provedDead,
} from './helpers.ts'

const run = promisify(execFile)

t.test('a failed sync is final', async t => {
  const directory = await temporaryDirectory(t)
  const store = await openStore(directory)
  const chunk = randomChunk(100)
  const locations = await store.append(CLEAR, [chunk], 1)
  // The folder whose entry is to be made durable is gone, so its fsync can't succeed.
  await rename(join(directory, '1'), join(directory, 'gone'))
  await t.rejects(store.sync(), { code: 'STORE_READ_ONLY' })
  t.match(store.readOnlyReason, /sync/)
  await rename(join(directory, 'gone'), join(directory, '1'))
  await t.rejects(store.append(CLEAR, [chunk], 1), { code: 'STORE_READ_ONLY' })
  await t.rejects(store.sync(), { code: 'STORE_READ_ONLY' })
  t.ok(await readsBack(store, [chunk], locations), 'reads go on')
  await store.close()
})

t.test('a full disk is ENOSPC, and writing goes on when there is room again', async t => {
  const directory = await temporaryDirectory(t)
  const mountPoint = join(directory, 'small')
  await mkdir(mountPoint)
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', mountPoint])
  } catch {
    t.pass('only root can mount a small filesystem')
    return
  }
  t.teardown(() => run('umount', ['-l', mountPoint]))
  const store = await openStore(join(mountPoint, 'store'))
  const small = randomChunk(100_000)
  const first = await store.append(CLEAR, [small], 1)
  const large = Array.from({ length: 16 }, () => randomChunk(200_000))
  await t.rejects(store.append(CLEAR, large, 1), { name: 'FilesystemError', code: 'ENOSPC' })
  t.ok(await readsBack(store, [small], first))
  await run('mount', ['-o', 'remount,size=20m', mountPoint])
  const second = await store.append(CLEAR, large, 1)
  t.ok(await readsBack(store, large, second))
  await store.sync()
  await store.close()
})

t.test('a file that can not be created fails its appends, not the store', async t => {
  const directory = await temporaryDirectory(t)
  let next = 77
  const store = await openStore(directory, { nextBlockId: () => next++ })
  const path = join(directory, '1', '000000')
  await mkdir(join(path, '0000004d.blk'), { recursive: true })
  await t.rejects(store.append(CLEAR, [randomChunk(10)], 1), { code: 'EIO' })
  t.match(store.collectRecords(), [{ block: 77, isClosed: true, regionCount: 0 }])
  t.equal((await store.append({ ...KEYED, group: 2 }, [randomChunk(10)], 1)).length, 1)
  await store.close()
})

t.test('a block file can be freed while its regions are held', async t => {
  const store = await openStore(await temporaryDirectory(t))
  const chunk = randomChunk(1000)
  await store.append(CLEAR, [chunk], 1)
  await store.close()
  const path = String(store.pathOf(1))
  const held = await store.readRegion(1, 1)
  store.free([provedDead(1)], 2_000_000)
  t.match(store.collectRecords(), [{ block: 1, freedSeconds: 2_000_000 }])
  t.ok(await stat(path), 'the file is in its place until a commit has freed it')
  await store.settleFreed()
  await t.rejects(stat(path), { code: 'ENOENT' })
  t.same(Buffer.from(held.chunkAt(0)), chunk.data)
  held.release()
  await t.rejects(store.readRegion(1, 1), { code: 'DAMAGED_REGION', reason: 'missing' })
  t.same([...store.records()], [])
})

t.test('an environment may end with jobs under way', async t => {
  const code = `
    import { cutAndFingerprint } from ${JSON.stringify(new URL('../../src/native/data-path.js', import.meta.url).href)}
    import { Secret } from ${JSON.stringify(new URL('../../src/native/secret.js', import.meta.url).href)}
    const parameters = { key: Secret.random(40), averageBytes: 8192, maxBytes: 65536 }
    for (let job = 0; job < 50; job++) void cutAndFingerprint(Buffer.alloc(4 << 20, job), parameters, true)
    process.exit(0)
  `
  // Without V8's own threads: process.exit may wait for ever for one of those (nodejs/node#54918), which is not our matter.
  await run(process.execPath, ['--single-threaded', '--input-type=module', '-e', code])
  const url = new URL(
    `data:text/javascript,${encodeURIComponent(code.replaceAll('Buffer', 'globalThis.Buffer'))}`,
  )
  const worker = new Worker(url)
  const exitCode = await new Promise(resolve => worker.on('exit', resolve))
  t.equal(exitCode, 0)
})
