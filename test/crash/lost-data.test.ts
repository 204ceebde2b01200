// Data that was accepted and can't be stored, on a real mount: who wrote it hears of it, and the file is as it was before,
// in the kernel's cache as well; there are no zeros in it that nobody wrote.

import { randomBytes } from 'node:crypto'
import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ChildDaemon } from '../helpers/child-daemon.ts'
import { mountSkipReason } from '../helpers/mounted.ts'

/** The first data that is stored is, the second is not. */
const FAULT = 'block.append.before:ENOSPC:1'
const STORED_BYTES = 300_000
const MORE_BYTES = 200_000
const ALERT_MS_MAX = 30_000
const ALERT_POLL_MS = 50

async function withStored(t: Test) {
  const disk = await mkdtemp(join(tmpdir(), 'coffer-lost-'))
  const daemon = new ChildDaemon({ disk, env: { COFFER_FAULT: FAULT } })
  t.teardown(async () => {
    await daemon.remove()
    await rm(disk, { recursive: true, force: true })
  })
  await daemon.start()
  await daemon.call('container.add', { name: 'c' })
  const path = join(daemon.mount, 'c', 'file')
  const stored = randomBytes(STORED_BYTES)
  const file = await open(path, 'w')
  await file.writeFile(stored)
  await file.sync()
  await file.close()
  return { daemon, path, stored }
}

/** Until the daemon says so by an alert. */
async function loss(daemon: ChildDaemon): Promise<string> {
  for (const until = performance.now() + ALERT_MS_MAX; ; await delay(ALERT_POLL_MS)) {
    const { alerts } = await daemon.call('alerts.show', {})
    const alert = alerts.find(({ code }) => code === 'DATA_LOST')
    if (alert !== undefined) return alert.text
    if (performance.now() > until) throw new Error('no alert tells of the loss')
  }
}

t.test('the file has been closed', { skip: mountSkipReason }, async t => {
  const { daemon, path, stored } = await withStored(t)
  await writeFile(path, randomBytes(MORE_BYTES), { flag: 'a' })
  t.match(await loss(daemon), /accepted for inode \d+ of container c could not be stored/)
  t.equal((await stat(path)).size, STORED_BYTES)
  t.equal(Buffer.compare(await readFile(path), stored), 0)
  const more = randomBytes(MORE_BYTES)
  await t.rejects(writeFile(path, more, { flag: 'a' }), { code: 'ENOSPC' }, 'who comes next hears')
  await writeFile(path, more, { flag: 'a' })
  const file = await open(path)
  await file.sync()
  await file.close()
  const whole = Buffer.concat([stored, more])
  t.equal(Buffer.compare(await readFile(path), whole), 0)
  await daemon.kill()
  await daemon.start()
  t.equal(Buffer.compare(await readFile(path), whole), 0, 'after a crash too')
})

t.test('the file is open, and in the page cache', { skip: mountSkipReason }, async t => {
  const { daemon, path, stored } = await withStored(t)
  const file = await open(path, 'r+')
  const other = await open(path, 'r+')
  t.teardown(() => Promise.all([file.close(), other.close()]))
  const more = randomBytes(MORE_BYTES)
  const readAll = async (): Promise<Buffer> => {
    const bytes = Buffer.alloc(2 * STORED_BYTES)
    const { bytesRead } = await other.read(bytes, 0, bytes.length, 0)
    return bytes.subarray(0, bytesRead)
  }
  await file.write(more, 0, more.length, STORED_BYTES)
  t.equal(Buffer.compare(await readAll(), Buffer.concat([stored, more])), 0)
  await t.rejects(file.sync(), { code: 'ENOSPC' })
  await t.rejects(other.sync(), { code: 'ENOSPC' }, 'who else has it open hears as well')
  await loss(daemon)
  t.equal((await other.stat()).size, STORED_BYTES)
  t.equal(Buffer.compare(await readAll(), stored), 0)
  await file.write(more, 0, more.length, STORED_BYTES)
  await file.sync()
  t.equal(Buffer.compare(await readAll(), Buffer.concat([stored, more])), 0)
})
