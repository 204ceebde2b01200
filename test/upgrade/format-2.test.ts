// A store of format 2, as an earlier version left it: clear and encrypted data, a rotated key, a mode change, deleted
// files, a block file that was known to be damaged by an alert alone. It opens, is upgraded once, and loses nothing.

import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { OpenStore, sha256 } from '../helpers/open-store.ts'

const FIXTURE = join('test', 'fixtures', 'format-2')

interface Manifest {
  readonly passphrase: string
  readonly group: string
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>
}

interface Teardown {
  teardown(handler: () => Promise<void>): void
}

async function unpacked(t: Teardown): Promise<{ directory: string; manifest: Manifest }> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-format-2-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  execFileSync('tar', ['xzf', join(FIXTURE, 'store.tar.gz'), '-C', directory])
  const manifest = JSON.parse(await readFile(join(FIXTURE, 'files.json'), 'utf8')) as Manifest
  return { directory, manifest }
}

async function opened(directory: string, { passphrase, group }: Manifest): Promise<OpenStore> {
  const store = await OpenStore.open(directory)
  const { encryption, groups } = store.storage
  await encryption.unlock(groups.named(group), Buffer.from(passphrase))
  return store
}

async function readsAll(store: OpenStore, { files }: Manifest): Promise<boolean> {
  for (const [path, { bytes, sha256: digest }] of Object.entries(files)) {
    const content = await store.read(path)
    if (content.length !== bytes || sha256(content) !== digest) return false
  }
  return true
}

t.test('a store of format 2 is upgraded, reads whole, and can be cleaned', async t => {
  const { directory, manifest } = await unpacked(t)
  const store = await opened(directory, manifest)
  t.equal(await readFile(join(directory, 'store', 'FORMAT'), 'utf8'), 'coffer store 3\n')
  t.ok(await readsAll(store, manifest))
  const [first] = store.storage.blockRecords()
  t.match(first, { block: 1, quarantine: 'Block file 1 is damaged (for the fixture).' })
  const codes = store.storage.alerting.events.select({ count: 100 }).map(({ code }) => code)
  t.ok(codes.includes('STORE_UPGRADED'))
  t.notOk(store.storage.alerts.isRaised('EVIDENCE_DISAGREES'))

  await store.storage.damage.look()
  t.equal([...store.storage.blockRecords()][0]?.quarantine, null, 'it reads well')
  const report = await store.storage.cleaner.start('manual').done
  t.equal(report.outcome, 'complete', report.text)
  t.ok(report.counts.encryptedBytes > 0, 'resealed after the mode change')
  t.ok(await readsAll(store, manifest))
  await store.close()

  const again = await opened(directory, manifest)
  t.ok(await readsAll(again, manifest))
  t.equal((await again.storage.cleaner.start('manual').done).outcome, 'complete')
  await again.close()
})

t.test('an upgrade that was cut off after its commit is done again', async t => {
  const { directory, manifest } = await unpacked(t)
  await (await opened(directory, manifest)).close()
  await writeFile(join(directory, 'store', 'FORMAT'), 'coffer store 2\n')
  const store = await opened(directory, manifest)
  t.equal(await readFile(join(directory, 'store', 'FORMAT'), 'utf8'), 'coffer store 3\n')
  t.ok(await readsAll(store, manifest))
  t.equal((await store.storage.cleaner.start('manual').done).outcome, 'complete')
  t.ok(await readsAll(store, manifest))
  await store.close()
})

t.test('a store of format 3 without the total of its block records is refused', async t => {
  const { directory, manifest } = await unpacked(t)
  await writeFile(join(directory, 'store', 'FORMAT'), 'coffer store 3\n')
  await t.rejects(opened(directory, manifest), { code: 'METADATA_DAMAGED' })
})
