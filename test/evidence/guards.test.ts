// Guards that stand between a wrong record and a deletion: each has a test that fails without it.

import '../helpers/cheap-scrypt.ts'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { PassParts } from '../../src/cleaner/index.ts'
import { MetadataHealth } from '../../src/daemon/metadata-health.ts'
import { SpaceGuard } from '../../src/daemon/space-guard.ts'
import { StoreError } from '../../src/errors.ts'
import { MetadataCopies } from '../../src/recovery/index.ts'
import { contentOf, OpenStore, type OpenStoreOptions } from '../helpers/open-store.ts'

const PASSPHRASE = Buffer.from('correct horse')
const DAY_SECONDS = 24 * 3600

interface Teardown {
  teardown(handler: () => Promise<void>): void
}

async function newDirectory(t: Teardown): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-guards-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** A store with one closed block file that is half dead. */
async function halfDead(directory: string, options: OpenStoreOptions = {}): Promise<OpenStore> {
  const first = await OpenStore.open(directory)
  first.addContainer('a')
  await first.write('a/keep', contentOf(1, 200_000), true)
  await first.write('a/dead', contentOf(2, 400_000), true)
  first.remove('a/dead')
  await first.sync()
  await first.close()
  return await OpenStore.open(directory, options)
}

async function blockFiles(directory: string): Promise<string[]> {
  const names = await readdir(join(directory, 'store', 'blocks'), { recursive: true })
  return names.filter(name => name.endsWith('.blk')).sort()
}

t.test('a pass frees nothing when the files of the metadata database are damaged', async t => {
  const directory = await newDirectory(t)
  const store = await halfDead(directory, {
    instrument: parts => ({
      ...parts,
      verifyMetadata: async () => {
        throw new StoreError('METADATA_DAMAGED', 'A table is damaged.')
      },
    }),
  })
  const report = await store.storage.cleaner.start('manual').done
  t.equal(report.outcome, 'failed')
  t.equal(report.text, 'A table is damaged.')
  t.same(await blockFiles(directory), [join('1', '000000', '00000001.blk')])
  await store.close()
})

t.test('a chunk that is referred to anew after it was copied keeps its block file', async t => {
  const directory = await newDirectory(t)
  const late: { parts?: PassParts } = {}
  const store = await halfDead(directory, {
    instrument: parts => {
      let watcher: Parameters<PassParts['extents']['watch']>[0]
      late.parts = {
        ...parts,
        extents: {
          droppedCount: 1,
          watch: next => {
            watcher = next
            parts.extents.watch(next)
          },
          relocate: (key, moved) => parts.extents.relocate(key, moved),
        },
        // Right before the proofs: a chunk that was dead is put in place again.
        copied: async () => {
          for (let ordinal = 0; ordinal < 40; ordinal++) {
            watcher?.put({ block: 1, page: 1, ordinal }, 1000)
          }
        },
      }
      return late.parts
    },
  })
  const report = await store.storage.cleaner.start('manual').done
  t.equal(report.outcome, 'failed')
  t.match(report.text, /is in use, says the extent listing/)
  t.ok((await blockFiles(directory)).includes(join('1', '000000', '00000001.blk')))
  await store.close()
})

t.test('a key that a file has and no record says is not erased', async t => {
  const directory = await newDirectory(t)
  const store = await OpenStore.open(directory)
  const { groups, encryption, cleaner, alerts } = store.storage
  const group = groups.add('sealed', 'fast')
  await encryption.setPassphrase(group, undefined, PASSPHRASE)
  await encryption.set(groups.named('sealed'), { isOn: true, mode: 'static' })
  store.addContainer('s', 'sealed')
  await store.write('s/file', contentOf(1, 100_000), true)
  await store.close()

  const again = await OpenStore.open(directory)
  const sealed = again.storage.groups.named('sealed')
  await again.storage.encryption.unlock(sealed, PASSPHRASE)
  await again.storage.encryption.set(sealed, { isOn: true, mode: 'internal' })
  const folder = join(directory, 'store', 'blocks', String(sealed.id), '000000')
  const [name = ''] = await readdir(folder)
  // Its record was lost, and so was the file of another id.
  await cp(join(folder, name), join(folder, '000000f0.blk'))
  const report = await again.storage.cleaner.start('manual').done
  t.equal(report.outcome, 'failed')
  t.match(report.text, /key 1 of storage group sealed is not erased/)
  t.ok(again.storage.alerts.isRaised('EVIDENCE_DISAGREES'))
  await rm(join(folder, '000000f0.blk'))
  const retired = await again.storage.cleaner.start('manual').done
  t.equal(retired.outcome, 'complete', retired.text)
  t.equal(retired.counts.retiredKeys, 1)
  await again.close()
  t.ok(cleaner !== again.storage.cleaner && alerts !== again.storage.alerts)
})

for (const keyRetirement of ['wait', 'empty-trash'] as const) {
  t.test(`keys of what is in the trash: ${keyRetirement}`, async t => {
    const directory = await newDirectory(t)
    const clock = { seconds: 1_800_000_000 }
    const options = {
      now: () => clock.seconds,
      trash: { keepSeconds: DAY_SECONDS, keyRetirement },
    }
    const store = await OpenStore.open(directory, options)
    const { groups, encryption, cleaner, trash } = store.storage
    const group = groups.add('sealed', 'fast')
    await encryption.setPassphrase(group, undefined, PASSPHRASE)
    await encryption.set(groups.named('sealed'), { isOn: true, mode: 'static' })
    store.addContainer('s', 'sealed')
    await store.write('s/file', contentOf(1, 100_000), true)
    await encryption.set(groups.named('sealed'), { isOn: true, mode: 'internal' })
    const pass = await cleaner.start('manual').done
    t.equal(pass.outcome, 'complete', pass.text)
    const state = (): string | undefined =>
      encryption.info(groups.named('sealed').id)?.keys.find(({ id }) => id === 1)?.state
    if (keyRetirement === 'empty-trash') {
      t.equal(trash.content.files, 0)
      t.equal(pass.counts.retiredKeys, 1)
    } else {
      t.equal(trash.content.files, 1)
      t.equal(state(), 'decrypt-only')
      clock.seconds += DAY_SECONDS
      await store.storage.tickTrash()
      t.equal(trash.content.files, 0)
    }
    t.equal(state(), 'retired')
    t.ok((await store.read('s/file')).equals(contentOf(1, 100_000)))
    await store.close()
  })
}

t.test('a quarantine is kept in the record, whatever alerts there are', async t => {
  const directory = await newDirectory(t)
  const late: { parts?: PassParts } = {}
  const store = await halfDead(directory, {
    instrument: parts => {
      late.parts = parts
      return parts
    },
  })
  late.parts?.blocks.quarantine(1, 'a region is damaged')
  t.notOk(late.parts?.blocks.isUsable(1))
  await store.sync()
  await store.close()
  const again = await OpenStore.open(directory, {
    instrument: parts => {
      late.parts = parts
      return parts
    },
  })
  t.same(again.storage.alerts.ofCode('DAMAGED_BLOCK'), [])
  t.same([...(late.parts?.blocks.quarantined ?? [])], [[1, 'a region is damaged']])
  t.notOk(late.parts?.blocks.isUsable(1))
  await again.close()
})

t.test('the trash is held until the metadata was verified, and while it is damaged', async t => {
  const raised = new Set<string>()
  const findings: { file: string; what: string }[] = []
  const health = new MetadataHealth({
    metadata: {
      damage: [],
      verify: async () => findings,
      monitor: { look: async () => [] } as never,
      sequence: 1,
    },
    alerts: {
      raise: code => void raised.add(code),
      clear: code => void raised.delete(code),
      isRaised: code => raised.has(code),
    },
    storePath: '/store',
  })
  t.match(health.trouble, /has not been verified/)
  findings.push({ file: '000005.ldb', what: 'it is cut' })
  await t.rejects(health.verify(), { code: 'METADATA_DAMAGED', message: /000005\.ldb: it is cut/ })
  t.match(health.trouble, /has not been verified/)
  findings.length = 0
  await health.verify()
  t.equal(health.trouble, undefined)
  health.found('000005.ldb', 'a block has another checksum')
  t.match(health.trouble, /is damaged/)
})

t.test('the trash is given up before a write is refused', async t => {
  const trash = {
    reclaimableBytes: 2 ** 50,
    given: 0,
    makeRoom: async (bytes: number) => {
      // What it gives up is not seen on this disk: in the end there is none left.
      if (trash.given > 2 ** 29) {
        trash.reclaimableBytes = 0
        return 0
      }
      trash.given += bytes
      return bytes
    },
  }
  const guard = new SpaceGuard(await newDirectory(t), () => 0, trash)
  await guard.start()
  t.equal(guard.clientSpace.freeBytes, guard.space.freeBytes + 2 ** 50)
  await t.rejects(Promise.resolve(guard.reserve(2 ** 49)), { code: 'ENOSPC' })
  t.ok(trash.given > 2 ** 29)
  t.throws(() => guard.reserve(2 ** 49), { code: 'ENOSPC' }, 'there is no trash any more')
  t.equal(guard.reserve(1000), undefined, 'where there is room nothing waits')
  guard.stop()
})

/** Metadata whose view a test can spoil, for copies of it. */
function viewOf(
  store: OpenStore,
  spoil: { readonly hidesExtents: boolean; closing(): Promise<void> },
) {
  const { metadata } = store.storage
  return {
    commit: () => metadata.commit(),
    view: () => {
      const view = metadata.view()
      return {
        range: (from: Uint8Array, to: Uint8Array) => filtered(view.range(from, to), spoil),
        close: async () => {
          await view.close()
          await spoil.closing()
        },
      }
    },
  }
}

async function* filtered(
  records: AsyncIterable<{ key: Uint8Array; value: Uint8Array }>,
  { hidesExtents }: { readonly hidesExtents: boolean },
) {
  for await (const record of records) if (!hidesExtents || record.key[0] !== 0x45) yield record
}

for (const what of ['has lost extents', 'does not read back'] as const) {
  t.test(`a new copy of the metadata that ${what} takes no older one's place`, async t => {
    const directory = await newDirectory(t)
    const store = await halfDead(directory)
    const copiesPath = join(directory, 'copies')
    await cp(join(directory, 'store', 'copies'), copiesPath, { recursive: true })
    const before = await readdir(copiesPath)
    t.ok(before.length > 0)
    const raised: string[] = []
    const copies = await MetadataCopies.open(
      {
        directory: copiesPath,
        metadata: viewOf(store, {
          hidesExtents: what === 'has lost extents',
          closing: async () => {
            if (what === 'has lost extents') return
            for (const name of await readdir(copiesPath)) {
              if (before.includes(name) || !name.includes('snapshot')) continue
              const bytes = await readFile(join(copiesPath, name))
              bytes.fill(0, 4200, 4400)
              await writeFile(join(copiesPath, name), bytes)
            }
          },
        }),
        nowSeconds: () => 1_800_000_000,
        hasRoom: () => true,
        alerts: { raise: (_code, text) => void raised.push(text), clear: () => undefined },
      },
      // Not the commit that the older copy ends with: a new one is begun.
      1,
    )
    copies.start()
    const committing = store.storage.metadata.commit().then(() => copies.committed(2))
    await committing
    await copies.caughtUp()
    await copies.stopping(10_000)
    await copies.close()
    const after = await readdir(copiesPath)
    t.ok(
      before.every(name => after.includes(name)),
      `${before.join(' ')} in ${after.join(' ')}`,
    )
    const reason = what === 'has lost extents' ? /the extents listed are/ : /does not read back/
    t.match(raised, [reason])
    await store.close()
  })
}
