// A group that was ever encrypted never starts clear, whatever its keystores say; a keystore that is put back opens it.

import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import '../helpers/cheap-scrypt.ts'
import { packKeystore, parseKeystore } from '../../src/crypto/keystore-format.ts'
import { Secret } from '../../src/native/secret.ts'
import { OpenStore } from '../helpers/open-store.ts'
import { chunkKeyOf } from '../helpers/secrets.ts'

const PASSPHRASE = Buffer.from('correct horse')
const CONTENT = Buffer.alloc(90_000, 'under the first key')

/** A keystore without keys that says "off", as one can be made without the passphrase. */
function forgedOff(good: Buffer): Buffer {
  const { store = '', group, sequence, scrypt, salt } = parseKeystore(good)
  return packKeystore(
    { store, group, sequence: sequence + 5, sinceSeconds: 0, predecessors: [], scrypt, salt },
    {
      isOn: false,
      mode: 'internal',
      intervalDays: 30,
      epoch: 0,
      keys: [],
      chunkKey: chunkKeyOf(),
    },
    Secret.random(32),
  )
}

t.test('a forged "off" locks the group; a good copy put back opens it', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-evidence-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const store = await OpenStore.open(directory)
  const { id } = store.storage.groups.add('vault', 'fast')
  store.addContainer('v', 'vault')
  const { encryption, groups } = store.storage
  await store.storage.metadata.commit()
  await encryption.setPassphrase(groups.byId(id), undefined, PASSPHRASE)
  await encryption.set(groups.byId(id), { isOn: true })
  await store.write('v/f', CONTENT, true)
  await store.close()
  const backups = join(directory, 'keystore-backup')
  const folder = (await readdir(backups)).find(name => name !== 'stores') ?? ''
  const paths = [
    join(directory, 'store', 'keystores', `${id}.keystore`),
    join(backups, folder, `${id}.keystore`),
  ]
  const good = await readFile(paths[0] ?? '')
  const forged = forgedOff(good)
  const contents: [string, Buffer | undefined][] = [
    ['forged', forged],
    ['missing', undefined],
    ['nonsense', Buffer.from('nonsense')],
  ]
  for (const [name, bytes] of contents) {
    for (const path of paths) {
      await rm(path, { force: true })
      if (bytes !== undefined) await writeFile(path, bytes)
    }
    const again = await OpenStore.open(directory)
    const { alerts } = again.storage
    t.ok(again.storage.encryption.isLocked(id), `${name}: locked`)
    t.ok(alerts.isRaised('KEYSTORE_UNUSABLE', 'vault'), `${name}: and said so`)
    await t.rejects(again.read('v/f'), { code: 'ENOKEY' }, `${name}: not read`)
    await t.rejects(again.write('v/g', CONTENT, true), { code: 'ENOKEY' }, `${name}: not written`)
    await writeFile(paths[1] ?? '', good)
    await again.storage.encryption.unlock(again.storage.groups.byId(id), PASSPHRASE)
    t.ok((await again.read('v/f')).equals(CONTENT), `${name}: opened by the copy put back`)
    t.notOk(alerts.isRaised('KEYSTORE_UNUSABLE', 'vault'), `${name}: over`)
    for (const path of paths) t.same(await readFile(path), good, `${name}: in both places`)
    await again.close()
  }
})

t.test('a forged "on" takes no secrets from the metadata', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-evidence-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const store = await OpenStore.open(directory)
  const group = store.storage.groups.named('DefaultGroup')
  await store.storage.encryption.setPassphrase(group, undefined, PASSPHRASE)
  store.addContainer('c')
  await store.write('c/f', CONTENT, true)
  await store.close()
  const path = join(directory, 'store', 'keystores', `${group.id}.keystore`)
  const good = await readFile(path)
  const forged = Buffer.from(good)
  forged[24] = 1
  forged.set(createHash('sha256').update(forged.subarray(0, -32)).digest(), forged.length - 32)
  await writeFile(path, forged)
  const again = await OpenStore.open(directory)
  t.ok(again.storage.encryption.isLocked(group.id), 'locked: more is safe')
  t.ok(again.storage.groups.byId(group.id).hasSecrets)
  await again.storage.encryption.unlock(group, PASSPHRASE)
  t.notOk(again.storage.encryption.isLocked(group.id))
  t.ok((await again.read('c/f')).equals(CONTENT), 'clear, as it was')
  t.same(await readFile(path), good)
  await again.close()
})
