// A start: stores are made only when that is wanted, what the shell has set stays outside, and one that fails leaves
// nothing behind.

import { createServer } from 'node:net'
import { mkdir, readFile, readdir, readlink, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { MountedCoffer, mountSkipReason, shell, startedCoffer } from '../helpers/mounted.ts'

const skip = mountSkipReason

interface Status {
  pid: number
  alerts: { code: string }[]
}

function newCoffer(t: Test): MountedCoffer {
  const coffer = new MountedCoffer()
  t.teardown(() => coffer.remove())
  return coffer
}

async function eventCodes(coffer: MountedCoffer): Promise<string[]> {
  const { events } = await coffer.json<{ events: { code: string }[] }>('events', 'show')
  return events.map(({ code }) => code)
}

t.test('a store is made once, and said so; run and --no-create make none', { skip }, async t => {
  const coffer = newCoffer(t)
  const options = ['--store', coffer.store, '--mount', coffer.mount]
  const all = [...options, '--keystore-backup', coffer.keystoreBackup]
  await t.rejects(coffer.coffer('run', ...all), { message: /no coffer store.*--create/ })
  await t.rejects(coffer.coffer('start', '--no-create', ...all), { message: /--create/ })
  t.same(await readdir(coffer.base), ['mnt'], 'nothing was made')
  t.match(await coffer.coffer('start', ...all), /^A new store was created in .*\nThe store is /)
  t.ok((await eventCodes(coffer)).includes('STORE_NEW'))
  await coffer.stop()
  t.match(await coffer.coffer('start', '--no-create', ...all), /^The store is mounted/)
})

t.test('a store that is gone is not made anew', { skip }, async t => {
  const coffer = await startedCoffer(t)
  await coffer.stop()
  await rename(coffer.store, `${coffer.store}-elsewhere`)
  for (const option of ['--create', '--no-create']) {
    await t.rejects(coffer.start(option), {
      message: /was a store before.*remove .*stores.*\.json/,
    })
  }
  await t.rejects(coffer.start(), { message: /was a store before/ })
  await t.rejects(stat(coffer.store), { code: 'ENOENT' }, 'nothing was made')
  await rename(`${coffer.store}-elsewhere`, coffer.store)
  await coffer.start()
})

t.test('a creation that was cut off is finished', { skip }, async t => {
  const coffer = newCoffer(t)
  await mkdir(join(coffer.store, 'metadata'), { recursive: true })
  await writeFile(join(coffer.store, 'identity'), '0'.repeat(32))
  await coffer.start()
  await coffer.coffer('container', 'add', 'c')
})

t.test('limits, umask, directory and variables of the shell stay outside', { skip }, async t => {
  const coffer = newCoffer(t)
  const command = ['start', '--store', coffer.store, '--mount', coffer.mount].join(' ')
  const places = `--keystore-backup ${coffer.keystoreBackup} --socket ${coffer.socket}`
  const settings =
    'export NODE_OPTIONS=--max-old-space-size=99 LD_PRELOAD=/none.so SECRET=x LC_ALL=C'
  await shell(
    `cd ${coffer.base}; ulimit -S -n 512; ulimit -S -f 20000; umask 0; ${settings}
    ${coffer.launcher} ${command} ${places} 2>/dev/null`,
  )
  const { pid } = await coffer.json<Status>('status')
  const proc = `/proc/${pid}`
  t.equal(await readlink(join(proc, 'cwd')), '/')
  t.match(await readFile(join(proc, 'status'), 'utf8'), /^Umask:\t0077$/m)
  const limits = await readFile(join(proc, 'limits'), 'utf8')
  t.match(limits, /Max file size +unlimited/)
  t.ok(Number(/Max open files +(\d+)/.exec(limits)?.[1]) >= 4096)
  const names = (await readFile(join(proc, 'environ'), 'utf8')).split('\0')
  t.ok(names.includes('LC_ALL=C'))
  t.notOk(names.some(each => /^(NODE_OPTIONS|LD_PRELOAD|SECRET)=/.test(each)))
  await coffer.coffer('container', 'add', 'c')
  const at = join(coffer.mount, 'c')
  await shell(`umask 022; mkdir ${at}/d; touch ${at}/f; (umask 0; touch ${at}/g)`)
  const modes = await shell(`stat -c %a ${at}/d ${at}/f ${at}/g`)
  t.equal(modes, '755\n644\n666\n', 'modes are those of the clients')
  t.notMatch(await shell(`find ${coffer.store} -type f -printf '%m\\n'`), /[1-7]$/m)
})

t.test('a control socket that cannot be opened: the start fails in order', { skip }, async t => {
  const coffer = await startedCoffer(t, 'c')
  await writeFile(join(coffer.mount, 'c', 'file'), 'kept')
  await coffer.stop()
  await writeFile(join(coffer.base, 'plain'), '')
  for (const socket of [join(coffer.base, 'plain', 'sock'), join(coffer.base, 'plain')]) {
    const options = `--store ${coffer.store} --mount ${coffer.mount} --socket ${socket}`
    const line = `${coffer.launcher} start ${options} --keystore-backup ${coffer.keystoreBackup}`
    await t.rejects(shell(`env -u NODE_OPTIONS ${line}`), { message: /coffer: .*plain/ })
  }
  t.same(await readdir(coffer.mount), [], 'unmounted')
  const log = await readFile(join(coffer.store, 'daemon.log'), 'utf8')
  t.notMatch(log, /INTERNAL_ERROR|file closed|uncaught/i)
  await coffer.start()
  const codes = await eventCodes(coffer)
  t.equal(codes.filter(code => code === 'DAEMON_STOPPED').length, 3, 'one end each')
  t.notOk(codes.includes('UNCLEAN_SHUTDOWN'))
  t.equal(await readFile(join(coffer.mount, 'c', 'file'), 'utf8'), 'kept')
})

t.test(
  'metrics that cannot be opened are an alert, and the store is mounted',
  { skip },
  async t => {
    const coffer = newCoffer(t)
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise(done => server.once('listening', done))
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : undefined
    await coffer.start('--metrics-port', String(port))
    const { alerts } = await coffer.json<Status>('status')
    t.strictSame(
      alerts.map(({ code }) => code),
      ['METRICS_UNAVAILABLE'],
    )
    await coffer.stop()
    server.close()
    await coffer.start('--metrics-port', String(port))
    t.same((await coffer.json<Status>('status')).alerts, [], 'over')
  },
)

t.test('an internal error is one line of the log, with its stack', { skip }, async t => {
  const coffer = newCoffer(t)
  process.env['TZ'] = 'Foo/Bar'
  t.teardown(() => delete process.env['TZ'])
  await coffer.start()
  const shown = await coffer.coffer('schedule', 'show').catch((error: Error) => error.message)
  if (!shown.includes('log has the details')) return
  const log = await readFile(join(coffer.store, 'daemon.log'), 'utf8')
  const lines = log.split('\n').filter(line => line.includes('INTERNAL_ERROR'))
  t.equal(lines.length, 1)
  t.match(JSON.parse(lines[0] ?? ''), {
    level: 'error',
    where: 'control method schedule.show',
    stack: /\n +at /,
  })
})

t.test('a mount over files says that it hides them', { skip }, async t => {
  const coffer = newCoffer(t)
  await writeFile(join(coffer.mount, 'stray'), '')
  const options = ['--store', coffer.store, '--mount', coffer.mount]
  const all = [...options, '--keystore-backup', coffer.keystoreBackup]
  t.match(await coffer.coffer('start', ...all), /mnt is not empty: the mount hides 1 entry\.\n/)
  t.ok((await eventCodes(coffer)).includes('MOUNT_NOT_EMPTY'))
  await coffer.stop()
  t.same(await readdir(coffer.mount), ['stray'])
})

t.test('places that clash are refused before anything is made', { skip }, async t => {
  const coffer = newCoffer(t)
  const { base, store, mount } = coffer
  const table: [RegExp, string[]][] = [
    [/mount point/, ['--store', join(mount, 'store'), '--mount', mount]],
    [/keystore backup/, ['--store', store, '--mount', mount, '--keystore-backup', `${store}/kb`]],
    [/metrics socket/, ['--store', store, '--mount', mount, '--metrics-socket', `${mount}/m`]],
  ]
  for (const [words, options] of table) {
    await t.rejects(coffer.coffer('start', ...options), { message: words })
  }
  t.same(await readdir(base), ['mnt'])
  t.same(await readdir(mount), [])
})
