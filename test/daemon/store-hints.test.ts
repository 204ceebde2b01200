// What fstab and units say about a path.

import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import {
  findHints,
  parseFstab,
  storesInUnit,
  unmountedAbove,
} from '../../src/daemon/store-hints.ts'

const FSTAB = `
# a comment
UUID=1 / ext4 defaults 0 1
UUID=2 none swap sw 0 0
UUID=3 /srv/disk\\040one ext4 nofail 0 2
/srv/a /backup coffer noauto 0 0
UUID=4 /srv/disk\\040one/inner/ xfs noauto
`

t.test('unmountedAbove finds mount points of fstab where nothing is mounted', async t => {
  const lines = parseFstab(FSTAB)
  const above = (path: string, ...mounted: string[]) =>
    unmountedAbove(path, lines, new Set(mounted))
  t.strictSame(above('/srv/disk one/store', '/'), ['/srv/disk one'])
  t.strictSame(above('/srv/disk one/inner/s', '/srv/disk one'), ['/srv/disk one/inner'])
  t.strictSame(above('/srv/disk one', '/'), ['/srv/disk one'])
  t.strictSame(above('/srv/disk ones', '/'), [])
  t.strictSame(above('/backup/x', '/'), [], 'a mount of coffer is no disk')
})

t.test('storesInUnit reads --store of ExecStart', async t => {
  const unit = (line: string) => storesInUnit(`[Service]\n${line}\n`, ['a', 'b'])
  t.strictSame(unit('ExecStart=/usr/local/bin/coffer run --store=/srv/%i --mount=/m'), [
    '/srv/a',
    '/srv/b',
  ])
  t.strictSame(unit('ExecStart=/usr/local/bin/coffer run --store "/x" --mount /m'), ['/x'])
  t.strictSame(unit('#ExecStart=coffer run --store /x'), [])
})

t.test('findHints looks at fstab, units, instances and drop-ins', async t => {
  const etc = await mkdtemp(join(tmpdir(), 'coffer-etc-'))
  t.teardown(() => rm(etc, { recursive: true, force: true }))
  const system = join(etc, 'systemd/system')
  const exec = (store: string) =>
    `[Service]\nExecStart=/bin/coffer run --store=${store} --mount=/m\n`
  t.match(await findHints(['/srv/a'], etc), { unmounted: undefined, namedBy: undefined })
  await mkdir(join(system, 'multi-user.target.wants'), { recursive: true })
  await mkdir(join(system, 'coffer@two.service.d'))
  await writeFile(join(system, 'coffer@.service'), exec('/srv/%i'))
  await writeFile(join(system, 'coffer@two.service.d', 'place.conf'), exec('/elsewhere/%i'))
  const wanted = join(system, 'multi-user.target.wants', 'coffer@one.service')
  await symlink(join(system, 'coffer@.service'), wanted)
  const namedBy = async (path: string) => (await findHints([path], etc)).namedBy
  t.equal(await namedBy('/srv/one'), join(system, 'coffer@.service'))
  t.equal(await namedBy('/elsewhere/two'), join(system, 'coffer@two.service.d/place.conf'))
  t.equal(await namedBy('/srv/three'), undefined)
  await writeFile(join(etc, 'fstab'), `/srv/a /backup coffer\nUUID=1 ${etc}/disk ext4\n`)
  t.equal(await namedBy('/srv/a'), join(etc, 'fstab'))
  t.equal((await findHints([join(etc, 'disk/store')], etc)).unmounted, join(etc, 'disk'))
})
