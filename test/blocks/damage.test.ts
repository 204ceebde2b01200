// Whatever happens to the bytes on disk, a read gives the true bytes or a DamagedRegionError, never other ones.

import fc from 'fast-check'
import t from 'tap'
import { randomBytes } from 'node:crypto'
import { open, readFile, truncate, unlink, writeFile } from 'node:fs/promises'
import {
  CLEAR,
  COMPRESSIONS,
  KEYED,
  chunkOf,
  openStore,
  randomChunk,
  readsBack,
  temporaryDirectory,
  textChunk,
} from './helpers.ts'
import {
  DamagedRegionError,
  scanBlockFile,
  type BlockRecord,
  type LocalBlockStore,
  type SealingPolicy,
} from '../../src/blocks/index.ts'
import { secretOf } from '../helpers/secrets.ts'
import { forgeRegion } from '../helpers/test-exports.ts'

async function reasonOf(store: LocalBlockStore, block: number, page: number): Promise<string> {
  try {
    const region = await store.readRegion(block, page)
    region.release()
    return 'sound'
  } catch (error) {
    if (error instanceof DamagedRegionError) return error.reason
    throw error
  }
}

interface Written {
  readonly directory: string
  readonly path: string
  readonly records: BlockRecord[]
  readonly bytes: Buffer
}

async function write(
  t: Parameters<typeof temporaryDirectory>[0],
  policy: SealingPolicy,
  appends: Parameters<LocalBlockStore['append']>[1][],
): Promise<Written> {
  const directory = await temporaryDirectory(t)
  const store = await openStore(directory)
  for (const chunks of appends) await store.append(policy, chunks, 1)
  const path = String(store.pathOf(1))
  await store.close()
  return { directory, path, records: store.collectRecords(), bytes: await readFile(path) }
}

for (const compression of COMPRESSIONS) {
  for (const policy of [CLEAR, KEYED]) {
    t.test(`a flipped byte is noticed: ${compression}, key ${policy.keyId}`, async t => {
      const chunks = [textChunk(3000), randomChunk(10)]
      const { path, records, bytes, directory } = await write(t, { ...policy, compression }, [
        chunks,
      ])
      let used = 0
      for await (const region of scanBlockFile(path)) {
        used = 128 + region.chunkCount * 36 + region.storedBytes
      }
      // One store serves all: what can't be opened doesn't enter the cache.
      const store = await openStore(directory, { records })
      const file = await open(path, 'r+')
      const reasons = new Set<string>()
      for (let at = 4096; at < 4096 + used; at += at < 4096 + 200 ? 1 : 5) {
        await file.write(Buffer.from([Number(bytes[at]) ^ 0x10]), 0, 1, at)
        reasons.add(await reasonOf(store, 1, 1))
        await file.write(bytes, at, 1, at)
      }
      await file.close()
      t.same([...reasons].sort(), ['authentication', 'header'])
      const locations = chunks.map((_, ordinal) => ({ block: 1, page: 1, ordinal }))
      t.ok(await readsBack(store, chunks, locations), 'sound again')
      await store.close()
    })
  }
}

t.test('swapped regions, files and headers', async t => {
  const written = await write(t, KEYED, [[randomChunk(3000)], [randomChunk(3000)]])
  const { path, records, directory, bytes } = written
  const swapped = Buffer.concat([
    bytes.subarray(0, 4096),
    bytes.subarray(8192, 12_288),
    bytes.subarray(4096, 8192),
  ])
  await writeFile(path, swapped)
  const store = await openStore(directory, { records })
  t.equal(await reasonOf(store, 1, 1), 'header')
  t.equal(await reasonOf(store, 1, 2), 'header')
  await store.close()

  const other = await write(t, KEYED, [[randomChunk(3000)], [randomChunk(3000)]])
  await writeFile(path, Buffer.concat([bytes.subarray(0, 4096), other.bytes.subarray(4096)]))
  const mixed = await openStore(directory, { records })
  t.equal(await reasonOf(mixed, 1, 1), 'authentication', 'the same place in another file')
  await mixed.close()

  const alien = records.map(record => ({ ...record, keyId: 0 }))
  const alienStore = await openStore(directory, { records: alien })
  t.equal(await reasonOf(alienStore, 1, 1), 'header', 'a record of another key')
  await alienStore.close()

  const future = Buffer.from(bytes)
  future[8] = 3
  await writeFile(path, future)
  const futureStore = await openStore(directory, { records })
  t.equal(await reasonOf(futureStore, 1, 1), 'header', 'an unknown version')
  await futureStore.close()
})

t.test('missing, short and locked files', async t => {
  const written = await write(t, KEYED, [[randomChunk(60_000)]])
  const { path, records, directory } = written
  const locked = await openStore(directory, { records, lookupKey: () => undefined })
  t.equal(await reasonOf(locked, 1, 1), 'authentication')
  await locked.close()
  const wrong = await openStore(directory, { records, lookupKey: () => secretOf(1) })
  t.equal(await reasonOf(wrong, 1, 1), 'authentication')
  await wrong.close()
  for (const length of [50_000, 8192, 4100, 4096, 100]) {
    await truncate(path, length)
    const store = await openStore(directory, { records })
    t.equal(await reasonOf(store, 1, 1), 'truncated', `${length} bytes`)
    await store.close()
  }
  await unlink(path)
  const store = await openStore(directory, { records })
  t.equal(await reasonOf(store, 1, 1), 'missing')
  t.equal(await reasonOf(store, 9, 1), 'missing', 'a block without a record')
  await store.close()
})

t.test('random garbage and random edits', async t => {
  const chunks = [textChunk(20_000), randomChunk(500), chunkOf(randomBytes(3))]
  for (const policy of [
    CLEAR,
    { ...CLEAR, compression: 'best' as const },
    { ...KEYED, compression: 'fast' as const },
  ]) {
    const { path, records, directory, bytes } = await write(t, policy, [chunks])
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            at: fc.integer({ min: 4096, max: bytes.length - 1 }),
            bytes: fc.uint8Array({ minLength: 1, maxLength: 200 }),
          }),
          { minLength: 1, maxLength: 4 },
        ),
        async edits => {
          const edited = Buffer.from(bytes)
          for (const edit of edits)
            edited.set(edit.bytes.subarray(0, bytes.length - edit.at), edit.at)
          await writeFile(path, edited)
          const store = await openStore(directory, { records })
          const reason = await reasonOf(store, 1, 1)
          const isRight =
            reason !== 'sound' ||
            (await readsBack(
              store,
              chunks,
              chunks.map((_, ordinal) => ({ block: 1, page: 1, ordinal })),
            ))
          await store.close()
          return isRight
        },
      ),
      { numRuns: 50 },
    )
  }
})

t.test(
  'forged regions, whose checksums are right, are refused or read within their bounds',
  async t => {
    for (const compression of COMPRESSIONS) {
      const chunks = [textChunk(30_000), textChunk(5000, 4), chunkOf(randomBytes(3))]
      const written = await write(t, { ...CLEAR, compression }, [chunks])
      const { path, records, directory, bytes } = written
      const lengths = [32, 36, 40, 10, 128 + 32, 128 + 36 + 32]
      const reasons = new Map<string, number>()
      await fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.record({
              at: fc.oneof(
                fc.constantFrom(...lengths),
                fc.nat(bytes.length - 4096 - 4),
                fc.integer({ min: 236, max: 300 }),
              ),
              value: fc.oneof(fc.nat(40_000), fc.nat(600_000), fc.integer()),
            }),
            { minLength: 1, maxLength: 3 },
          ),
          async edits => {
            const edited = Buffer.from(bytes)
            for (const edit of edits) {
              if (edit.at === 10) edited[4096 + 10] = Math.abs(edit.value) % 4
              else edited.writeInt32LE(edit.value, 4096 + edit.at)
            }
            forgeRegion(edited.subarray(4096))
            await writeFile(path, edited)
            const store = await openStore(directory, { records, cacheBytes: 1 })
            const reason = await reasonOf(store, 1, 1)
            reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
            if (reason === 'sound') {
              const region = await store.readRegion(1, 1)
              for (let slot = 0; slot < region.chunkCount; slot++) region.chunkAt(slot)
              region.release()
            }
            await store.close()
          },
        ),
        { numRuns: 150 },
      )
      t.ok(reasons.has('table') && reasons.has('header'), JSON.stringify([...reasons]))
      if (compression !== 'none') t.ok(reasons.has('decompression'), JSON.stringify([...reasons]))
    }
  },
)
