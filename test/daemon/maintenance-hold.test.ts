// A hold keeps the trash whatever its age, over restarts too, and ends the passes that nobody asked for.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { MaintenanceHold } from '../../src/daemon/maintenance-hold.ts'
import { contentOf, OpenStore } from '../helpers/open-store.ts'

const KEEP_SECONDS = 100

t.test('MaintenanceHold keeps the trash over restarts, until it ends', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-hold-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  let seconds = 1_800_000_000
  const open = () =>
    OpenStore.open(directory, { now: () => seconds, trash: { keepSeconds: KEEP_SECONDS } })
  const store = await open()
  store.addContainer('a')
  await store.write('a/file', contentOf(1, 1_000_000), true)
  store.remove('a/file')
  await store.storage.vfs.deletionsDone()
  t.equal((await store.storage.cleaner.start('manual').done).outcome, 'complete')
  t.equal(store.storage.trash.content.files, 1)
  await store.storage.hold.begin(store.storage.cleaner)
  seconds += 2 * KEEP_SECONDS
  await store.storage.tickTrash()
  t.equal(store.storage.trash.content.files, 1, 'it is older than files are kept')
  await store.close()

  const next = await open()
  t.match(next.storage.hold.state, { isHeld: true, sinceSeconds: seconds - 2 * KEEP_SECONDS })
  t.match(next.storage.alerts.list(), [{ code: 'MAINTENANCE_HELD', severity: 'info' }])
  // Nothing is deleted before the metadata has been verified.
  while (next.storage.trash.heldBecause !== undefined) await sleep(5)
  await next.storage.tickTrash()
  t.equal(next.storage.trash.content.files, 1)
  next.storage.hold.end()
  await next.storage.tickTrash()
  t.equal(next.storage.trash.content.files, 0)
  t.same(next.storage.alerts.list(), [])
  await next.close()
})

t.test('MaintenanceHold ends passes that were not asked for, and no others', async t => {
  for (const [kind, isEnded] of [
    ['idle', true],
    ['scheduled', true],
    ['manual', false],
    ['forced', false],
  ] as const) {
    let isStopped = false
    const hold = new MaintenanceHold({
      raise: () => undefined,
      clear: () => undefined,
      isRaised: () => true,
      ofCode: () => [],
    })
    const running = { report: { kind } }
    await hold.begin({
      running,
      stop: async () => {
        isStopped = true
        return undefined
      },
    } as unknown as Parameters<MaintenanceHold['begin']>[0])
    t.equal(isStopped, isEnded, kind)
  }
})
