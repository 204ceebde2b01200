// What may happen at the worst moment of a pass, made to happen there.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { NewChunk } from '../../src/blocks/index.ts'
import { BLOCK_PAGE_BYTES, scanBlockFile } from '../../src/blocks/index.ts'
import type { PassParts } from '../../src/cleaner/index.ts'
import { FilesystemError } from '../../src/errors.ts'
import { TABLE } from '../../src/metadata/index.ts'
import { watchedScans } from '../helpers/watched-scans.ts'
import { contentOf, OpenStore } from '../helpers/open-store.ts'

const MIB = 2 ** 20

/** Two files of which one is removed: one block file, half of it dead. */
async function halfDead(
  t: { teardown(handler: () => Promise<void>): void },
  instrument: (parts: PassParts) => PassParts,
): Promise<OpenStore> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-races-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const store = await OpenStore.open(directory, { instrument })
  store.addContainer('a')
  await store.write('a/keep', contentOf(1, MIB))
  await store.write('a/junk', contentOf(2, 2 * MIB))
  await store.sync()
  store.remove('a/junk')
  return store
}

/** The method of `target` is preceded by `before`. */
function preceded<Target extends object>(
  target: Target,
  method: keyof Target,
  before: () => Promise<void>,
): Target {
  return new Proxy(target, {
    get(_target, property) {
      const value: unknown = Reflect.get(target, property)
      if (typeof value !== 'function') return value
      if (property !== method) return value.bind(target) as unknown
      return async (...parameters: unknown[]): Promise<unknown> => {
        await before()
        return Reflect.apply(value, target, parameters) as unknown
      }
    },
  })
}

/** `hook` runs before the first record of the `nth` look at all extents. */
function beforeScan(parts: PassParts, nth: number, hook: () => Promise<void>): PassParts {
  let count = 0
  const metadata = watchedScans(parts.metadata, from => {
    const isChosen = from[0] === TABLE.extents && ++count === nth
    return async (_from, place) => {
      if (isChosen && place === 0) await hook()
    }
  })
  return { ...parts, metadata }
}

t.test('a file is copied while extents are looked through', async t => {
  for (const [nth, when] of [
    [1, 'for marking'],
    [2, 'for relocating'],
  ] as const) {
    const late: { store?: OpenStore } = {}
    let hasRun = false
    const store = await halfDead(t, parts =>
      beforeScan(parts, nth, async () => {
        hasRun = true
        await late.store?.copy('a/keep', 'a/copy')
        late.store?.remove('a/keep')
      }),
    )
    late.store = store
    const { outcome, counts } = await store.storage.cleaner.start('manual').done
    t.equal(outcome, 'complete')
    t.equal(counts.copiedBlocks, 1)
    t.ok(hasRun, when)
    t.ok((await store.read('a/copy')).equals(contentOf(1, MIB)), `copied ${when}`)
    await store.close()
  }
})

t.test('the same data is written while its block file is being copied', async t => {
  const late: { store?: OpenStore } = {}
  const store = await halfDead(t, parts => ({
    ...parts,
    blocks: preceded(parts.blocks, 'readRegion', async () => {
      await late.store?.write('a/again', contentOf(1, MIB), true)
    }),
  }))
  late.store = store
  t.equal((await store.storage.cleaner.start('manual').done).outcome, 'complete')
  t.ok((await store.read('a/again')).equals(contentOf(1, MIB)))
  t.ok((await store.read('a/keep')).equals(contentOf(1, MIB)))
  await store.close()
})

t.test('a file is being read while its block file is deleted', async t => {
  const late: { store?: OpenStore; reading?: Promise<Buffer> | undefined } = {}
  const store = await halfDead(t, parts => ({
    ...parts,
    blocks: preceded(parts.blocks, 'settleFreed', async () => {
      // Begun before; some of it is read after the file has gone.
      late.reading = late.store?.read('a/keep')
    }),
  }))
  late.store = store
  t.equal((await store.storage.cleaner.start('manual').done).outcome, 'complete')
  t.ok((await late.reading)?.equals(contentOf(1, MIB)))
  t.same(store.storage.alerts.list(), [])
  await store.close()
})

t.test('a chunk goes to a copy whose block file is copied later in the same pass', async t => {
  const late: { parts?: PassParts } = {}
  const store = await halfDead(t, parts => {
    late.parts = parts
    // Room for one block file at a time.
    return { ...parts, space: async () => ({ freeBytes: 10.5 * MIB, reserveBytes: 0 }) }
  })
  const { parts } = late
  if (parts === undefined) throw new Error('the store is open')
  await store.storage.cleaner.plan()
  // Copies of all chunks that are not referred to, but found: in the next block file, beside a live file.
  const policy = parts.groups.policyOf(1)
  for await (const { page } of scanBlockFile(String(parts.blocks.pathOf(1)), BLOCK_PAGE_BYTES)) {
    const region = await parts.blocks.readRegion(1, page)
    const chunks: NewChunk[] = []
    for (let slot = 0; slot < region.chunkCount; slot++) {
      chunks.push({ fingerprint: region.fingerprintAt(slot).slice(), data: region.chunkAt(slot) })
    }
    const locations = await parts.blocks.append(policy, chunks, parts.metadata.sequence)
    for (const [place, chunk] of chunks.entries()) {
      const location = locations[place]
      if (location !== undefined) parts.index.add(1, chunk.fingerprint, location)
    }
    region.release()
  }
  await store.write('a/other', contentOf(3, 3 * MIB))
  await store.sync()
  const { blocks } = await store.storage.cleaner.plan()
  t.same(
    blocks.map(({ block, action }) => `${action} ${block}`),
    ['compact 1', 'compact 2'],
  )
  const { outcome, counts } = await store.storage.cleaner.start('manual').done
  t.equal(outcome, 'complete')
  t.equal(counts.copiedBlocks, 2)
  t.ok((await store.read('a/keep')).equals(contentOf(1, MIB)))
  t.ok((await store.read('a/other')).equals(contentOf(3, 3 * MIB)))
  t.same(store.storage.alerts.list(), [])
  await store.close()
})

t.test('a disk that fails to take a copy is no damage of what is copied', async t => {
  const late: { isBroken: boolean } = { isBroken: true }
  const store = await halfDead(t, parts => ({
    ...parts,
    blocks: preceded(parts.blocks, 'append', async () => {
      if (late.isBroken) throw new FilesystemError('EIO')
    }),
  }))
  const { cleaner, alerts } = store.storage
  t.equal((await cleaner.start('manual').done).outcome, 'failed')
  t.same(
    alerts.list().map(({ code }) => code),
    ['PASS_FAILED'],
  )
  late.isBroken = false
  t.match(await cleaner.start('manual').done, { outcome: 'complete', counts: { copiedBlocks: 1 } })
  t.ok((await store.read('a/keep')).equals(contentOf(1, MIB)))
  await store.close()
})

t.test('a group that is locked during a pass is left alone from then on', async t => {
  const late: { store?: OpenStore } = {}
  const passphrase = Buffer.from('correct horse')
  let locking: Promise<void> | undefined
  const store = await halfDead(t, parts => ({
    ...parts,
    blocks: preceded(parts.blocks, 'readRegion', async () => {
      const { encryption, groups } = late.store?.storage ?? {}
      const group = groups?.named('DefaultGroup')
      // Not waited for: it waits for what is under way here.
      if (group !== undefined) locking ??= encryption?.lock(group)
    }),
  }))
  const { encryption, groups } = store.storage
  const group = groups.named('DefaultGroup')
  await encryption.setPassphrase(group, undefined, passphrase)
  await encryption.set(group, { isOn: true })
  late.store = store
  const { outcome } = await store.storage.cleaner.start('manual').done
  await locking
  t.match(outcome, /^(in)?complete$/)
  t.ok(encryption.isLocked(group.id))
  await encryption.unlock(group, passphrase)
  t.ok((await store.read('a/keep')).equals(contentOf(1, MIB)))
  t.same(
    store.storage.alerts.list().map(({ code }) => code),
    [],
  )
  await store.close()
})

t.test('a pass that is stopped and one after a restart do nothing twice', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-races-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  // Room for one block file at a time.
  const instrument = (parts: PassParts): PassParts => ({
    ...parts,
    space: async () => ({ freeBytes: 9 * MIB, reserveBytes: 0 }),
  })
  const first = await OpenStore.open(directory, { instrument })
  first.addContainer('a')
  const blockCount = 5
  for (let number = 0; number < blockCount; number++) {
    await first.write(`a/keep${number}`, contentOf(10 + number, MIB))
    await first.write(`a/junk${number}`, contentOf(20 + number, MIB))
    await first.sync()
    // Closes the block file.
    await first.storage.cleaner.plan()
  }
  for (let number = 0; number < blockCount; number++) first.remove(`a/junk${number}`)
  const { cleaner } = first.storage
  const { done } = cleaner.start('manual')
  while ((cleaner.running?.report.counts.copiedBlocks ?? blockCount) < 2) {
    await new Promise(setImmediate)
  }
  await first.close()
  const stopped = await done
  t.equal(stopped.outcome, 'stopped')
  t.ok(stopped.counts.copiedBlocks >= 2)
  const second = await OpenStore.open(directory, { instrument })
  second.storage.cleaner.tick()
  while (second.storage.cleaner.running !== undefined) await new Promise(setImmediate)
  const resumed = second.storage.cleaner.passes.at(-1)
  t.match(resumed, { kind: 'manual', outcome: 'complete' })
  // The one that was under way may have been copied to its end: then it is free. What the first pass had written is a
  // small block file by now, and may be merged once.
  const { copiedBlocks = 0, freedBlocks = 0, compactedBytes = 0 } = resumed?.counts ?? {}
  const handled = stopped.counts.copiedBlocks + copiedBlocks + freedBlocks
  t.ok(handled >= blockCount && handled <= blockCount + 1, `${handled} block files`)
  const moved = stopped.counts.compactedBytes + compactedBytes
  t.ok(moved <= (blockCount + 1 + stopped.counts.copiedBlocks) * MIB, `${moved} bytes were moved`)
  for (let number = 0; number < blockCount; number++) {
    t.ok((await second.read(`a/keep${number}`)).equals(contentOf(10 + number, MIB)))
  }
  await second.close()
})
