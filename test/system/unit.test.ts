// The systemd unit scripts/coffer@.service: what it waits for, how it confines the daemon, and that the daemon bears it.

import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { MountedCoffer, mountSkipReason, shell } from '../helpers/mounted.ts'

const TOP = resolve(import.meta.dirname, '../../..')
const UNIT = join(TOP, 'scripts/coffer@.service')
const LAUNCHER = join(TOP, 'scripts/coffer')
const CONFINED = join(TOP, 'test/fixtures/confined.py')
const SYSTEMD_ANALYZE = '/usr/bin/systemd-analyze'
const run = promisify(execFile)

/** In tenths; the unit has 3.9 with systemd 252. Other versions may look at more settings. */
const EXPOSURE_MAX = 42
/** They give the daemon a mount namespace, and nobody else would see its mount. */
const HIDE_THE_MOUNT = [
  'Bind(ReadOnly)?Paths',
  'DynamicUser',
  'ExecPaths',
  'Extension(Directories|Images)',
  'InaccessiblePaths',
  'LogNamespace',
  'Mount(APIVFS|Flags|Images)',
  'NoExecPaths',
  'Private(Devices|IPC|Mounts|Network|Tmp|Users)',
  'ProcSubset',
  'Protect(ControlGroups|Home|KernelLogs|KernelModules|KernelTunables|Proc|System)',
  'Read(Only|Write)Paths',
  'Root(Directory|Image)',
  'TemporaryFileSystem',
]

const analyzeSkip = !existsSync(SYSTEMD_ANALYZE) && 'needs systemd-analyze'
const confinedSkip =
  mountSkipReason ||
  analyzeSkip ||
  (!['/usr/include/x86_64-linux-gnu/asm/unistd_64.h', '/usr/include/asm-generic/unistd.h'].some(
    existsSync,
  ) &&
    'needs linux-libc-dev')

/** A copy whose program is there. */
async function copyOfUnit(directory: string): Promise<string> {
  const path = join(directory, 'coffer@.service')
  const text = await readFile(UNIT, 'utf8')
  // With the credentials, which are comments in the unit.
  const credentials = text.replaceAll(/^#(?=(Load|Set)Credential)/gm, '')
  await writeFile(path, credentials.replaceAll('/usr/local/bin/coffer', LAUNCHER))
  return path
}

t.test('the unit waits for the store and makes none', async t => {
  const text = await readFile(UNIT, 'utf8')
  t.match(text, /^ExecStart=\/usr\/local\/bin\/coffer run --store=\S+ --mount=\S+/m)
  t.match(text, /^Type=notify$/m)
  t.match(text, /^RequiresMountsFor=\/srv\/%i /m)
  t.match(text, /^AssertPathExists=\/srv\/%i\/FORMAT$/m)
  t.notMatch(text, /^ExecStart=.*--create/m)
  for (const name of HIDE_THE_MOUNT) t.notMatch(text, new RegExp(`^${name}=`, 'm'), name)
})

t.test('systemd understands all of the unit', { skip: analyzeSkip }, async t => {
  const unit = await copyOfUnit(t.testdir())
  t.match(await readFile(unit, 'utf8'), /^SetCredential=/m)
  const { stdout, stderr } = await run(SYSTEMD_ANALYZE, ['verify', '--man=no', unit])
  t.equal(stdout, '')
  // Other units of this machine may have their own troubles.
  t.notMatch(stderr, /coffer/)
})

t.test('the unit confines the daemon', { skip: analyzeSkip }, async t => {
  const unit = await copyOfUnit(t.testdir())
  const options = ['security', '--offline=true', '--no-pager', `--threshold=${EXPOSURE_MAX}`]
  const { stdout } = await run(SYSTEMD_ANALYZE, [...options, unit])
  t.match(stdout, /Overall exposure level for coffer@\S+: \d/)
})

t.test('the daemon bears the filter and the capabilities', { skip: confinedSkip }, async t => {
  const coffer = new MountedCoffer()
  t.teardown(() => coffer.remove())
  const { store, mount, socket, keystoreBackup } = coffer
  const places = ['--store', store, '--mount', mount, '--keystore-backup', keystoreBackup]
  const command = [LAUNCHER, 'run', ...places, '--socket', socket, '--create', '--allow-other']
  const env = { ...process.env, NODE_OPTIONS: '' }
  const daemon = spawn('python3', [CONFINED, UNIT, ...command], { stdio: 'ignore', env })
  const ended = once(daemon, 'exit')
  while (!(await coffer.coffer('status').catch(() => ''))) {
    if (daemon.exitCode !== null) throw new Error(`the daemon ended with ${daemon.exitCode}`)
  }
  const status = await readFile(`/proc/${daemon.pid}/status`, 'utf8')
  t.match(status, /^Seccomp:\t2$/m, 'it is confined')
  await coffer.coffer('container', 'add', 'c')
  const at = join(mount, 'c')
  await shell(`cp -r ${TOP}/docs ${at}/docs; diff -r ${TOP}/docs ${at}/docs; sync -f ${at}`)
  await shell(`ln ${at}/docs/posix.md ${at}/hard; chown 5:5 ${at}/hard; rm -r ${at}/docs`)
  await coffer.coffer('maintenance', 'reclaim-space', '--wait')
  await coffer.coffer('maintenance', 'diagnostics', 'collect')
  await coffer.stop()
  t.strictSame(await ended, [0, null], 'and ends in order')
})
