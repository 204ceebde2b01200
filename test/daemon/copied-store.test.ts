// A copy of a store is known as one while its original is there, and never otherwise.

import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import '../helpers/cheap-scrypt.ts'
import { checkNoCopy, settleIdentity } from '../../src/daemon/copied-store.ts'
import { openStoreDirectory } from '../../src/daemon/store-directory.ts'
import { backupFolder, formerIdentities, readIdentity } from '../../src/daemon/store-identity.ts'
import { StoreRegistry } from '../../src/daemon/store-registry.ts'
import { OpenStore } from '../helpers/open-store.ts'

async function withStore(t: Test) {
  const base = await mkdtemp(join(tmpdir(), 'coffer-copy-'))
  t.teardown(() => rm(base, { recursive: true, force: true }))
  const store = join(base, 'store')
  const registry = new StoreRegistry(join(base, 'kb'))
  const { identity } = await openStoreDirectory(store)
  await registry.remember(store, identity, new Date())
  return { base, store, registry, identity }
}

t.test('a copy beside its original is refused, with the original and the ways out', async t => {
  const { base, store, registry } = await withStore(t)
  const copy = join(base, 'copy')
  await cp(store, copy, { recursive: true })
  await t.rejects(checkNoCopy(copy, registry, 'ask'), {
    code: 'STORE_IS_A_COPY',
    message: new RegExp(`${store}.*--new-identity.*--moved`),
  })
  await checkNoCopy(store, registry, 'ask')
  await checkNoCopy(copy, registry, 'moved')
  await checkNoCopy(copy, registry, 'new-identity')
})

t.test('a store that was moved, or that has another name, is no copy', async t => {
  const { base, store, registry } = await withStore(t)
  const link = join(base, 'link')
  await symlink(store, link)
  await checkNoCopy(link, registry, 'ask')
  const moved = join(base, 'moved')
  await rename(store, moved)
  await checkNoCopy(moved, registry, 'ask')
  await mkdir(store)
  await checkNoCopy(moved, registry, 'ask')
  await writeFile(join(store, 'identity'), 'nonsense')
  await checkNoCopy(moved, registry, 'ask')
  // Restored onto another disk: the same path, another inode.
  await rm(store, { recursive: true })
  await cp(moved, store, { recursive: true })
  await rm(moved, { recursive: true })
  await checkNoCopy(store, registry, 'ask')
})

t.test('--new-identity acts once, and keeps what the store was', async t => {
  const { base, store, registry, identity } = await withStore(t)
  const copy = join(base, 'copy')
  await cp(store, copy, { recursive: true })
  const renewed = await settleIdentity(
    await openStoreDirectory(copy),
    copy,
    registry,
    'new-identity',
  )
  t.not(renewed.identity, identity)
  t.same(renewed.formerIdentities, [identity])
  t.equal(await readIdentity(copy), renewed.identity)
  await registry.remember(copy, renewed.identity, new Date())
  const again = await settleIdentity(await openStoreDirectory(copy), copy, registry, 'new-identity')
  t.equal(again.identity, renewed.identity)
  await checkNoCopy(copy, registry, 'ask')
  await checkNoCopy(store, registry, 'ask')
  const secret = new Uint8Array(32)
  const original = await openStoreDirectory(store)
  t.not(backupFolder('/kb', secret, renewed), backupFolder('/kb', secret, original))
  t.equal(backupFolder('/kb', secret, original), '/kb/28343283b26dffb2', 'as it always was')
  // Cut off between the two files: the identity is still the original's.
  await writeFile(join(copy, 'identity'), `${identity}\n`)
  t.same(await formerIdentities(copy), [])
})

t.test('--moved turns the registration around', async t => {
  const { base, store, registry, identity } = await withStore(t)
  const copy = join(base, 'copy')
  await cp(store, copy, { recursive: true })
  const directory = await settleIdentity(await openStoreDirectory(copy), copy, registry, 'moved')
  t.equal(directory.identity, identity)
  await registry.remember(copy, identity, new Date())
  await checkNoCopy(copy, registry, 'ask')
  await t.rejects(checkNoCopy(store, registry, 'ask'), { code: 'STORE_IS_A_COPY' })
  t.equal((await readdir(join(base, 'kb', 'stores'))).length, 1)
})

t.test('a lost identity is taken from the keystores', async t => {
  const base = await mkdtemp(join(tmpdir(), 'coffer-identity-'))
  t.teardown(() => rm(base, { recursive: true, force: true }))
  const passphrase = Buffer.from('correct horse')
  const store = await OpenStore.open(base)
  const group = store.storage.groups.named('DefaultGroup')
  await store.storage.encryption.setPassphrase(group, undefined, passphrase)
  await store.close()
  const path = join(base, 'store', 'identity')
  const identity = await readFile(path, 'utf8')
  for (const damage of [() => rm(path), () => writeFile(path, 'nonsense')]) {
    await damage()
    const again = await OpenStore.open(base)
    t.equal(await readFile(path, 'utf8'), identity)
    await again.storage.encryption.unlock(group, passphrase)
    await again.close()
  }
  const registry = new StoreRegistry(join(base, 'keystore-backup'))
  await registry.remember(join(base, 'store'), identity.trim(), new Date())
  const copy = join(base, 'copy')
  await cp(join(base, 'store'), copy, { recursive: true })
  await rm(join(copy, 'identity'))
  await t.rejects(checkNoCopy(copy, registry, 'ask'), { code: 'STORE_IS_A_COPY' })
})
