// A copy of a store that is started beside its original, as a restore drill does: refused until it has an identity of its
// own, and then neither takes a key from the other.

import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { MountedCoffer, mountSkipReason, startedCoffer, tool } from '../helpers/mounted.ts'

const skip = mountSkipReason

t.test('a copy beside the original: both rotate, both still open', { skip }, async t => {
  const original = await startedCoffer(t)
  const passphrase = join(original.base, 'passphrase')
  writeFileSync(passphrase, 'correct horse\n')
  const secret = ['--passphrase-file', passphrase]
  await original.coffer('storage-group', 'add', 'vault')
  await original.coffer('storage-group', 'set-passphrase', 'vault', ...secret)
  await original.coffer('storage-group', 'encryption', 'vault', '--set', 'on', '--yes')
  await original.coffer('container', 'add', 'safe', '--group', 'vault')
  const content = randomBytes(100_000)
  await writeFile(join(original.mount, 'safe', 'before'), content)
  await original.stop()

  const copy = new MountedCoffer()
  t.teardown(() => copy.remove())
  await tool('cp', '-a', original.store, copy.store)
  const unlock = ['--passphrase-file', `vault=${passphrase}`]
  const beside = ['--keystore-backup', original.keystoreBackup, ...unlock]
  await t.rejects(copy.start(...beside), {
    message: new RegExp(`is a copy of the store in ${original.store}.*--new-identity`),
  })
  await original.start(...unlock)
  await copy.start(...beside, '--new-identity')

  const sides = [original, copy]
  for (const side of sides) {
    t.ok((await readFile(join(side.mount, 'safe', 'before'))).equals(content))
    await side.coffer('storage-group', 'rotate-key', 'vault')
    await writeFile(join(side.mount, 'safe', 'after'), content)
    await tool('sync', join(side.mount, 'safe', 'after'))
  }
  await original.stop()
  await copy.stop()
  await original.start(...unlock)
  await copy.start(...beside, '--new-identity')
  for (const side of sides) {
    for (const name of ['before', 'after']) {
      t.ok((await readFile(join(side.mount, 'safe', name))).equals(content), name)
    }
    const { alerts } = await side.json<{ alerts: { code: string }[] }>('alerts', 'show')
    t.notOk(alerts.some(({ code }) => code.startsWith('KEYSTORE')))
  }
})
