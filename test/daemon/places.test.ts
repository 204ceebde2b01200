// Which places of a start clash, by path, by symbolic link, and by being the same directory.

import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { checkPlaces, findConflict, resolvePath, type Place } from '../../src/daemon/places.ts'

/** A place that doesn't exist, or one with these ids: its own first, then those above. */
function place(path: string, ...ids: string[]): Place {
  return { path, id: ids[0], ids: new Set(ids) }
}

const GOOD = {
  store: '/srv/store',
  mount: '/mnt/coffer',
  keystoreBackup: '/var/lib/coffer/keystore-backup',
  socket: '/run/coffer/coffer.sock',
  metricsSocket: '/run/coffer/metrics.sock',
}

const TABLE: readonly [title: string, changed: Partial<typeof GOOD>, code: string | undefined][] = [
  ['all apart', {}, undefined],
  [
    'names that begin alike',
    { mount: '/srv/store2', keystoreBackup: '/srv/store-keys' },
    undefined,
  ],
  ['the mount over the store', { mount: '/srv/store' }, 'MOUNT_POINT'],
  ['the store below the mount', { mount: '/srv' }, 'MOUNT_POINT'],
  ['the mount over the root', { mount: '/' }, 'MOUNT_POINT'],
  ['the mount in the store', { mount: '/srv/store/mnt' }, 'MOUNT_POINT'],
  ['the mount over block files', { mount: '/srv/store/blocks/1' }, 'MOUNT_POINT'],
  ['the backup is the store', { keystoreBackup: '/srv/store' }, 'KEYSTORE_BACKUP_PLACE'],
  ['the backup in the store', { keystoreBackup: '/srv/store/kb' }, 'KEYSTORE_BACKUP_PLACE'],
  ['the backup is the mount', { keystoreBackup: '/mnt/coffer' }, 'KEYSTORE_BACKUP_PLACE'],
  ['the backup below the mount', { keystoreBackup: '/mnt/coffer/c/kb' }, 'KEYSTORE_BACKUP_PLACE'],
  ['the backup above the store', { keystoreBackup: '/srv' }, undefined],
  ['the control socket below the mount', { socket: '/mnt/coffer/sock' }, 'SOCKET_PLACE'],
  ['the metrics socket below the mount', { metricsSocket: '/mnt/coffer/m' }, 'SOCKET_PLACE'],
]

for (const [title, changed, code] of TABLE) {
  t.test(`findConflict: ${title}`, async t => {
    const paths = { ...GOOD, ...changed }
    const conflict = findConflict({
      store: place(paths.store),
      mount: place(paths.mount),
      keystoreBackup: place(paths.keystoreBackup),
      keystores: place(`${paths.store}/keystores`),
      socket: place(paths.socket),
      metricsSocket: place(paths.metricsSocket),
    })
    t.equal(conflict?.code, code)
  })
}

t.test('findConflict sees one directory under two paths', async t => {
  const store = place('/srv/store', '8:5', '8:2')
  const keystores = place('/srv/store/keystores', '8:9', '8:5', '8:2')
  const mount = place('/mnt/coffer', '8:7', '8:2')
  const rest = { store, keystores, mount, socket: place('/run/s'), metricsSocket: undefined }
  const codeOf = (keystoreBackup: Place) => findConflict({ ...rest, keystoreBackup })?.code
  t.equal(codeOf(place('/bound', '8:5', '8:2')), 'KEYSTORE_BACKUP_PLACE', 'the store itself')
  t.equal(codeOf(place('/keys', '8:9', '8:2')), 'KEYSTORE_BACKUP_PLACE', 'its keystores')
  const missing: Place = { path: '/bound/new', id: undefined, ids: new Set(['8:5', '8:2']) }
  t.equal(codeOf(missing), 'KEYSTORE_BACKUP_PLACE', 'to be made in the store')
  t.equal(codeOf(place('/keys', '8:11', '8:2')), undefined)
})

t.test('checkPlaces follows symbolic links and makes nothing', async t => {
  const base = await mkdtemp(join(tmpdir(), 'coffer-places-'))
  t.teardown(() => rm(base, { recursive: true, force: true }))
  await mkdir(join(base, 'store'))
  await symlink(join(base, 'store'), join(base, 'link'))
  const options = {
    store: join(base, 'store'),
    mount: join(base, 'mnt'),
    socket: join(base, 'sock'),
    allowOther: false,
  }
  const backup = join(base, 'link', 'not', 'there', 'yet')
  t.equal(await resolvePath(backup), join(await resolvePath(base), 'store/not/there/yet'))
  await t.rejects(checkPlaces(options, backup), { code: 'KEYSTORE_BACKUP_PLACE' })
  await t.rejects(checkPlaces({ ...options, mount: join(base, 'link') }, join(base, 'kb')), {
    code: 'MOUNT_POINT',
  })
  await checkPlaces(options, join(base, 'kb'))
  await writeFile(join(base, 'plain'), '')
  await checkPlaces({ ...options, mount: join(base, 'plain', 'mnt') }, join(base, 'kb'))
})
