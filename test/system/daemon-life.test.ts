// How a daemon ends and begins: signals, a torn-away mount, a killed one's remains, block files that lost their end.

import { once } from 'node:events'
import { mkdir, open, readFile, readdir, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { MountedCoffer, mountSkipReason, startedCoffer, shell, tool } from '../helpers/mounted.ts'

const skip = mountSkipReason

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} commits, unmounts and ends with 0`, { skip }, async t => {
    const coffer = new MountedCoffer()
    t.teardown(() => coffer.remove())
    const daemon = await coffer.runInForeground()
    await coffer.coffer('container', 'add', 'c')
    await writeFile(join(coffer.mount, 'c', 'file'), 'not fsynced')
    daemon.kill(signal)
    const [code] = await once(daemon, 'exit')
    t.equal(code, 0)
    t.same(await readdir(coffer.mount), [], 'unmounted')
    await coffer.start()
    t.equal(await readFile(join(coffer.mount, 'c', 'file'), 'utf8'), 'not fsynced')
  })
}

t.test(
  'a mount that is torn away ends the daemon, and what was written is kept',
  { skip },
  async t => {
    const coffer = new MountedCoffer()
    t.teardown(() => coffer.remove())
    const daemon = await coffer.runInForeground()
    await coffer.coffer('container', 'add', 'c')
    await writeFile(join(coffer.mount, 'c', 'file'), 'kept')
    const ended = once(daemon, 'exit')
    await tool('umount', '-l', coffer.mount)
    const [code] = await ended
    t.equal(code, 0)
    await coffer.start()
    t.equal(await readFile(join(coffer.mount, 'c', 'file'), 'utf8'), 'kept')
  },
)

t.test('stop refuses while a file is open, and force ends it all the same', { skip }, async t => {
  const coffer = await startedCoffer(t, 'c')
  const file = await open(join(coffer.mount, 'c', 'open'), 'w')
  await file.writeFile('data')
  await t.rejects(coffer.stop())
  t.match(await coffer.json('status'), { isReadOnly: false }, 'the daemon goes on')
  await coffer.coffer('stop', '--force', '--yes')
  await file.close().catch(() => undefined)
  await coffer.start()
  t.equal(await readFile(join(coffer.mount, 'c', 'open'), 'utf8'), 'data')
})

t.test(
  'a truncated block file: EIO where bytes are missing, all else readable',
  { skip },
  async t => {
    const coffer = await startedCoffer(t, 'c')
    const at = (name: string): string => join(coffer.mount, 'c', name)
    for (const name of ['first', 'last']) {
      await tool('dd', 'if=/dev/urandom', `of=${at(name)}`, 'bs=1M', 'count=4', 'conv=fsync')
    }
    const first = await readFile(at('first'))
    await coffer.stop()
    const [block = ''] = (await shell(`find ${coffer.store}/blocks -name '*.blk'`))
      .trim()
      .split('\n')
    await truncate(block, (await stat(block)).size - 2 * 1024 * 1024)
    await coffer.start()
    t.ok((await readFile(at('first'))).equals(first))
    await t.rejects(readFile(at('last')), { code: 'EIO' })
    await writeFile(at('new'), 'writing goes on')
    t.equal(await readFile(at('new'), 'utf8'), 'writing goes on')
    const { alerts } = await coffer.json<{ alerts: { code: string }[] }>('alerts', 'show')
    const codes = new Set(alerts.map(({ code }) => code))
    t.ok(codes.has('DAMAGED_BLOCK') && codes.has('DAMAGED_FILE'), 'both are alerts')
  },
)

t.test('the QoreStor spelling does the same', { skip }, async t => {
  const coffer = await startedCoffer(t)
  await coffer.coffer('storage_group', '--add', '--name', 'slow', '--compression_mode', 'best')
  await coffer.coffer('container', '--add', '--name', 'c', '--group_name', 'slow')
  await mkdir(join(coffer.mount, 'c', 'd'))
  await writeFile(join(coffer.mount, 'c', 'd', 'text'), 'compress me '.repeat(10_000))
  await tool('sync', '-f', coffer.mount)
  const stats = await coffer.json<{ postDedupeBytes: number; postCompressionBytes: number }>(
    'stats',
    '--storage_group',
    '--name',
    'slow',
  )
  t.ok(stats.postDedupeBytes > 0)
  t.ok(stats.postCompressionBytes < stats.postDedupeBytes / 10, 'zstd')
  await t.rejects(coffer.coffer('container', 'delete', 'c'), { message: /empty|files/i })
  await coffer.coffer('container', 'delete', 'c', '--delete-files', '--yes')
  t.same(await readdir(coffer.mount), [])
})
