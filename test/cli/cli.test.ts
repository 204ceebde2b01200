// Whole command lines against a fake daemon: what is printed, and with which status.

import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import t from 'tap'

import { socketPath } from '../../src/cli/common.ts'
import { toArgs, toDaemonOptions } from '../../src/cli/daemon-options.ts'
import type { CliIo } from '../../src/cli/io.ts'
import { daemonEnvironment } from '../../src/cli/daemon-environment.ts'
import { launchDaemon } from '../../src/cli/launch.ts'
import type { DaemonOptions } from '../../src/daemon/contract.ts'
import { CofferError } from '../../src/errors.ts'
import { makeFolder, run, serve } from './run.ts'

t.test('the words of people', async t => {
  const io = await serve(t)
  t.equal((await run('container show', io)).out.includes('There are no containers'), true)
  t.equal(
    (await run('container --add --name backups', io)).out,
    'Name          : backups\n' +
      'Group         : DefaultGroup\n' +
      'Created       : 2026-01-02T03:04:05.000Z\n' +
      'Files         : 0\n' +
      'Current Bytes : 0 B\n',
  )
  t.equal(
    (await run('container show', io)).out,
    'Name     Group         Files  Current\nbackups  DefaultGroup      0  0 B\n',
  )
  t.match((await run('container show backups', io)).out, /^Name +: backups\n/)
  t.match(
    (await run('storage-group add g --compression best --chunk-size 32KiB', io)).out,
    /Compression : best\nChunk Size +: 32.00 KiB\nQuota +: unlimited\nEncryption +: off\n/,
  )
  t.match((await run('storage_group --show', io)).out, /\nDefaultGroup +fast +64.00 KiB +off +0\n/)
  t.match((await run('storage-group show g', io)).out, /^Name +: g\n/)
  t.match((await run('status', io)).out, /Uptime +: 1d 02h 03m 04s\n/)
  t.match(
    (await run('stats system', io)).out,
    /Current Bytes +: 3.00 GiB\n.*Dedupe Savings +: 66.67 %\n.*Write +2 B\/s +3 B\/s +1 B\/s\n/s,
  )
  t.match((await run('stats system', io)).out, /\nEvent Loop Delay p99 +: 1.2 ms\n/)
  t.match(
    (await run('stats system', io)).out,
    /\nOperation +Count.*\nfsync +5 +80 +900 +1000 +2000\n/s,
  )
  t.match((await run('stats --system --prometheus', io)).out, /^# TYPE coffer_files gauge\n/)
  t.match((await run('stats storage-group g', io)).out, /^Name +: g\n.*Physical Bytes/s)
  const stats = await run('stats container backups', io)
  t.match(stats.out, /Group +: DefaultGroup\n/)
  t.notMatch(stats.out, /Physical/, 'a container shares its blocks with its group')
  t.equal((await run('alerts show', io)).out, 'There are no alerts.\n')
})

t.test('alerts, locks and read-only are shown', async t => {
  const io = await serve(t, {
    lockedGroups: ['a', 'b'],
    isReadOnly: true,
    readOnlyReason: 'the disk is full',
    alerts: [
      {
        code: 'DISK_FULL',
        subject: null,
        severity: 'critical',
        title: 'The disk is full',
        text: 'Full.',
        whatToDo: 'Buy one.',
        since: '2026-01-01T00:00:00Z',
        acknowledgedAt: null,
        note: null,
      },
    ],
  })
  const { out } = await run('status', io)
  t.match(out, /Locked Groups +: a, b\n/)
  t.match(out, /Writable +: no: the disk is full\n/)
  t.match(out, /critical +2026-01-01T00:00:00Z +DISK_FULL +Full.\n/)
  t.match((await run('alerts show', io)).out, /^Severity +Since/)
  t.match((await run('alerts show', io)).out, /DISK_FULL +Buy one\.\n$/)
  t.notMatch((await run('alerts --show --summary', io)).out, /Buy one/)
})

t.test('--json prints one document and nothing else', async t => {
  const io = await serve(t)
  const lines = [
    'container add backups --json',
    '--json container show',
    'container --json --show',
    'storage-group show --json',
    'stats system --json',
    'status --json',
    'alerts show --json',
    'events show --index -5 --count 2 --json',
    'events --show --all --json',
    'email_alerts --status --json',
    'email-alerts test-email --json',
    'maintenance diagnostics show --json',
    'schedule show --json',
    'container delete backups --json',
  ]
  for (const line of lines) {
    const { status, out, err } = await run(line, io)
    t.equal(status, 0, line)
    t.type(JSON.parse(out), 'object')
    t.equal(err, '')
  }
  t.equal(JSON.parse((await run('stats system --json', io)).out).currentBytes, 3 * 1024 ** 3)
})

t.test('exit status', async t => {
  const io = await serve(t)
  const cases: [line: string, status: number, err: RegExp][] = [
    ['container delete nope', 1, /^coffer: There is no nope\.\n$/],
    ['container add a/b', 2, /characters out of/],
    ['container add', 2, /Not enough non-option arguments/],
    ['container', 2, /container show, add, rename or delete; see/],
    ['container rename x', 2, /Not enough non-option arguments/],
    ['container rename x y/z', 2, /characters out of/],
    ['container rename x y', 1, /There is no x/],
    ['', 2, /./],
    ['bogus', 2, /Unknown command: bogus; see "coffer --help"/],
    ['container add x y', 2, /Unknown argument: y/],
    ['container add x --bogus', 2, /Unknown option: --bogus; see "coffer container add --help"/],
    ['container add x --group', 2, /group/],
    ['storage-group add g --compression lots', 2, /compression/],
    ['storage-group add g --chunk-size 5parsecs', 2, /"parsecs" is not a unit/],
    ['storage-group add g --chunk-size 1PiB', 2, /chunkSizeBytes/],
    ['status --socket /nonexistent/sock', 3, /No coffer daemon answers on \/nonexistent\/sock/],
    ['start --store x', 2, /mount/],
    ['run --store s --mount m --metrics-port 0', 2, /--metrics-port wants 1 to 65535, not "0"/],
    ['run --store s --mount m --metrics-port 9119 --metrics-socket x', 2, /exclude each other/],
  ]
  for (const [line, status, err] of cases) {
    const outcome = await run(line, io)
    t.equal(outcome.status, status, line)
    t.match(outcome.err, err)
    t.equal(outcome.err.split('\n').length, 2, `one line: ${outcome.err}`)
    t.equal(outcome.out, '')
  }
})

t.test('deleting files is confirmed', async t => {
  const io = await serve(t)
  const line = 'container delete a --delete-files'
  await run('container add a', io)
  const refused = await run(line, io)
  t.equal(refused.status, 1)
  t.match(refused.err, /no terminal.*--yes/)
  for (const answer of ['', 'no', 'maybe']) t.equal((await run(line, io, [answer])).status, 1)
  t.match((await run('container show a', io)).out, 'a', 'it is still there')
  t.equal((await run(line, io, ['yes'])).out, 'Container a is deleted.\n')
  await run('container add a', io)
  t.equal((await run(`${line} --yes`, io)).status, 0)
})

t.test('containers are renamed, and shown with all there is', async t => {
  const io = await serve(t)
  await run('container add a', io)
  await run('container add taken', io)
  t.match((await run('container rename a b', io)).out, /^Name +: b\n/)
  t.match(await run('container rename b taken', io), { status: 1, err: /taken already/ })
  t.equal((await run('container show a', io)).status, 1)
  t.equal(
    (await run('container show b --verbose', io)).out,
    'Name          : b\n' +
      'Group         : DefaultGroup\n' +
      'Created       : 2026-01-02T03:04:05.000Z\n' +
      'Files         : 0\n' +
      'Current Bytes : 0 B\n' +
      'Id            : 1\n' +
      'Owner (uid)   : 0\n' +
      'Group (gid)   : 0\n' +
      'Mode          : 0755\n',
  )
  t.match((await run('container show --verbose', io)).out, /Name +: taken\n.*\n\nName +: b\n/s)
})

t.test('the default socket', async t => {
  const io = { env: {}, isRoot: false, out() {}, err() {} } as unknown as CliIo
  t.equal(socketPath({ ...io, isRoot: true }, undefined), '/run/coffer/coffer.sock')
  t.equal(
    socketPath({ ...io, env: { XDG_RUNTIME_DIR: '/run/user/5' } }, undefined),
    '/run/user/5/coffer.sock',
  )
  const env = { COFFER_SOCKET: '/a', XDG_RUNTIME_DIR: '/run/user/5' }
  t.equal(socketPath({ ...io, env }, undefined), '/a')
  t.equal(socketPath({ ...io, env }, '/b'), '/b')
  t.throws(() => socketPath(io, undefined), { code: 'USAGE' })
})

t.test('options of the daemon survive the way to its process', async t => {
  const io = { env: {}, isRoot: true } as unknown as CliIo
  const argv = { store: '/s', mount: '/-m', socket: '/k', allowOther: true, keystoreBackup: '/b' }
  const options = toDaemonOptions(io, { ...argv, massDeletePercent: 30 })
  let seen: DaemonOptions | undefined
  const loadDaemon: CliIo['loadDaemon'] = async () => ({
    startDaemon: async given => {
      seen = given
      return { notices: [], warnings: [], stopped: Promise.resolve(), stop: async () => {} }
    },
  })
  const toRun = (given: DaemonOptions): string => ['run', ...toArgs(given)].join(' ')
  await run(toRun(options), { loadDaemon })
  t.strictSame(seen, options)
  const passphraseFiles = [
    { group: 'a', path: '/x,y' },
    { group: 'b', path: '/c=d' },
  ]
  const unlocking: DaemonOptions = { ...options, passphraseFiles, requireUnlocked: true }
  await run(toRun(unlocking), { loadDaemon })
  t.strictSame(seen, unlocking, 'several passphrase files add up')
  t.ok(toArgs({ ...options, create: true }).includes('--create'))
  t.equal(toDaemonOptions(io, { ...argv, create: false }).create, undefined)
  for (const [option, answer] of [
    ['newIdentity', 'new-identity'],
    ['moved', 'moved'],
  ] as const) {
    const asked = toDaemonOptions(io, { ...argv, [option]: true })
    t.equal(asked.copyAnswer, answer)
    t.ok(toArgs(asked).includes(`--${answer}`))
  }
  t.throws(() => toDaemonOptions(io, { ...argv, newIdentity: true, moved: true }), /exclude/)
  t.match(toArgs({ ...options, transport: 'fuse-native' }).join(' '), '--transport=fuse-native')
  const asleep = toDaemonOptions(io, { ...argv, letProcessorsSleep: true })
  t.equal(asleep.letProcessorsSleep, true)
  t.match(toArgs(asleep).join(' '), '--let-processors-sleep')
  t.equal(toDaemonOptions(io, { ...argv, transport: 'device' }).transport, 'device')
  for (const metrics of [{ metricsPort: 9119 }, { metricsSocket: '/run/m' }]) {
    const asked = toDaemonOptions(io, { ...argv, ...metrics, massDeletePercent: 30 })
    t.match(toArgs(asked).join(' '), /--metrics-(port=9119|socket=\/run\/m)/)
  }
})

t.test('run', async t => {
  const line = 'run --store s --mount m --socket k'
  const failing = async () => ({
    startDaemon: async () => await Promise.reject(new CofferError('X', 'The store is locked.')),
  })
  t.match(await run(line, { loadDaemon: failing }), {
    status: 1,
    err: 'coffer: The store is locked.\n',
  })

  const broken = async () => ({
    startDaemon: async () => ({
      notices: [],
      warnings: [],
      stopped: Promise.reject(new CofferError('X', 'The mount is gone.')),
      stop: async () => {},
    }),
  })
  t.match(await run(line, { loadDaemon: broken }), {
    status: 1,
    err: 'coffer: The mount is gone.\n',
  })

  const forces: boolean[] = []
  const stoppable = async () => ({
    startDaemon: async () => {
      let end = () => {}
      const stopped = new Promise<void>(resolve => (end = resolve))
      return {
        notices: [],
        warnings: [],
        stopped,
        stop: async ({ force }: { force: boolean }) => {
          forces.push(force)
          if (!force) throw new Error('a file is open.')
          end()
        },
      }
    },
  })
  const running = run(line, { loadDaemon: stoppable })
  await sleep(50)
  process.kill(process.pid, 'SIGTERM')
  await sleep(50)
  process.kill(process.pid, 'SIGTERM')
  // Waiting for a signal does not keep a process alive; a timer does.
  await sleep(50)
  t.match(await running, { status: 0, err: 'The daemon goes on: a file is open.\n' })
  t.strictSame(forces, [false, true], 'a second signal forces')
})

t.test('launching a process', async t => {
  const folder = await makeFolder(t)
  const log = join(folder, 'store', 'daemon.log')

  const ready =
    'console.error("hello"); process.send({ready: true, notices: ["New."], warnings: ["Locked."]}); setInterval(() => {}, 1000)'
  const { pid, notices, warnings } = await launchDaemon(['-e', ready], log)
  t.strictSame(notices, ['New.'])
  t.strictSame(warnings, ['Locked.'])
  t.ok(process.kill(pid, 0), 'it runs on')
  process.kill(pid)
  t.equal(await readFile(log, 'utf8'), 'hello\n')

  const error = 'process.send({error: {code: "LOCKED", message: "The store is locked."}})'
  t.same(
    daemonEnvironment({
      NODE_OPTIONS: 'x',
      LD_PRELOAD: 'y',
      PATH: 'p',
      LC_ALL: 'C',
      COFFER_X: '1',
    }),
    { PATH: 'p', LC_ALL: 'C', COFFER_X: '1' },
  )
  await t.rejects(launchDaemon(['-e', `${error}; process.disconnect()`], log), {
    code: 'LOCKED',
    message: 'The store is locked.',
  })
  await t.rejects(launchDaemon(['-e', 'process.exitCode = 5'], log), {
    code: 'START_FAILED',
    message: /with status 5.*daemon\.log/,
  })
  await t.rejects(launchDaemon(['-e', 'process.kill(process.pid, "SIGKILL")'], log), {
    message: /by SIGKILL/,
  })
})

t.test('launchDaemon refuses a log that is no regular file', async t => {
  const folder = await makeFolder(t)
  const log = join(folder, 'daemon.log')
  await promisify(execFile)('mkfifo', [log])
  const args = ['-e', 'process.send({ready: true, notices: []})']
  const refusal = { code: 'FOREIGN_FILE', message: /daemon\.log is no regular file/ }
  await t.rejects(launchDaemon(args, log), refusal, 'a pipe that no process reads')
  const reader = await open(log, constants.O_RDONLY | constants.O_NONBLOCK)
  await t.rejects(launchDaemon(args, log), refusal, 'a pipe with a reader')
  await reader.close()
  await t.rejects(launchDaemon(args, folder), { code: 'FOREIGN_FILE' }, 'a directory')
})

t.test('stop waits for the process to be gone', async t => {
  const log = join(await makeFolder(t), 'log')
  const script = 'process.send({ready: true, notices: [], warnings: []}); setTimeout(() => {}, 300)'
  const { pid } = await launchDaemon(['-e', script], log)
  const io = await serve(t, { pid })
  const before = performance.now()
  t.match(await run('stop', io), { status: 0, out: 'The daemon has ended.\n' })
  t.ok(performance.now() - before > 100, 'it did wait')
  t.match(await run('stop --force', io), { status: 1, err: /--yes/ })
})

t.test('a second daemon is refused early', async t => {
  const io = await serve(t)
  t.match(await run('start --store s --mount m', io), { status: 1, err: /runs already/ })
})

t.test('the launcher follows links and says what is missing', async t => {
  const { spawnSync } = await import('node:child_process')
  const { copyFile, mkdir, symlink } = await import('node:fs/promises')
  const launcher = fileURLToPath(new URL('../../../scripts/coffer', import.meta.url))
  const folder = await makeFolder(t)
  await symlink(launcher, join(folder, 'coffer'))
  const linked = spawnSync(join(folder, 'coffer'), ['status', '--socket', '/nonexistent'], {
    encoding: 'utf8',
  })
  t.equal(linked.status, 3, linked.stderr)

  await mkdir(join(folder, 'scripts'))
  await copyFile(launcher, join(folder, 'scripts', 'coffer'))
  const unbuilt = spawnSync(join(folder, 'scripts', 'coffer'), ['status'], { encoding: 'utf8' })
  t.equal(unbuilt.status, 1)
  t.match(unbuilt.stderr, /npm run setup/)
})
