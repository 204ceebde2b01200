// A lock beside changes of the keys: the group is locked afterwards, its data is whole, and nothing is taken for damage. And a
// change of the passphrase of a locked group doesn't open it for a moment.

import '../helpers/cheap-scrypt.ts'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { contentOf, OpenStore } from '../helpers/open-store.ts'

const PASSPHRASE = Buffer.from('correct horse')
const ROUNDS = 24

async function newStore(t: { teardown(done: () => Promise<void>): void }): Promise<OpenStore> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-lock-'))
  const store = await OpenStore.open(directory)
  t.teardown(async () => {
    await store.close()
    await rm(directory, { recursive: true, force: true })
  })
  const { encryption, groups } = store.storage
  groups.add('vault', 'none')
  store.addContainer('v', 'vault')
  await encryption.setPassphrase(groups.named('vault'), undefined, PASSPHRASE)
  await encryption.set(groups.named('vault'), { isOn: true })
  return store
}

t.test('a lock waits for the change that is under way', async t => {
  const store = await newStore(t)
  const { alerts, encryption, groups } = store.storage
  const content = contentOf(1, 700_000)
  await store.write('v/f', content, true)
  const vault = () => groups.named('vault')
  const changes = [
    () => encryption.rotate(vault()),
    () => encryption.setPassphrase(vault(), PASSPHRASE, PASSPHRASE),
    () => encryption.retireUnusedKeys(vault().id),
  ]
  for (let round = 0; round < ROUNDS; round++) {
    const change = changes[round % changes.length]
    const locked = encryption.lock(vault())
    await delay(Math.floor(round / changes.length))
    // One that comes after the lock is refused.
    await change?.().catch(() => undefined)
    await locked
    t.ok(encryption.isLocked(vault().id), `round ${round}`)
    await t.rejects(store.read('v/f'), { code: 'ENOKEY' })
    await encryption.unlock(vault(), PASSPHRASE)
    t.ok((await store.read('v/f')).equals(content))
  }
  const codes = alerts.list().map(({ code }) => code)
  t.strictSame(
    codes.filter(code => /DAMAGED|LOST/.test(code)),
    [],
  )
})

t.test('a locked group stays locked while its passphrase is changed', async t => {
  const store = await newStore(t)
  const { encryption, groups } = store.storage
  const vault = () => groups.named('vault')
  await encryption.lock(vault())
  let isEnded = false
  const changed = encryption.setPassphrase(vault(), PASSPHRASE, Buffer.from('next')).finally(() => {
    isEnded = true
  })
  let looks = 0
  let opened = 0
  while (!isEnded) {
    looks++
    if (!encryption.isLocked(vault().id)) opened++
    await new Promise(setImmediate)
  }
  await changed
  t.ok(looks > 5)
  t.equal(opened, 0)
  await encryption.unlock(vault(), Buffer.from('next'))
})
