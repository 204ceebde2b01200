// Encryption at rest on a real mount: what a thief of the disk finds, what a locked group gives away, what a kill leaves.

import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import t from 'tap'

import { mountSkipReason, MountedCoffer, startedCoffer, tool } from '../helpers/mounted.ts'

const run = promisify(execFile)
const skip = mountSkipReason
const MARKER = Buffer.from('Zq7!marker-that-nobody-else-writes-0123456789abcdefghijklmnopqrs')
const ENCRYPTED = ['--compression', 'none'] as const

interface Group {
  isEncrypted: boolean
  isLocked: boolean
  encryptedPercent: number
}
interface Keys {
  keys: { id: number; state: string; bytes: number }[]
  clearBytes: number
  pendingBytes: number
}

function secretFile(coffer: MountedCoffer, name: string, secret: string | Buffer): string {
  const path = join(coffer.base, name)
  writeFileSync(path, secret)
  return path
}

/** A running daemon with the encrypted group `vault`, its container `safe`, and the passphrase's file. */
async function withVault(test: Parameters<typeof startedCoffer>[0]) {
  const coffer = await startedCoffer(test)
  const passphrase = secretFile(coffer, 'passphrase', 'correct horse\n')
  await coffer.coffer('storage-group', 'add', 'vault', ...ENCRYPTED)
  await coffer.coffer('storage-group', 'set-passphrase', 'vault', '--passphrase-file', passphrase)
  await coffer.coffer('storage-group', 'encryption', 'vault', '--set', 'on', '--yes')
  await coffer.coffer('container', 'add', 'safe', '--group', 'vault')
  return { coffer, passphrase, safe: join(coffer.mount, 'safe') }
}

/** How many files below the directory hold the bytes. */
async function filesWith(directory: string, bytes: Buffer): Promise<number> {
  const { stdout } = await run('grep', ['-rlaF', '--', bytes.toString(), directory]).catch(
    (error: { code: number; stdout: string }) => {
      // 1 is grep's word for "none".
      if (error.code === 1) return { stdout: '' }
      throw error
    },
  )
  return stdout.split('\n').filter(line => line !== '').length
}

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'no failure'
  } catch (error) {
    return String((error as { stderr?: string }).stderr ?? error)
  }
}

t.test('contents are nowhere in the store once the group is encrypted', { skip }, async t => {
  const { coffer, safe } = await withVault(t)
  await coffer.coffer('storage-group', 'add', 'open', ...ENCRYPTED)
  await coffer.coffer('container', 'add', 'clear', '--group', 'open')
  const content = Buffer.concat([randomBytes(100_000), MARKER, randomBytes(100_000)])
  await writeFile(join(coffer.mount, 'clear', 'file'), content)
  await tool('sync', join(coffer.mount, 'clear', 'file'))
  t.ok((await filesWith(coffer.store, MARKER)) > 0, 'a clear group shows it: the search works')
  await coffer.coffer('container', 'delete', 'clear', '--delete-files', '--yes')

  const other = Buffer.from('Yw9?another-marker-0123456789-zyxwvutsrqponmlkjihgfedcba-1234567')
  await writeFile(join(safe, 'file'), Buffer.concat([randomBytes(100_000), other, content]))
  await tool('sync', join(safe, 'file'))
  t.equal(await filesWith(coffer.store, other), 0)
  const keys = await coffer.json<Keys>('storage-group', 'keys', 'vault')
  t.equal(keys.clearBytes, 0)
  t.equal(keys.keys.length, 1)
  t.ok((keys.keys[0]?.bytes ?? 0) > 300_000)
  const [group] = (await coffer.json<{ groups: Group[] }>('storage-group', 'show', 'vault')).groups
  t.match(group, { isEncrypted: true, isLocked: false, encryptedPercent: 100 })

  await coffer.coffer('storage-group', 'rotate-key', 'vault')
  const counted = { active: 1, decryptOnly: 1, retired: 0 }
  t.match(await coffer.json('stats', 'storage-group', 'vault'), { keys: counted })
  t.match(await coffer.json('stats', 'system'), { keys: counted })
  t.match(await coffer.json('stats', 'storage-group', 'open'), { keys: { active: 0 } })
})

t.test('a locked group', { skip }, async t => {
  const { coffer, passphrase, safe } = await withVault(t)
  const content = randomBytes(3_000_000)
  await writeFile(join(safe, 'file'), content)
  // In the kernel's page cache as well.
  t.ok((await readFile(join(safe, 'file'))).equals(content))
  await coffer.coffer('storage-group', 'lock', 'vault', '--yes')
  t.match(await coffer.json('status'), { lockedGroups: ['vault'] })

  const cat = await failure(run('cat', [join(safe, 'file')]))
  t.match(cat, /Required key not available/, 'not even from the page cache')
  t.match(await failure(run('truncate', ['-s', '5', join(safe, 'file')])), /Required key/)
  t.match(await failure(run('cp', ['/etc/hostname', join(safe, 'new')])), /Required key/)
  t.notOk(existsSync(join(safe, 'new')), 'no empty file is left of it')
  const listing = await tool('stat', '-c', '%n %s', join(safe, 'file'))
  t.match(listing, / 3000000/, 'names and attributes are readable')

  const wrong = secretFile(coffer, 'wrong', 'incorrect horse')
  const unlock = ['storage-group', 'unlock', 'vault', '--passphrase-file']
  t.match(await failure(coffer.coffer(...unlock, wrong)), /The passphrase is wrong/)
  await coffer.coffer(...unlock, passphrase)
  t.ok((await readFile(join(safe, 'file'))).equals(content))

  await coffer.stop()
  await coffer.start()
  t.match(await coffer.json('status'), { lockedGroups: ['vault'] }, 'a start locks it')
  t.match(await failure(run('cat', [join(safe, 'file')])), /Required key/)
  await run('rm', [join(safe, 'file')])
  t.notOk(existsSync(join(safe, 'file')), 'deleting needs no key')
  await coffer.stop()
  const crlf = secretFile(coffer, 'crlf', 'correct horse\r\nand more')
  await coffer.start('--passphrase-file', `vault=${crlf}`)
  t.match(
    await coffer.json('status'),
    { lockedGroups: [] },
    'the first line, as the commands read it',
  )
})

t.test('what is on its way when a group is locked gets there', { skip }, async t => {
  const { coffer, passphrase, safe } = await withVault(t)
  const content = randomBytes(20_000_000)
  await writeFile(join(safe, 'file'), content)
  await coffer.coffer('storage-group', 'lock', 'vault', '--yes')
  await coffer.kill()
  await coffer.start('--passphrase-file', `vault=${passphrase}`)
  t.ok((await readFile(join(safe, 'file'))).equals(content))
})

t.test('every kind of bad request', { skip }, async t => {
  const { coffer, passphrase } = await withVault(t)
  const group = (...args: string[]) => coffer.coffer('storage-group', ...args)
  const bad: [string[], RegExp][] = [
    [['add', 'x'.repeat(33)], /1 to 32 characters/],
    [['encryption', 'DefaultGroup', '--set', 'on', '--yes'], /set-passphrase DefaultGroup/],
    [['encryption', 'vault', '--set', 'off'], /irreversible/],
    [['encryption', 'vault', '--interval', '6d'], /7 days to 70 years/],
    [['encryption', 'vault', '--interval', '71y'], /7 days to 70 years/],
    [['encryption', 'vault', '--interval', '30 fortnights'], /no number of days/],
    [['encryption', 'vault', '--mode', 'static', '--interval', '30d'], /internal mode/],
    [['encryption', 'nowhere'], /no storage group nowhere/],
    [['unlock', 'DefaultGroup', '--passphrase-file', passphrase], /has no passphrase/],
    [['lock', 'DefaultGroup', '--yes'], /not on/],
    [['rotate-key', 'DefaultGroup'], /not on/],
    [['delete', 'vault', '--yes'], /has containers/],
    [['delete', 'DefaultGroup', '--yes'], /can't be deleted/],
    [['update', 'vault', '--quota', '1GiB'], /A quota has at least/],
  ]
  for (const [args, expected] of bad) {
    t.match(await failure(group(...args)), expected, args.join(' '))
  }
  const secrets: [string, string | Buffer, RegExp][] = [
    ['empty', '', /empty|1 to 255/i],
    ['long', 'x'.repeat(256), /255/],
    ['invalid', Buffer.from([0x66, 0xff]), /valid UTF-8/],
  ]
  for (const [name, secret, expected] of secrets) {
    const path = secretFile(coffer, name, secret)
    const args = ['--current-passphrase-file', passphrase, '--passphrase-file', path]
    t.match(await failure(group('set-passphrase', 'vault', ...args)), expected, name)
  }
  t.match(
    await coffer.json('storage_group', '--encryption', '--name', 'vault', '--interval', '70y'),
    { intervalDays: 25_567 },
    "QoreStor's spelling, and the longest interval",
  )
  t.match(await coffer.json('storage_group', '--keys', '--name', 'vault'), { name: 'vault' })
})

t.test('a quota is reached, and deletes still work', { skip }, async t => {
  const coffer = new MountedCoffer()
  t.teardown(() => coffer.remove())
  await coffer.start('--quota-min', '1MiB')
  await coffer.coffer('storage-group', 'add', 'small', '--quota', '64MiB')
  await coffer.coffer('container', 'add', 'c', '--group', 'small')
  const path = join(coffer.mount, 'c', 'file')
  const text = await failure(
    run('dd', ['if=/dev/urandom', `of=${path}`, 'bs=1M', 'count=80', 'conv=fsync']),
  )
  t.match(text, /Disk quota exceeded|No space left/)
  const isRaised = async (): Promise<boolean> => {
    const { alerts } = await coffer.json<{ alerts: { code: string }[] }>('alerts', 'show')
    return alerts.some(({ code }) => code === 'QUOTA_NEAR' || code === 'QUOTA_REACHED')
  }
  for (let tries = 0; tries < 20 && !(await isRaised()); tries++) await sleep(100)
  t.ok(await isRaised(), 'and there is an alert')
  await run('rm', [path])
  t.notOk(existsSync(path))
  const { groups } = await coffer.json<{ groups: { quotaBytes: number }[] }>(
    'storage-group',
    'show',
    'small',
  )
  t.equal(groups[0]?.quotaBytes, 64 * 2 ** 20)
})

t.test('a copy of the keystore that is gone or spoilt is written again', { skip }, async t => {
  const { coffer, passphrase, safe } = await withVault(t)
  await writeFile(join(safe, 'file'), 'content')
  const primary = join(coffer.store, 'keystores', '2.keystore')
  const whole = readFileSync(primary)
  await coffer.stop()
  writeFileSync(primary, whole.subarray(0, 50))
  await coffer.start('--passphrase-file', `vault=${passphrase}`)
  t.ok(readFileSync(primary).equals(whole), 'repaired from the backup')
  const { alerts } = await coffer.json<{ alerts: { text: string }[] }>('alerts', 'show')
  t.ok(alerts.some(({ text }) => text.includes('keystore') && text.includes(primary)))
  t.equal(await readFile(join(safe, 'file'), 'utf8'), 'content')

  await coffer.stop()
  rmSync(coffer.keystoreBackup, { recursive: true })
  rmSync(primary)
  await coffer.start()
  const unlock = ['storage-group', 'unlock', 'vault', '--passphrase-file', passphrase]
  t.match(await failure(coffer.coffer(...unlock)), /missing in both places/)
  t.match(await failure(run('cat', [join(safe, 'file')])), /Required key/, 'and nothing is clear')
  writeFileSync(primary, whole)
  await coffer.coffer(...unlock)
  t.equal(await readFile(join(safe, 'file'), 'utf8'), 'content')
})

t.test(
  'kill -9 around every change of keys: one passphrase opens, all data reads',
  { skip },
  async t => {
    const { coffer, safe } = await withVault(t)
    const contents = new Map<string, Buffer>()
    let current = join(coffer.base, 'passphrase')
    let serial = 0
    for (const delayMs of [0, 450, 900]) {
      const name = `file-${delayMs}`
      const content = randomBytes(50_000)
      contents.set(name, content)
      await writeFile(join(safe, name), content)
      await tool('sync', join(safe, name))
      const next = secretFile(coffer, `next-${++serial}`, `passphrase number ${serial}`)
      const changing = failure(
        coffer.coffer(
          'storage-group',
          'set-passphrase',
          'vault',
          '--current-passphrase-file',
          current,
          '--passphrase-file',
          next,
        ),
      )
      const rotating = failure(coffer.coffer('storage-group', 'rotate-key', 'vault'))
      await sleep(delayMs)
      await coffer.kill()
      const wasSet = (await changing) === 'no failure'
      await rotating
      await coffer.start()
      const unlock = (path: string) =>
        failure(coffer.coffer('storage-group', 'unlock', 'vault', '--passphrase-file', path))
      const withNext = await unlock(next)
      const withCurrent = await unlock(current)
      const opened = [withNext, withCurrent].filter(text => text === 'no failure')
      t.equal(opened.length, 1, `after ${delayMs} ms: exactly one`)
      if (wasSet) t.equal(withNext, 'no failure', 'what was answered is what counts')
      if (withNext === 'no failure') current = next
      for (const [each, expected] of contents) {
        t.ok((await readFile(join(safe, each))).equals(expected), each)
      }
    }
    await appendFile(join(safe, 'file-0'), 'more')
  },
)
