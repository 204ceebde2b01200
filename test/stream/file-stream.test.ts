// The stream layer against a plain buffer, over fakes of everything below.

import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { SMALL_BUFFER_BYTES } from '../../src/stream/buffers.ts'
import { Company, fill, NOBODY, readAll, setUp } from './fakes.ts'

/** The fakes have four large buffers. */
const LARGE_WRITES_MAX = 3

/** lseek(2) */
const SEEK_HOLE = 4

type Step =
  | { kind: 'write'; at: number; length: number; seed: number }
  | { kind: 'truncate'; size: number }
  | { kind: 'punch'; at: number; length: number }
  | { kind: 'flush' | 'drain' | 'commit' | 'reopen' }

const offset = fc.oneof(
  fc.nat(300_000),
  fc.nat(9_000_000),
  fc.constantFrom(0, 4096, 65_536, 4_194_304),
)
const length = fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 300_000 }))
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      at: offset,
      length,
      seed: fc.nat(255),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('truncate' as const),
      size: fc.oneof(fc.constant(0), offset),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('punch' as const), at: offset, length }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'flush' as const,
        'drain' as const,
        'commit' as const,
        'reopen' as const,
      ),
    }),
  },
)

t.test('random writes, truncations and holes read back as from a plain buffer', async t => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async steps => {
      const { metadata, store, recent, isIdle, damages } = setUp()
      let stream = store.open(7, 1, 0, 0, NOBODY)
      let model = Buffer.alloc(0)
      const resize = (size: number): void => {
        const next = Buffer.alloc(size)
        model.copy(next)
        model = next
      }
      for (const [index, current] of steps.entries()) {
        // Now and then what was flushed has to be read from where it was stored.
        if (index % 3 === 0) recent.wipe()
        if (current.kind === 'write') {
          const data = new Uint8Array(current.length)
          fill(data, current.seed)
          if (current.at + current.length > model.length) resize(current.at + current.length)
          model.set(data, current.at)
          await stream.write(current.at, data)
          // The caller's buffer is its own again.
          data.fill(0xee)
        } else if (current.kind === 'truncate') {
          resize(current.size)
          await stream.truncate(current.size)
        } else if (current.kind === 'punch') {
          model.fill(
            0,
            Math.min(current.at, model.length),
            Math.min(current.at + current.length, model.length),
          )
          await stream.punch(current.at, current.length)
        } else if (current.kind === 'flush') await stream.flush()
        else if (current.kind === 'drain') stream.drain()
        else if (current.kind === 'commit') await metadata.commit()
        else {
          await stream.flush()
          const { sizeBytes, mappedBytes } = stream
          store.close(stream)
          stream = store.open(7, 1, sizeBytes, mappedBytes, NOBODY)
        }
        if (stream.sizeBytes !== model.length) throw new Error('sizes differ')
        if (stream.committableSizeBytes > stream.sizeBytes)
          throw new Error('committable beyond the end')
      }
      if (Buffer.compare(await readAll(stream), model) !== 0)
        throw new Error('contents differ before the flush')
      await stream.flush()
      if (Buffer.compare(await readAll(stream), model) !== 0)
        throw new Error('contents differ after the flush')
      if (stream.committableSizeBytes !== model.length)
        throw new Error('flushed, but not committable')
      await turn()
      if (!isIdle()) throw new Error('a buffer or a region was not given back')
      if (damages.length > 0) throw new Error(damages.join())
    }),
    { numRuns: 25 },
  )
  t.pass()
})

t.test('who appends a little and flushes, again and again, has nothing read back', async t => {
  const { store, chunks, recent, isIdle } = setUp()
  const stream = store.open(7, 1, 0, 0, NOBODY)
  const model = Buffer.alloc(40 * 1000)
  fill(model, 1)
  for (let at = 0; at < model.length; at += 1000) {
    await stream.write(at, model.subarray(at, at + 1000))
    await stream.flush()
  }
  t.equal(chunks.reads, 0)
  const read = await stream.read(0, model.length)
  t.same(Buffer.concat(read.pieces), model)
  read.release()
  const before = chunks.reads
  recent.wipe()
  await stream.write(model.length, model.subarray(0, 1000))
  await stream.flush()
  t.ok(chunks.reads > before, 'what was wiped is read')
  t.ok(isIdle())
})

t.test('a lost page of extents is no hole', async t => {
  const { metadata, store } = setUp()
  const FAR = 20 * 1024 * 1024
  const data = new Uint8Array(50_000)
  fill(data, 1)
  const written = store.open(7, 1, 0, 0, NOBODY)
  await written.write(0, data)
  await written.write(FAR, data)
  await written.flush()
  await metadata.commit()
  const { sizeBytes, mappedBytes } = written
  store.close(written)

  /** Who opens the file again has nothing in memory of what it was. */
  const reopened = () => {
    const { store: other, damages } = setUp(new Company(1), metadata)
    return { stream: other.open(7, 1, sizeBytes, mappedBytes, NOBODY), damages }
  }
  const hole = await reopened().stream.read(1_000_000, 1000)
  t.same(Buffer.concat(hole.pieces), Buffer.alloc(1000), 'a hole is zeros')
  t.equal(await reopened().stream.seek(0, SEEK_HOLE), data.length)

  const pages = [...metadata.records.keys()].filter(key => key.startsWith('E'))
  t.equal(pages.length, 2)
  metadata.records.delete(pages.at(-1) ?? '')
  for (const offsetBytes of [1_000_000, FAR]) {
    const { stream, damages } = reopened()
    await t.rejects(stream.read(offsetBytes, 1000), { code: 'EIO' })
    t.match(damages, [/extents of the file are missing/])
  }
  await t.rejects(reopened().stream.seek(0, SEEK_HOLE), { code: 'EIO' })
  const { store: other } = setUp(new Company(1), metadata)
  const source = other.open(7, 1, sizeBytes, mappedBytes, NOBODY)
  const target = other.open(8, 1, 0, 0, NOBODY)
  await t.rejects(other.share(source, 0, target, 0, sizeBytes), { code: 'EIO' })
  t.equal(target.mappedBytes, 0, 'nothing was passed on')
})

t.test('more data than buffers makes writers wait and loses nothing', async t => {
  const { store, isIdle } = setUp()
  const streams = Array.from({ length: 8 }, (_, index) => store.open(index + 10, 1, 0, 0, NOBODY))
  const pieces = Array.from({ length: 12 }, (_, index) => {
    const piece = new Uint8Array(1024 * 1024)
    fill(piece, index)
    return piece
  })
  await Promise.all(
    streams.map(async stream => {
      for (const [index, piece] of pieces.entries()) await stream.write(index * piece.length, piece)
    }),
  )
  await store.flushAll()
  const expected = Buffer.concat(pieces)
  for (const stream of streams) t.equal(Buffer.compare(await readAll(stream), expected), 0)
  t.ok(isIdle())
})

/** One of them fills a small buffer, which is handed on before anybody knows what follows. */
for (const writeBytes of [4096, SMALL_BUFFER_BYTES]) {
  t.test(`overwrites of ${writeBytes} bytes far from each other are stored in company`, async t => {
    const writes = 5
    const company = new Company(writes)
    const { store, isIdle } = setUp(company)
    const stream = store.open(7, 1, 0, 0, NOBODY)
    const model = Buffer.alloc(4 * 1024 * 1024)
    fill(model, 1)
    await stream.write(0, model)
    await stream.flush()
    company.waitingMax = 0
    // In one turn: the pipeline is behind.
    const written: Promise<void>[] = []
    for (let index = 0; index < writes; index++) {
      const data = new Uint8Array(writeBytes).fill(index + 1)
      const at = index * 800_000 + 300_000
      model.set(data, at)
      written.push(Promise.resolve(stream.write(at, data)))
    }
    stream.drain()
    await Promise.all(written)
    // Nobody is in a hurry: they only get on when all of them are there.
    for (let round = 0; round < 10_000 && stream.hasUnflushedData; round++) await turn()
    t.equal(company.waitingMax, writes)
    t.notOk(stream.hasUnflushedData, 'nothing waits for anybody any more')
    t.equal(Buffer.compare(await readAll(stream), model), 0)
    t.ok(isIdle())
  })
}

t.test('overwrites near each other wait for each other, but never for company', async t => {
  const lengthBytes = 1024 * 1024
  const places = fc.oneof(fc.nat(lengthBytes - 100_000), fc.nat(200_000))
  const write = fc.record({
    at: places,
    length: fc.integer({ min: 1, max: 70_000 }),
    seed: fc.nat(255),
    isDrained: fc.boolean(),
  })
  // Of the few large buffers there must be one for each: who waits for one waits for those who wait for company.
  const needsLarge = ({ length }: { length: number }): boolean => length > SMALL_BUFFER_BYTES
  const writesOf = fc
    .array(write, { minLength: 2, maxLength: 40 })
    .filter(writes => writes.filter(needsLarge).length <= LARGE_WRITES_MAX)
  const contents = Buffer.alloc(lengthBytes)
  fill(contents, 1)
  await fc.assert(
    fc.asyncProperty(writesOf, async writes => {
      // More than there will ever be: whoever waited for company would wait for ever.
      const { store, damages, isIdle } = setUp(new Company(Infinity))
      const stream = store.open(7, 1, 0, 0, NOBODY)
      const model = Buffer.from(contents)
      await stream.write(0, model)
      await stream.flush()
      for (const { at, length: writeBytes, seed, isDrained } of writes) {
        const data = new Uint8Array(writeBytes)
        fill(data, seed)
        model.set(data, at)
        await stream.write(at, data)
        if (isDrained) stream.drain()
      }
      if (Buffer.compare(await readAll(stream), model) !== 0) throw new Error('contents differ')
      await stream.flush()
      if (Buffer.compare(await readAll(stream), model) !== 0) throw new Error('flushed otherwise')
      if (stream.mappedBytes !== model.length) throw new Error('a byte is mapped twice, or never')
      if (!isIdle() || damages.length > 0) throw new Error(`not idle, or damage: ${damages.join()}`)
    }),
    { numRuns: 8 },
  )
  t.pass()
})

t.test(
  'a small new file is stored from where it lies, in company of any number of others',
  async t => {
    const files = 20
    const company = new Company(files)
    const { store, buffers, isIdle } = setUp(company)
    const benches = []
    for (let bench = buffers.bench.tryAcquire(); bench; bench = buffers.bench.tryAcquire()) {
      benches.push(bench)
    }
    const written = Array.from({ length: files }, (_, index) => {
      const stream = store.open(7 + index, 1, 0, 0, NOBODY)
      const data = Buffer.alloc(1000 * (index + 1))
      fill(data, index)
      void stream.write(0, data)
      stream.drain()
      return { stream, data }
    })
    const isFlushed = (): boolean => written.every(({ stream }) => !stream.hasUnflushedData)
    for (let round = 0; round < 10_000 && !isFlushed(); round++) await turn()
    t.equal(company.waitingMax, files)
    for (const { stream, data } of written) {
      t.notOk(stream.hasUnflushedData, 'it needs no workbench, of which there is none')
      t.equal(stream.mappedBytes, data.length)
      t.equal(Buffer.compare(await readAll(stream), data), 0)
    }
    for (const bench of benches) bench.release()
    // What is written behind it is cut together with it, as ever.
    for (const { stream } of written) {
      await stream.write(stream.sizeBytes, Buffer.alloc(10, 1))
      await stream.flush()
      t.equal(stream.mappedBytes, stream.sizeBytes)
    }
    t.ok(isIdle())
  },
)

t.test('discard removes every extent, committed or not', async t => {
  const { metadata, store, extents } = setUp()
  const stream = store.open(7, 1, 0, 0, NOBODY)
  await stream.write(0, new Uint8Array(50_000).fill(3))
  await stream.flush()
  await metadata.commit()
  await stream.write(9_000_000, new Uint8Array(50_000).fill(4))
  await stream.flush()
  await store.discard(7)
  await metadata.commit()
  t.equal(extents.overlapping(7, 0, 10_000_000).length, 0)
  t.equal(metadata.records.size, 0)
})

t.test('what a crash may show never reaches past stored data', async t => {
  const { store } = setUp()
  const stream = store.open(7, 1, 0, 0, NOBODY)
  await stream.write(0, new Uint8Array(1000))
  t.equal(stream.sizeBytes, 1000)
  t.equal(stream.committableSizeBytes, 0)
  await stream.flush()
  t.equal(stream.committableSizeBytes, 1000)
})
