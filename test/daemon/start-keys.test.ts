// A start unlocks several groups; a credential that is of no use keeps its own group locked and nothing else.

import '../helpers/cheap-scrypt.ts'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { unlockFromFiles } from '../../src/daemon/start-keys.ts'
import { OpenStore } from '../helpers/open-store.ts'

/** A store of which all groups with these names are encrypted, just started; the passphrase of each is `NAME's`. */
async function withGroups(t: Test, ...names: string[]) {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-start-keys-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const first = await OpenStore.open(directory)
  for (const name of names) {
    const group = first.storage.groups.add(name, 'fast')
    await first.storage.encryption.setPassphrase(group, undefined, Buffer.from(`${name}'s`))
    await first.storage.encryption.set(group, { isOn: true })
  }
  await first.close()
  const file = (name: string, content: string | Buffer): string => {
    const path = join(directory, name)
    writeFileSync(path, content)
    return path
  }
  return { directory, file, store: await OpenStore.open(directory) }
}

const lockedOf = ({ storage }: OpenStore): string[] =>
  storage.encryption.lockedGroups().map(({ name }) => name)
const failuresOf = ({ storage }: OpenStore) =>
  storage.alerts.ofCode('UNLOCK_FAILED').map(({ subject, text }) => ({ subject, text }))

t.test('unlockFromFiles opens each group with its own file', async t => {
  const { file, store } = await withGroups(t, 'a', 'b', 'c')
  const files = ['a', 'b'].map(group => ({ group, path: file(group, `${group}'s\r\nrest`) }))
  t.strictSame(await unlockFromFiles(store.storage, files, true), [])
  t.strictSame(lockedOf(store), ['c'])
  t.strictSame(failuresOf(store), [], 'a group without a file is no failure')
  await store.close()
})

t.test('unlockFromFiles goes on after a credential of no use', async t => {
  const { directory, file, store } = await withGroups(t, 'a', 'b')
  const pipe = join(directory, 'pipe')
  execFileSync('mkfifo', [pipe])
  const loop = join(directory, 'loop')
  symlinkSync(loop, loop)
  mkdirSync(join(directory, 'folder'))
  const secret = 'Sesame, open'
  const table: [group: string, path: string, reason: RegExp][] = [
    ['a', file('wrong', secret), /The passphrase is wrong\.$/],
    ['a', join(directory, 'none'), /The file is missing\.$/],
    ['a', join(directory, 'wrong', 'below'), /The file is missing\.$/],
    ['a', directory, /no regular file/],
    ['a', pipe, /no regular file/],
    ['a', '/dev/zero', /no regular file/],
    ['a', loop, /symbolic links/],
    ['a', file('empty', ''), /first line is empty/],
    ['a', file('first-empty', `\n${secret}`), /first line is empty/],
    ['a', file('long', secret.repeat(1000)), /more than 255 bytes/],
    ['a', file('binary', Buffer.from([0x66, 0xff])), /valid UTF-8/],
    ['nowhere', file('good', "a's"), /There is no storage group nowhere\.$/],
    ['DefaultGroup', file('good', "a's"), /has no passphrase/],
  ]
  const { storage } = store
  for (const [group, path, reason] of table) {
    const files = [
      { group, path },
      { group: 'b', path: file('of-b', "b's") },
    ]
    const [warning = '', ...others] = await unlockFromFiles(storage, files, false)
    t.strictSame(others, [])
    t.match(warning, reason)
    t.ok(warning.startsWith(`The storage group ${group} was not unlocked with ${path}. `), path)
    t.notMatch(warning, secret, 'the passphrase is told nowhere')
    t.strictSame(failuresOf(store), [{ subject: group, text: warning }], 'one alert, of this start')
    t.strictSame(lockedOf(store), ['a'], 'the other group is open')
    await storage.encryption.lock(storage.groups.named('b'))
    const required = unlockFromFiles(storage, files, true)
    await t.rejects(required, { code: 'UNLOCK_FAILED', message: warning })
    await storage.encryption.lock(storage.groups.named('b'))
  }
  const files = [{ group: 'a', path: file('good', "a's") }]
  t.strictSame(await unlockFromFiles(storage, files, true), [], 'no attempts were used up')
  t.strictSame(failuresOf(store), [])
  await store.close()
})

const skip = process.getuid?.() === 0 && 'root may read everything'

t.test('a file that may not be read', { skip }, async t => {
  const { file, store } = await withGroups(t, 'a')
  const path = file('closed', "a's")
  chmodSync(path, 0)
  const warnings = await unlockFromFiles(store.storage, [{ group: 'a', path }], false)
  t.match(warnings, [/may not be read/])
  await store.close()
})

t.test('files of one group are alternatives', async t => {
  const { file, store } = await withGroups(t, 'a')
  const wrong = [1, 2].map(number => ({ group: 'a', path: file(`wrong-${number}`, 'no') }))
  const right = { group: 'a', path: file('right', "a's") }
  t.strictSame(await unlockFromFiles(store.storage, [...wrong, right], true), [])
  t.strictSame(lockedOf(store), [])
  await store.storage.encryption.lock(store.storage.groups.named('a'))
  const warnings = await unlockFromFiles(store.storage, wrong, false)
  t.match(warnings, [/wrong-1\. .*wrong-2\. /], 'one warning names all')
  await store.close()
})

t.test('UNLOCK_FAILED ends with the unlock, and is logged at each start', async t => {
  const { directory, file, store } = await withGroups(t, 'a', 'b')
  const files = [
    { group: 'a', path: file('wrong', 'no') },
    { group: 'b', path: join(directory, 'none') },
  ]
  await unlockFromFiles(store.storage, files, false)
  await store.close()
  const again = await OpenStore.open(directory)
  const { encryption, groups, alerting } = again.storage
  t.equal(failuresOf(again).length, 2, 'they outlive the daemon')
  await unlockFromFiles(again.storage, files, false)
  const events = alerting.events.select({ count: 100 })
  const ofA = events.filter(({ code, text }) => code === 'UNLOCK_FAILED' && / a was/.test(text))
  t.equal(ofA.length, 2)
  await encryption.unlock(groups.named('a'), Buffer.from("a's"))
  t.match(failuresOf(again), [{ subject: 'b' }])
  await unlockFromFiles(again.storage, [], false)
  t.strictSame(failuresOf(again), [], 'nothing was tried at this start')
  await again.close()
})
