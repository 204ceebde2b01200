import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Level } from 'level'
import {
  inodeKey,
  openMetadataStore,
  PendingMap,
  prefixEnd,
  TABLE,
} from '../../src/metadata/index.ts'
import type { MetadataStore, MetadataWriter } from '../../src/metadata/index.ts'
import { packFrame, parseFrame } from '../../src/metadata/frame.ts'

/** So many waiting records begin a commit. */
const COUNTED_RECORDS = 4096

const key = (text: string): Buffer => Buffer.from(text)

interface Overrides {
  syncData?: () => Promise<void>
  checkRoom?: () => Promise<void>
}

async function openIn(directory: string, overrides: Overrides = {}) {
  const failures: Error[] = []
  const store = await openMetadataStore({
    directory,
    createIfMissing: true,
    syncData: async () => {},
    ...overrides,
    flushData: async () => {},
    committed: async () => {},
    failed: error => failures.push(error),
  })
  store.begin()
  return { store, failures }
}

async function directoryOf(test: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-metadata-'))
  test.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** A participant over a PendingMap of text. */
function participate(store: MetadataStore): PendingMap<string, string> {
  const pending = new PendingMap<string, string>()
  store.addParticipant({
    collect(batch: MetadataWriter) {
      for (const [name, value] of pending.collect()) {
        if (value === null) batch.delete(key(name))
        else batch.put(key(name), key(value))
      }
    },
    settled: () => pending.settled(),
  })
  return pending
}

t.test('what was committed is there after reopening, and the sequence counts commits', async t => {
  const directory = await directoryOf(t)
  const first = await openIn(directory)
  const pending = participate(first.store)
  pending.set('Da', '1')
  pending.set('Db', '2')
  await first.store.commit()
  pending.delete('Da')
  await first.store.close()
  const second = await openIn(directory)
  t.equal(second.store.get(key('Da')), undefined)
  t.equal(second.store.get(key('Db'))?.toString(), '2')
  t.equal(second.store.sequence, 2)
  await second.store.close()
})

t.test('a range has all of its records in order, however many there are', async t => {
  const { store } = await openIn(await directoryOf(t))
  const pending = participate(store)
  const names = Array.from({ length: 2600 }, (_, index) => `r${String(index).padStart(5, '0')}`)
  for (const name of names) pending.set(name, `value of ${name}`)
  pending.set('q', 'before')
  pending.set('s', 'behind')
  await store.commit()
  for (const count of [0, 1, 16, 17, 272, 273, 1272, 1273, 2600]) {
    const found: string[] = []
    const end = key(count === 2600 ? 's' : (names[count] ?? ''))
    for await (const { key: name, value } of store.range(key('r'), end)) {
      found.push(Buffer.from(name).toString())
      if (Buffer.from(value).toString() !== `value of ${found.at(-1)}`) t.fail('another value')
    }
    t.same(found, names.slice(0, count))
  }
  await store.close()
})

function reservedBytes(): number {
  const status = readFileSync('/proc/self/status', 'latin1')
  return Number(/^VmData:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}

t.test('thousands of short ranges at once reserve little memory', async t => {
  const { store } = await openIn(await directoryOf(t))
  const pending = participate(store)
  const names = Array.from({ length: 6000 }, (_, index) => `r${String(index).padStart(5, '0')}`)
  for (const name of names) pending.set(name, 'value')
  await store.commit()
  const before = reservedBytes()
  const counts = await Promise.all(
    names.map(async name => {
      let count = 0
      for await (const { value } of store.range(key(name), key(`${name}.`))) count += value.length
      return count
    }),
  )
  const grown = reservedBytes() - before
  t.ok(counts.every(count => count === 5))
  // 90 to 180 MB; with room for a thousand entries each it was 460 to 510.
  t.ok(grown < 280e6, `${grown} bytes`)
  await store.close()
})

t.test('the size of a range is about that of its records, and of nothing else', async t => {
  const directory = await directoryOf(t)
  const first = await openIn(directory)
  const pending = participate(first.store)
  const count = 10_000
  for (let index = 0; index < count; index++) pending.set(`D${index}`, 'x'.repeat(100))
  await first.store.commit()
  await first.store.close()
  // Opening writes what the log holds into tables.
  const { store } = await openIn(directory)
  const bytes = await store.sizeBytes(key('D'), key('E'))
  t.ok(bytes > count * 100 && bytes < count * 150, `${bytes} bytes`)
  t.equal(await store.sizeBytes(key('E'), key('F')), 0)
  await store.close()
})

t.test('concurrent commits share one, and each sees its own changes durable', async t => {
  const { store } = await openIn(await directoryOf(t))
  const pending = participate(store)
  const commits: Promise<void>[] = []
  for (let index = 0; index < 50; index++) {
    pending.set(`D${index}`, 'x')
    commits.push(store.commit())
  }
  await Promise.all(commits)
  t.ok(store.sequence <= 3, `50 commits took ${store.sequence} batches`)
  t.equal((await store.getMany([key('D0'), key('D49')])).filter(Boolean).length, 2)
  await store.close()
})

t.test('a commit asked for in the turn in which the last one ends is not lost', async t => {
  const { store } = await openIn(await directoryOf(t))
  for (let index = 0; index < 20; index++) {
    await store.commit().then(() => store.commit())
  }
  t.equal(store.sequence, 40)
  await store.close()
})

t.test('data is synced before the batch, and a failed sync is final', async t => {
  const directory = await directoryOf(t)
  let fails = false
  const { store, failures } = await openIn(directory, {
    syncData: async () => {
      if (fails) throw new Error('EIO')
    },
  })
  const pending = participate(store)
  pending.set('Da', 'old')
  await store.commit()
  fails = true
  pending.set('Da', 'new')
  await t.rejects(store.commit(), { code: 'STORE_READ_ONLY' })
  fails = false
  await t.rejects(store.commit(), { code: 'STORE_READ_ONLY' })
  t.equal(failures.length, 1)
  t.equal(store.get(key('Da'))?.toString(), 'old')
  await store.close()
})

t.test('a commit without room is refused, and what it held goes with the next one', async t => {
  const directory = await directoryOf(t)
  let hasRoom = true
  const { store, failures } = await openIn(directory, {
    checkRoom: async () => {
      if (!hasRoom) throw Object.assign(new Error('full'), { code: 'ENOSPC' })
    },
  })
  const pending = participate(store)
  hasRoom = false
  pending.set('Da', 'kept')
  await t.rejects(store.commit(), { code: 'ENOSPC' })
  await t.rejects(Promise.all([store.commit(), store.commit()]), { code: 'ENOSPC' })
  t.same(failures, [], 'which is no failure')
  t.equal(store.sequence, 0)
  hasRoom = true
  await store.commit()
  t.equal(store.get(key('Da'))?.toString(), 'kept')
  hasRoom = false
  pending.set('Db', 'forced')
  await store.commitRegardless()
  t.equal(store.get(key('Db'))?.toString(), 'forced')
  pending.set('Dc', 'refused')
  await t.rejects(store.commit(), { code: 'ENOSPC' }, 'only that one was forced')
  await store.close()
  const again = await openIn(directory)
  t.equal(again.store.get(key('Dc'))?.toString(), 'refused', 'the end tries, whatever the room')
  await again.store.close()
})

t.test('while there is no room, not every change asks for it', async t => {
  const directory = await directoryOf(t)
  let askedCount = 0
  const { store } = await openIn(directory, {
    checkRoom: async () => {
      askedCount += 1
      throw Object.assign(new Error('full'), { code: 'ENOSPC' })
    },
  })
  const records = async (count: number): Promise<void> => {
    for (let done = 0; done < count; done++) {
      store.touched(1)
      // The answer to a question comes in turns of its own.
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  await records(COUNTED_RECORDS)
  t.equal(askedCount, 1, 'so many records begin a commit')
  await records(COUNTED_RECORDS / 2)
  t.equal(askedCount, 1, 'a refused one begins counting anew')
  await records(COUNTED_RECORDS)
  t.equal(askedCount, 2)
  await store.close()
})

t.test('a second opener is refused', async t => {
  const directory = await directoryOf(t)
  const { store } = await openIn(directory)
  await t.rejects(openIn(directory), { code: 'STORE_IN_USE' })
  await store.close()
})

t.test('a value changed behind our back is refused, not returned', async t => {
  const directory = await directoryOf(t)
  const first = await openIn(directory)
  participate(first.store).set('Da', 'value')
  await first.store.close()
  const raw = new Level<Buffer, Buffer>(directory, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
  })
  const frame = await raw.get(key('Da'))
  if (frame === undefined) throw new Error('the record is missing')
  frame[frame.length - 1] = (frame[frame.length - 1] ?? 0) ^ 1
  await raw.put(key('Da'), frame, { sync: true })
  await raw.close()
  const second = await openIn(directory)
  t.throws(() => second.store.get(key('Da')), { code: 'RECORD_DAMAGED' })
  await t.rejects(second.store.getMany([key('Da')]), { code: 'RECORD_DAMAGED' })
  await second.store.close()
})

t.test('frames: another key, another version and a short frame are refused', async t => {
  const frame = packFrame(key('a'), key('payload'))
  t.equal(parseFrame(key('a'), frame).toString(), 'payload')
  t.throws(() => parseFrame(key('b'), frame), { code: 'RECORD_DAMAGED' })
  t.throws(() => parseFrame(key('a'), frame.subarray(0, 4)), { code: 'RECORD_DAMAGED' })
  frame[0] = 9
  t.throws(() => parseFrame(key('a'), frame), { code: 'UNKNOWN_VERSION' })
})

t.test('keys order numerically and prefixes end where they should', async t => {
  t.ok(Buffer.compare(inodeKey(TABLE.inode, 255), inodeKey(TABLE.inode, 256)) < 0)
  t.ok(Buffer.compare(inodeKey(TABLE.inode, 2 ** 32 - 1), inodeKey(TABLE.inode, 2 ** 32)) < 0)
  t.same(prefixEnd(Buffer.from([1, 0xff])), Buffer.from([2]))
  t.throws(() => prefixEnd(Buffer.from([0xff])), RangeError)
})

t.test('a store that was not begun, or is abandoned, stays exactly as it was', async t => {
  const directory = await directoryOf(t)
  const first = await openIn(directory)
  participate(first.store).set('Da', 'value')
  await first.store.close()
  for (let attempt = 0; attempt < 3; attempt++) {
    const store = await openMetadataStore({
      directory,
      createIfMissing: false,
      syncData: async () => {},
      flushData: async () => {},
      committed: async () => {},
      failed: () => {},
    })
    participate(store).set('Da', 'changed')
    store.touched(1_000_000)
    await t.rejects(store.commit())
    if (attempt === 0) await store.close()
    else await store.abandon()
  }
  const last = await openIn(directory)
  t.equal(last.store.sequence, 1)
  t.equal(last.store.get(key('Da'))?.toString(), 'value')
  await last.store.abandon()
})
