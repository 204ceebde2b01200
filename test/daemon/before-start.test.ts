// When a start may make a store: what the directory holds, what is known of its path, what was asked for.

import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { checkBeforeStart, findRefusal, type Findings } from '../../src/daemon/before-start.ts'
import type { CreationMode } from '../../src/daemon/contract.ts'
import { openStoreDirectory } from '../../src/daemon/store-directory.ts'
import { StoreRegistry } from '../../src/daemon/store-registry.ts'
import { storeStateOf } from '../../src/daemon/store-state.ts'

const IDENTITY = '0123456789abcdef0123456789abcdef'
const known = { file: '/kb/stores/x.json', firstSeen: '2026-01-02T03:04:05.000Z' }
const NO_HINTS = { unmounted: undefined, namedBy: undefined }
const MODES: readonly CreationMode[] = ['create', 'if-new', 'never']
const fresh: Findings = { path: '/s', state: 'absent', known: undefined, hints: NO_HINTS }

/** For each mode: the refusal's code, or undefined. */
const TABLE: readonly [title: string, findings: Findings, ...codes: (string | undefined)[]][] = [
  ['nothing there', fresh, undefined, undefined, 'NOT_A_STORE'],
  ['half-made', { ...fresh, state: 'unfinished' }, undefined, undefined, 'NOT_A_STORE'],
  ['made but for its database', { ...fresh, state: 'begun' }, undefined, undefined, undefined],
  ['known', { ...fresh, known }, 'STORE_MISSING', 'STORE_MISSING', 'STORE_MISSING'],
  [
    'known, and begun',
    { ...fresh, known, state: 'begun' },
    'STORE_MISSING',
    'STORE_MISSING',
    'STORE_MISSING',
  ],
  [
    'its disk is in fstab and not mounted',
    { ...fresh, hints: { ...NO_HINTS, unmounted: '/srv' } },
    'STORE_MISSING',
    'STORE_MISSING',
    'STORE_MISSING',
  ],
  [
    'a unit names it',
    { ...fresh, hints: { ...NO_HINTS, namedBy: '/etc/systemd/system/coffer@.service' } },
    undefined,
    'NOT_A_STORE',
    'NOT_A_STORE',
  ],
]

for (const [title, findings, ...codes] of TABLE) {
  t.test(`findRefusal: ${title}`, async t => {
    t.strictSame(
      MODES.map(mode => findRefusal(findings, mode)?.code),
      codes,
    )
  })
}

t.test('findRefusal says what to do', async t => {
  const words = (findings: Findings, mode: CreationMode) => findRefusal(findings, mode)?.message
  t.match(words({ ...fresh, known }, 'create'), /remove \/kb\/stores\/x\.json, then .*--create/)
  t.match(words(fresh, 'never'), /--create/)
  t.match(words({ ...fresh, hints: { ...NO_HINTS, unmounted: '/srv' } }, 'create'), / \/srv,/)
})

async function makeBase(t: Test): Promise<string> {
  const base = await mkdtemp(join(tmpdir(), 'coffer-before-'))
  t.teardown(() => rm(base, { recursive: true, force: true }))
  return base
}

t.test('storeStateOf tells a store from what is none', async t => {
  const base = await makeBase(t)
  const store = join(base, 'store')
  t.equal(await storeStateOf(store), 'absent')
  await mkdir(join(store, 'lost+found'), { recursive: true })
  await writeFile(join(store, 'daemon.log'), 'x')
  t.equal(await storeStateOf(store), 'absent')
  await mkdir(join(store, 'metadata'))
  await writeFile(join(store, 'identity'), 'x')
  t.equal(await storeStateOf(store), 'unfinished')
  await writeFile(join(store, 'FORMAT'), 'coffer store 2\n')
  t.equal(await storeStateOf(store), 'begun')
  await writeFile(join(store, 'metadata', 'CURRENT'), '')
  t.equal(await storeStateOf(store), 'store')
  await rm(join(store, 'FORMAT'))
  t.equal(await storeStateOf(store), 'headless')
  await writeFile(join(store, 'holiday.jpg'), '')
  t.equal(await storeStateOf(store), 'foreign')
  await t.rejects(storeStateOf(join(store, 'holiday.jpg')), { code: 'NOT_A_STORE' })
})

t.test('checkBeforeStart: a path that was a store is never made anew', async t => {
  const base = await makeBase(t)
  const store = join(base, 'disk', 'store')
  const backup = join(base, 'kb')
  const options = {
    store,
    mount: join(base, 'mnt'),
    socket: join(base, 'sock'),
    allowOther: false,
    keystoreBackup: backup,
  }
  t.equal(await checkBeforeStart(options, 'if-new'), true)
  await t.rejects(checkBeforeStart(options, 'never'), { code: 'NOT_A_STORE', message: /--create/ })
  t.same(await readdir(base), [], 'nothing was made')
  await new StoreRegistry(backup).remember(store, IDENTITY, new Date())
  for (const mode of MODES) {
    await t.rejects(checkBeforeStart(options, mode), {
      code: 'STORE_MISSING',
      message: /kb.stores/,
    })
  }
  const [file = ''] = await readdir(join(backup, 'stores'))
  await writeFile(join(backup, 'stores', file), 'damaged')
  await t.rejects(checkBeforeStart(options, 'create'), { code: 'STORE_MISSING' }, 'damaged counts')
  await rm(join(backup, 'stores', file))
  t.equal(await checkBeforeStart(options, 'create'), true)
})

t.test('StoreRegistry knows a store by the path it was given and by the real one', async t => {
  const base = await makeBase(t)
  await mkdir(join(base, 'disk', 'store'), { recursive: true })
  await symlink(join(base, 'disk', 'store'), join(base, 'disk', 'link'))
  const registry = new StoreRegistry(join(base, 'kb'))
  await registry.remember(join(base, 'disk', 'link'), IDENTITY, new Date(0))
  await rm(join(base, 'disk'), { recursive: true })
  for (const name of ['link', 'store']) {
    const found = await registry.find(join(base, 'disk', name))
    t.equal(found?.firstSeen, '1970-01-01T00:00:00.000Z', name)
  }
  t.equal(await registry.find(join(base, 'disk', 'other')), undefined)
})

t.test('the identity is made once, and anew when it is damaged', async t => {
  const store = join(await makeBase(t), 'store')
  const { identity } = await openStoreDirectory(store)
  t.match(identity, /^[0-9a-f]{32}$/)
  t.equal((await openStoreDirectory(store)).identity, identity)
  await writeFile(join(store, 'identity'), '')
  t.match((await openStoreDirectory(store)).identity, /^[0-9a-f]{32}$/)
  await rm(join(store, 'identity'))
  t.match((await openStoreDirectory(store)).identity, /^[0-9a-f]{32}$/, 'a store of older days')
  await rm(join(store, 'identity'))
  await symlink('/etc/hostname', join(store, 'identity'))
  await t.rejects(openStoreDirectory(store), { code: 'FOREIGN_FILE' })
})
