// Copies of ranges against a plain map of every byte's origin: random layouts of extents over several pages, chunks that
// reach over the ends of pages, holes, targets that hold something already.

import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { EXTENT_PAGE_BYTES, ExtentMap, StoredReader } from '../../src/stream/index.ts'
import { RecentChunks, StreamBuffers, StreamStore } from '../../src/stream/index.ts'
import type { Extent } from '../../src/stream/extent.ts'
import type { FileStream } from '../../src/stream/index.ts'
import { MemoryMetadata } from '../helpers/memory-metadata.ts'
import { NOBODY, NO_OBSERVER } from './fakes.ts'

const GROUP = 1
/** Offsets are multiples of it, so that a plain map of a file stays small. */
const UNIT_BYTES = 64 * 1024
const PAGE_UNITS = EXTENT_PAGE_BYTES / UNIT_BYTES
const FILE_UNITS = 5 * PAGE_UNITS
const CHUNK_UNITS_MAX = 4

function setUp() {
  const metadata = new MemoryMetadata()
  const extents = new ExtentMap(metadata, NO_OBSERVER)
  metadata.participants.push(extents)
  const never = (): never => {
    throw new Error('nothing is read or stored')
  }
  const reader = new StoredReader({
    extents,
    recent: new RecentChunks(),
    pinnedRegionsMax: 1,
    regions: { readRegion: never, cachedRegion: never, hasBlock: never },
    suspected: never,
    heal: never,
    damaged: never,
  })
  const store = new StreamStore({
    buffers: new StreamBuffers(new Uint8Array(32 * 1024 * 1024)),
    extents,
    reader,
    recent: new RecentChunks(),
    cut: never,
    store: never,
    beginStore: () => () => {},
    beginRead: () => () => {},
    hurry: () => () => {},
    readStored: never,
    checkAccess: () => {},
    reserve: () => {},
    lost: never,
    commit: () => metadata.commit(),
  })
  const open = (inode: number): FileStream => store.open(inode, GROUP, 0, 0, NOBODY)
  return { metadata, extents, store, open }
}

/** What the units of a file say: a chunk, and which of its units; undefined for holes. */
type Plain = (string | undefined)[]

/** Lengths of extents, and of holes where negative, one behind the other. */
function layOut(stream: FileStream, plain: Plain, lengths: readonly number[], file: number): void {
  let at = 0
  for (const length of lengths) {
    const end = Math.min(FILE_UNITS, at + Math.abs(length))
    if (length > 0 && end > at) {
      stream.adopt(at * UNIT_BYTES, end * UNIT_BYTES, [chunkAt(at, end - at, file)])
      for (let unit = at; unit < end; unit++) plain[unit] = `${file}:${at}:${unit - at}`
    }
    at = end
  }
}

function chunkAt(unit: number, units: number, file: number): Extent {
  return {
    startBytes: unit * UNIT_BYTES,
    lengthBytes: units * UNIT_BYTES,
    chunkOffsetBytes: 0,
    chunkLengthBytes: units * UNIT_BYTES,
    fingerprint: new Uint8Array(32).fill(file),
    location: { block: file, page: 1 + unit, ordinal: 0 },
  }
}

function plainOf(extents: ExtentMap, stream: FileStream): Plain {
  const plain: Plain = []
  let endBytes = 0
  for (const extent of extents.overlapping(stream.inode, 0, stream.sizeBytes)) {
    if (extent.startBytes < endBytes) throw new Error('extents overlap')
    endBytes = extent.startBytes + extent.lengthBytes
    const { block, page } = extent.location
    for (let at = 0; at < extent.lengthBytes; at += UNIT_BYTES) {
      const within = (extent.chunkOffsetBytes + at) / UNIT_BYTES
      plain[(extent.startBytes + at) / UNIT_BYTES] = `${block}:${page - 1}:${within}`
    }
  }
  return plain
}

function count(plain: Plain): number {
  return plain.filter(unit => unit !== undefined).length
}

const lengths = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.integer({ min: 1, max: CHUNK_UNITS_MAX }) },
    { weight: 1, arbitrary: fc.integer({ min: -2 * PAGE_UNITS, max: -1 }) },
  ),
  { maxLength: 150, size: 'max' },
)
const units = fc.integer({ min: 0, max: FILE_UNITS })

t.test('a copy of any range is that range, and nothing else changes', async t => {
  let pages = 0
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        source: lengths,
        target: lengths,
        from: units,
        length: units,
        shiftPages: fc.integer({ min: -4, max: 4 }),
        shiftUnits: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: PAGE_UNITS })),
        isCommitted: fc.boolean(),
        isWatched: fc.boolean(),
      }),
      async ({ source, target, from, length, shiftPages, shiftUnits, isCommitted, isWatched }) => {
        const { metadata, extents, store, open } = setUp()
        const [one, other] = [open(1), open(2)]
        const plain: [Plain, Plain] = [[], []]
        layOut(one, plain[0], source, 1)
        layOut(other, plain[1], target, 2)
        if (isCommitted) await metadata.commit()
        const seen = new Set<string>()
        if (isWatched) {
          extents.watch({
            put: location => {
              seen.add(`${location.block}:${location.page - 1}`)
              return location
            },
          })
        }
        const to = Math.max(0, from + shiftPages * PAGE_UNITS + shiftUnits)
        const end = Math.min(from + length, Math.floor(one.sizeBytes / UNIT_BYTES))
        if (end <= from) return
        for (let unit = from; unit < end; unit++) plain[1][to + unit - from] = plain[0][unit]
        await store.share(one, from * UNIT_BYTES, other, to * UNIT_BYTES, (end - from) * UNIT_BYTES)
        if (shiftUnits === 0) pages += Math.floor((end - from) / PAGE_UNITS)
        for (const when of ['at once', 'after a commit']) {
          for (const [index, stream] of [one, other].entries()) {
            const found = plainOf(extents, stream)
            for (let unit = 0; unit < 2 * FILE_UNITS; unit++) {
              if (found[unit] !== plain[index]?.[unit]) {
                throw new Error(`${when}: file ${index + 1} differs at unit ${unit}`)
              }
            }
            if (stream.mappedBytes !== count(found) * UNIT_BYTES) throw new Error('mapped bytes')
          }
          await metadata.commit()
        }
        if (isWatched) {
          for (const unit of plain[0].slice(from, end)) {
            const chunk = unit?.split(':').slice(0, 2).join(':')
            if (chunk !== undefined && !seen.has(chunk)) throw new Error(`${chunk} was not told`)
          }
        }
      },
    ),
    { numRuns: Number(process.env['COFFER_SHARE_RUNS'] ?? 100) },
  )
  t.ok(pages > 10, `${pages} pages could be copied whole`)
})

t.test('what is written into the copied part while the rest is copied stays', async t => {
  const { extents, store, open } = setUp()
  const [one, other] = [open(1), open(2)]
  // A chunk over the end of each page, and more pages than one slice copies.
  const pageCount = 200
  for (let page = 0; page < pageCount; page++) {
    const at = page * PAGE_UNITS
    const last = at + PAGE_UNITS - 1
    one.adopt((at + 1) * UNIT_BYTES, (last + 2) * UNIT_BYTES, [
      chunkAt(at + 1, CHUNK_UNITS_MAX, 1),
      chunkAt(last, 2, 1),
    ])
  }
  const sharing = store.share(one, 0, other, 0, one.sizeBytes)
  // When the first slice is done, somebody else gets his turn, and writes over its last chunk.
  while (other.sizeBytes === 0) await nextTurn()
  const written = Math.floor(other.sizeBytes / EXTENT_PAGE_BYTES) * PAGE_UNITS
  t.ok(written > 0 && other.sizeBytes === (written + 1) * UNIT_BYTES, 'a slice ends so')
  other.adopt(written * UNIT_BYTES, (written + 1) * UNIT_BYTES, [chunkAt(written, 1, 9)])
  await sharing
  const [expected, found] = [plainOf(extents, one), plainOf(extents, other)]
  expected[written] = `9:${written}:0`
  // Spread, since holes in arrays equal anything to the comparison.
  t.strictSame([...found], [...expected])
})

t.test('a damaged page of the source leaves the target as it was', async t => {
  const { metadata, extents, store, open } = setUp()
  const [one, other] = [open(1), open(2)]
  for (let page = 0; page < 4; page++) {
    const at = page * PAGE_UNITS
    one.adopt(at * UNIT_BYTES, (at + PAGE_UNITS) * UNIT_BYTES, [chunkAt(at, 1, 1)])
    other.adopt(at * UNIT_BYTES, (at + PAGE_UNITS) * UNIT_BYTES, [chunkAt(at + 1, 1, 2)])
  }
  await metadata.commit()
  const before = plainOf(extents, other)
  // The third page of the first file: neither of those that say where the range begins and ends.
  const [key] = extents.pageKeys(1, 3 * EXTENT_PAGE_BYTES, 3 * EXTENT_PAGE_BYTES + 1).slice(-2)
  const record = metadata.get(key ?? Buffer.alloc(0))
  if (record === undefined) throw new Error('there is no such page')
  record.fill(0xff, 7, 11)
  metadata.records.set(Buffer.from(key ?? []).toString('latin1'), record)
  await t.rejects(store.share(one, 0, other, 0, 4 * EXTENT_PAGE_BYTES), { code: 'RECORD_DAMAGED' })
  t.strictSame([...plainOf(extents, other)], [...before])
  t.equal(other.mappedBytes, 4 * UNIT_BYTES)
})
