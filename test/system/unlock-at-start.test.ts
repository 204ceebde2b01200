// Passphrase files of a start on a real mount: several groups, and files of no use beside them.

import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import { type MountedCoffer, mountSkipReason, startedCoffer } from '../helpers/mounted.ts'

const run = promisify(execFile)
const skip = mountSkipReason
const HELPER = resolve(import.meta.dirname, '../../../scripts/mount.coffer')

interface Alerts {
  alerts: { code: string; subject: string | null; text: string }[]
}

/** A stopped store with the encrypted groups `a` and `b`, which have a container each, and their files. */
async function withGroups(t: Test) {
  const coffer = await startedCoffer(t, 'clear')
  const files: Record<string, string> = {}
  for (const group of ['a', 'b']) {
    const path = join(coffer.base, `passphrase-${group}`)
    writeFileSync(path, `passphrase of ${group}\n`)
    await coffer.coffer('storage-group', 'add', group)
    await coffer.coffer('storage-group', 'set-passphrase', group, '--passphrase-file', path)
    await coffer.coffer('storage-group', 'encryption', group, '--set', 'on', '--yes')
    await coffer.coffer('container', 'add', `of-${group}`, '--group', group)
    await writeFile(join(coffer.mount, `of-${group}`, 'file'), group)
    files[group] = `${group}=${path}`
  }
  await coffer.stop()
  return { coffer, a: files['a'] ?? '', b: files['b'] ?? '' }
}

const places = ({ store, mount, keystoreBackup, socket }: MountedCoffer): string[] =>
  ['store', store, 'mount', mount, 'keystore-backup', keystoreBackup, 'socket', socket].map(
    (word, index) => (index % 2 === 0 ? `--${word}` : word),
  )

const start = ({ launcher }: MountedCoffer, ...args: string[]) =>
  run('env', ['-u', 'NODE_OPTIONS', launcher, 'start', ...args])

const lockedOf = async (coffer: MountedCoffer): Promise<string[]> =>
  (await coffer.json<{ lockedGroups: string[] }>('status')).lockedGroups

t.test('one start unlocks several groups', { skip }, async t => {
  const { coffer, a, b } = await withGroups(t)
  await coffer.start('--passphrase-file', a, `--passphrase-file=${b}`, '--require-unlocked')
  t.strictSame(await lockedOf(coffer), [])
  for (const group of ['a', 'b']) {
    t.equal(await readFile(join(coffer.mount, `of-${group}`, 'file'), 'utf8'), group)
  }
})

t.test('files of no use lock their own groups, and nothing else', { skip }, async t => {
  const { coffer, a, b } = await withGroups(t)
  const wrong = join(coffer.base, 'wrong')
  const secret = 'not-the-passphrase'
  writeFileSync(wrong, secret)
  const bad = [`--passphrase-file=b=${wrong}`, `--passphrase-file=nowhere=${wrong}`]
  const all = [...places(coffer), '--passphrase-file', a, ...bad]
  await t.rejects(start(coffer, ...all, '--require-unlocked'), {
    code: 1,
    stderr: /group b was not .*wrong\. The passphrase is wrong\. .*group nowhere was not/,
  })
  const { stdout, stderr } = await start(coffer, ...all)
  t.match(stdout, /^The store is mounted on /)
  const sentence = `The storage group b was not unlocked with ${wrong}. The passphrase is wrong.`
  t.ok(stderr.startsWith(`coffer: warning: ${sentence}\ncoffer: warning: `))
  t.equal(stderr.split('\n').length, 3, 'one line each')
  t.strictSame(await lockedOf(coffer), ['b'])
  t.equal(await readFile(join(coffer.mount, 'of-a', 'file'), 'utf8'), 'a')
  await writeFile(join(coffer.mount, 'clear', 'file'), 'x')
  const { alerts } = await coffer.json<Alerts>('alerts', 'show')
  const failed = alerts.filter(({ code }) => code === 'UNLOCK_FAILED')
  t.match(failed, [{ subject: 'b', text: sentence }, { subject: 'nowhere' }])
  const log = await readFile(join(coffer.store, 'daemon.log'), 'utf8')
  t.ok(log.includes(`"code":"UNLOCK_FAILED"`) && log.includes(sentence))
  t.notMatch(log, secret)
  const [, right = ''] = b.split('=')
  await coffer.coffer('storage-group', 'unlock', 'b', '--passphrase-file', right)
  const left = (await coffer.json<Alerts>('alerts', 'show')).alerts.map(
    ({ code, subject }) => `${code} ${subject}`,
  )
  t.strictSame(left, ['UNLOCK_FAILED nowhere'], 'over with the unlock')
})

t.test('mount -t coffer has both options', { skip }, async t => {
  const { coffer, a } = await withGroups(t)
  const { store, mount, socket, keystoreBackup } = coffer
  const options = `keystore-backup=${keystoreBackup},socket=${socket},passphrase-file=${a}`
  const bad = `${options},passphrase-file=b=${coffer.base}/none`
  const required = run(HELPER, [store, mount, '-o', `${bad},require-unlocked`])
  await t.rejects(required, { code: 32, stderr: /group b .*none\. The file is missing/ })
  const { stderr } = await run(HELPER, [store, mount, '-o', bad])
  t.match(stderr, /^coffer: warning: .*group b .*none\. The file is missing/)
  t.strictSame(await lockedOf(coffer), ['b'])
})
