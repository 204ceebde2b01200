// Alerts end with what they are about: by deletion, over a restart, and also where they are only counted.

import '../helpers/cheap-scrypt.ts'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { controlTarget } from '../../src/daemon/control-target.ts'
import type { ControlTargetOptions } from '../../src/daemon/control-target.ts'
import { JobBoard } from '../../src/daemon/job-board.ts'
import { contentOf, OpenStore } from '../helpers/open-store.ts'

const NOBODY = { notify: () => false, gone: new AbortController().signal }

async function opened(t: Test) {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-ends-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return { directory, store: await OpenStore.open(directory) }
}

/** The control methods that need no mount. */
function methodsOf({ storage }: OpenStore) {
  const options: Partial<ControlTargetOptions> = {
    storage,
    now: () => new Date(),
    jobs: new JobBoard(() => 0),
    quotaBytesMin: 0,
  }
  return controlTarget(options as ControlTargetOptions)
}

const idsOf = ({ storage }: OpenStore): string[] =>
  storage.alerts
    .list()
    .map(({ code, subject }) => `${code} ${subject}`)
    .sort()

t.test('with a group and with a container', async t => {
  const { store } = await opened(t)
  const { alerts, groups } = store.storage
  const methods = methodsOf(store)
  groups.add('g', 'fast')
  store.addContainer('c')
  for (const code of ['QUOTA_REACHED', 'GROUP_LOCKED', 'KEY_LIMIT_NEAR'] as const) {
    alerts.raise(code, 'x', 'g')
  }
  alerts.raise('MASS_DELETE', 'x', 'c')
  await methods['storageGroup.delete']({ name: 'g' }, NOBODY)
  t.strictSame(idsOf(store), ['MASS_DELETE c'])
  await methods['container.delete']({ name: 'c', deleteFiles: false }, NOBODY)
  t.strictSame(idsOf(store), [])
  await store.close()
})

t.test('at a start: what is gone, and what is tried again', async t => {
  const { directory, store } = await opened(t)
  const { alerts } = store.storage
  alerts.raise('QUOTA_NEAR', 'x', 'gone')
  alerts.raise('QUOTA_NEAR', 'x', 'DefaultGroup')
  alerts.raise('MASS_DELETE', 'x', 'gone')
  for (const code of ['STORE_READ_ONLY', 'BACKGROUND_FAILURE', 'METRICS_UNAVAILABLE'] as const) {
    alerts.raise(code, 'x')
  }
  alerts.raise('KEY_ROTATION_FAILED', 'x')
  await store.close()
  const again = await OpenStore.open(directory)
  t.strictSame(idsOf(again), ['KEY_ROTATION_FAILED null', 'QUOTA_NEAR DefaultGroup'])
  await again.close()
})

t.test('the commit note that could not be written', async t => {
  const { store } = await opened(t)
  store.storage.alerts.raise('COMMIT_NOTE', 'x')
  store.addContainer('a')
  await store.sync()
  t.strictSame(idsOf(store), [], 'is written by the next commit')
  await store.close()
})

t.test('with a file that lacks data, once it is gone for good', async t => {
  const { store } = await opened(t)
  store.addContainer('a')
  await store.write('a/file', contentOf(1, 1000))
  const inode = store.storage.vfs.lookup(store.storage.vfs.containerByName('a').root, 'file')
  const number = inode?.attributes.inode ?? 0
  store.storage.vfs.forget(number, 1)
  store.storage.alerts.raise('DATA_LOST', 'x', String(number))
  const { close } = await store.openHandle('a/file')
  store.remove('a/file')
  await store.storage.damage.look()
  t.strictSame(idsOf(store), [`DATA_LOST ${number}`], 'it is open, and may get a name again')
  close()
  await store.sync()
  await store.storage.vfs.deletionsDone()
  await store.storage.damage.look()
  t.strictSame(idsOf(store), [])
  await store.close()
})

t.test('a look at damage reaches alerts that are only counted', async t => {
  const { store } = await opened(t)
  const { alerts, damage } = store.storage
  for (let number = 0; number < 250; number++) {
    alerts.raise('DAMAGED_FILE', 'x', String(1_000_000 + number))
    alerts.raise('DAMAGED_BLOCK', 'x', String(1_000_000 + number))
  }
  await damage.look()
  t.notOk(alerts.isAnyRaised('DAMAGED_FILE'))
  t.notOk(alerts.isAnyRaised('DAMAGED_BLOCK'))
  await store.close()
})

t.test('alerts.acknowledge is durable', async t => {
  const { directory, store } = await opened(t)
  store.storage.alerts.raise('QUOTA_NEAR', 'x', 'DefaultGroup')
  const params = { code: 'QUOTA_NEAR', subject: 'DefaultGroup', note: 'I know' }
  await methodsOf(store)['alerts.acknowledge'](params, NOBODY)
  await store.storage.metadata.abandon()
  await store.close().catch(() => undefined)
  const again = await OpenStore.open(directory)
  const { alerts } = await methodsOf(again)['alerts.show']({}, NOBODY)
  t.match(
    alerts.find(({ code }) => code === 'QUOTA_NEAR'),
    { note: 'I know', acknowledgedAt: /^20/ },
  )
  await again.close()
})

t.test(
  'with the keys that the cleaner retires, and with a keystore that is whole again',
  async t => {
    const { directory, store } = await opened(t)
    const { alerts, encryption, groups } = store.storage
    const group = groups.named('DefaultGroup')
    await encryption.setPassphrase(group, undefined, Buffer.from('a passphrase'))
    await encryption.set(group, { isOn: true })
    await encryption.rotate(group)
    for (const code of ['KEY_LIMIT_NEAR', 'KEY_LIMIT_REACHED', 'KEYSTORE_DAMAGED'] as const) {
      alerts.raise(code, 'x', group.name)
    }
    t.equal((await encryption.retireUnusedKeys(group.id)).length, 1)
    t.notOk(alerts.isRaised('KEY_LIMIT_NEAR', group.name))
    t.notOk(alerts.isRaised('KEY_LIMIT_REACHED', group.name))
    alerts.raise('KEYSTORE_DAMAGED', 'x', group.name)
    await store.close()

    const keystores = join(directory, 'store', 'keystores')
    for (const name of await readdir(keystores)) await rm(join(keystores, name))
    const again = await OpenStore.open(directory)
    t.strictSame(
      idsOf(again).filter(id => id.startsWith('KEYSTORE')),
      ['KEYSTORE_DAMAGED DefaultGroup'],
    )
    await again.storage.encryption.unlock(
      again.storage.groups.named('DefaultGroup'),
      Buffer.from('a passphrase'),
    )
    t.strictSame(
      idsOf(again).filter(id => id.startsWith('KEYSTORE')),
      ['KEYSTORE_REPAIRED DefaultGroup'],
    )
    await again.close()
  },
)
