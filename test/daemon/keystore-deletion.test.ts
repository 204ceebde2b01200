// A deleted group's keystores are overwritten in both places, also after a crash; those of others stay.

import { createHash } from 'node:crypto'
import { copyFile, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import '../helpers/cheap-scrypt.ts'
import { parseKeystore } from '../../src/crypto/keystore-format.ts'
import { OpenStore } from '../helpers/open-store.ts'

const PASSPHRASE = Buffer.from('correct horse')
const OTHER_STORE = 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff'

async function newDirectory(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-deletion-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

async function addVault(store: OpenStore): Promise<number> {
  const { groups, encryption, metadata } = store.storage
  const group = groups.add('vault', 'fast')
  await metadata.commit()
  await encryption.setPassphrase(group, undefined, PASSPHRASE)
  await encryption.set(group, { isOn: true })
  return group.id
}

/** Both places. */
async function placesOf(directory: string): Promise<string[]> {
  const backups = join(directory, 'keystore-backup')
  const folder = (await readdir(backups)).find(name => name !== 'stores') ?? ''
  return [join(directory, 'store', 'keystores'), join(backups, folder)]
}

async function namesIn(directory: string): Promise<string[]> {
  const lists = (await placesOf(directory)).map(place => readdir(place))
  return (await Promise.all(lists)).flat().toSorted()
}

async function deleteVault(store: OpenStore, id: number): Promise<void> {
  const { groups, encryption, metadata } = store.storage
  groups.delete('vault')
  encryption.groupDeleted(id)
  await metadata.commit()
}

t.test('the keystores of a deleted group are overwritten and removed', async t => {
  const directory = await newDirectory(t)
  const store = await OpenStore.open(directory)
  const id = await addVault(store)
  const places = await placesOf(directory)
  for (const place of places) {
    await copyFile(join(place, `${id}.keystore`), join(place, `${id}.keystore.previous`))
    await copyFile(join(place, `${id}.keystore`), join(place, `${id}.keystore.aside-9-00112233`))
    await writeFile(join(place, `${id}.keystore.damaged-00112233`), 'damaged')
  }
  t.equal((await namesIn(directory)).length, 8)
  const files = await Promise.all(places.map(place => open(join(place, `${id}.keystore`))))
  const { size } = (await files[0]?.stat()) ?? { size: 0 }
  await deleteVault(store, id)
  await store.storage.encryption.eraseDeleted()
  t.same(await namesIn(directory), [])
  for (const file of files) {
    const { buffer } = await file.read(Buffer.alloc(size), 0, size, 0)
    t.ok(buffer.equals(Buffer.alloc(size)), 'its bytes are zeros')
    await file.close()
  }
  await store.close()
})

t.test(
  'a start finishes an erasure that was cut off, and leaves the keystores of others',
  async t => {
    const directory = await newDirectory(t)
    const store = await OpenStore.open(directory)
    const id = await addVault(store)
    const [primary = '', backup = ''] = await placesOf(directory)
    const own = await readFile(join(primary, `${id}.keystore`))
    await deleteVault(store, id)
    await store.close()
    const foreign = Buffer.from(own)
    foreign.write(OTHER_STORE, 96, 'hex')
    foreign.set(createHash('sha256').update(foreign.subarray(0, -32)).digest(), foreign.length - 32)
    t.equal(parseKeystore(foreign).store, OTHER_STORE)
    await writeFile(join(backup, `${id}.keystore.aside-2-00112233`), foreign)
    await writeFile(join(primary, `${id + 1}.keystore`), own)
    await writeFile(join(primary, `${id - 1}.keystore`), own)

    const again = await OpenStore.open(directory)
    const names = await namesIn(directory)
    t.equal(names.length, 3)
    t.equal(names[0], `${id - 1}.keystore`, 'of a group that is there: an unlock decides')
    t.equal(names[1], `${id}.keystore.aside-2-00112233`, "another store's")
    t.match(names[2], /^3\.keystore\.aside-2-/, 'of a group that never was')
    t.match(
      again.storage.alerts.list().find(({ code }) => code === 'KEYSTORE_ASIDE'),
      { text: /never were.*3\.keystore\.aside-2-/ },
    )
    await again.close()
  },
)
