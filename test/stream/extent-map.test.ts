// The extents of all files beside a plain list, and when they are deleted while a commit writes them.

import fc from 'fast-check'
import { NO_OBSERVER } from './fakes.ts'
import t from 'tap'
import { EXTENT_PAGE_BYTES, type Extent } from '../../src/stream/extent.ts'
import { ExtentRecord } from '../../src/stream/extent-record.ts'
import { ExtentMap } from '../../src/stream/index.ts'
import { MemoryMetadata } from '../helpers/memory-metadata.ts'

const INODE = 7
const GROUP = 1
const EXTENT = {
  startBytes: 0,
  lengthBytes: 100,
  chunkOffsetBytes: 0,
  chunkLengthBytes: 100,
  fingerprint: new Uint8Array(32),
  location: { block: 1, page: 1, ordinal: 0 },
}
const PAGES_MAX = 10

/** Metadata whose commit takes a while: it is written when the test says so. */
class SlowMetadata extends MemoryMetadata {
  #written: (() => void) | undefined

  collectOnly(): void {
    const changes: (() => void)[] = []
    for (const participant of this.participants) {
      participant.collect({
        put: (key, value) => {
          const copy = Buffer.from(value)
          changes.push(() => this.records.set(Buffer.from(key).toString('latin1'), copy))
        },
        delete: key => {
          changes.push(() => this.records.delete(Buffer.from(key).toString('latin1')))
        },
      })
    }
    this.#written = () => changes.forEach(change => change())
  }

  settle(): void {
    this.#written?.()
    for (const participant of this.participants) participant.settled()
  }
}

function makeMap(): { metadata: SlowMetadata; extents: ExtentMap } {
  const metadata = new SlowMetadata()
  const extents = new ExtentMap(metadata, NO_OBSERVER)
  metadata.participants.push(extents)
  extents.replace(INODE, GROUP, 0, 100, [EXTENT])
  return { metadata, extents }
}

t.test('pages that a commit in flight is writing are deleted by the next one', async t => {
  const { metadata, extents } = makeMap()
  metadata.collectOnly()
  await extents.discardSlice(INODE, PAGES_MAX)
  metadata.settle()
  t.equal(metadata.records.size, 1, 'the commit in flight has written them')
  await metadata.commit()
  t.equal(metadata.records.size, 0)
})

t.test('so are those that a commit writes while LevelDB is asked', async t => {
  const { metadata, extents } = makeMap()
  const discarding = extents.discardSlice(INODE, PAGES_MAX)
  metadata.collectOnly()
  metadata.settle()
  await discarding
  await metadata.commit()
  t.equal(metadata.records.size, 0)
})

t.test('and those that LevelDB has', async t => {
  const { metadata, extents } = makeMap()
  await metadata.commit()
  t.equal(metadata.records.size, 1)
  t.equal(await extents.discardSlice(INODE, 1), true, 'the slice is full')
  t.equal(await extents.discardSlice(INODE, 1), false, 'there is nothing left')
  await metadata.commit()
  t.equal(metadata.records.size, 0)
})

const UNIT = 64 * 1024
const UNITS = (3 * EXTENT_PAGE_BYTES) / UNIT
const CHUNK_UNITS_MAX = 4

/** What is put somewhere: chunks behind each other, and holes. */
const put = fc.record({
  at: fc.nat(UNITS - 1),
  lengths: fc.array(fc.integer({ min: -2, max: CHUNK_UNITS_MAX }), { maxLength: 12 }),
  isCommitted: fc.boolean(),
})

t.test('whatever is put where, the extents are those of a plain list', async t => {
  await fc.assert(
    fc.asyncProperty(fc.array(put, { minLength: 1, maxLength: 40 }), async puts => {
      const metadata = new MemoryMetadata()
      const extents = new ExtentMap(metadata, NO_OBSERVER)
      metadata.participants.push(extents)
      const plain: (string | undefined)[] = Array.from({ length: UNITS }, () => undefined)
      for (const [number, { at, lengths, isCommitted }] of puts.entries()) {
        const added: Extent[] = []
        let end = at
        for (const length of lengths) {
          const next = Math.min(UNITS, end + Math.abs(length))
          if (length > 0 && next > end) added.push(chunkOf(number, end, next))
          for (let unit = end; unit < next; unit++) {
            plain[unit] = length > 0 ? `${number}:${end}:${unit - end}` : undefined
          }
          end = next
        }
        const before = countOf(extents, 0, UNITS)
        const grown = extents.replace(INODE, GROUP, at * UNIT, end * UNIT, added)
        if (grown !== (countOf(extents, 0, UNITS) - before) * UNIT) throw new Error('miscounted')
        if (isCommitted) await metadata.commit()
        const from = (number * 7) % UNITS
        for (const [low, high] of [
          [0, UNITS],
          [from, from + 1],
          [at, UNITS],
        ] as const) {
          compare(extents, plain, low, high)
        }
      }
      const fresh = new ExtentMap(metadata, NO_OBSERVER)
      await metadata.commit()
      compare(fresh, plain, 0, UNITS)
    }),
    { numRuns: 200 },
  )
  t.pass()
})

t.test('what moves is found at its new place, and the rest stays', async t => {
  const { metadata, extents } = makeMap()
  extents.replace(INODE, GROUP, UNIT, 3 * UNIT, [chunkOf(5, 1, 2), chunkOf(6, 2, 3)])
  await metadata.commit()
  const [key] = extents.pageKeys(INODE, 0, 1)
  if (key === undefined) throw new Error('a page has a key')
  t.notOk(extents.relocate(key, () => undefined))
  t.ok(extents.relocate(key, ({ block }) => (block === 5 ? MOVED : undefined)))
  t.strictSame(
    extents.overlapping(INODE, 0, 3 * UNIT).map(({ location }) => location),
    [EXTENT.location, MOVED, chunkOf(6, 2, 3).location],
  )
  t.notOk(
    extents.relocate(Buffer.from(key).fill(0xff, 1), () => MOVED),
    'a page that is not there',
  )
})

const MOVED = { block: 99, page: 8, ordinal: 7 }

function chunkOf(block: number, from: number, to: number): Extent {
  return {
    startBytes: from * UNIT,
    lengthBytes: (to - from) * UNIT,
    chunkOffsetBytes: 0,
    chunkLengthBytes: (to - from) * UNIT,
    fingerprint: new Uint8Array(32).fill(block),
    location: { block, page: from, ordinal: 0 },
  }
}

function countOf(extents: ExtentMap, low: number, high: number): number {
  return extents
    .overlapping(INODE, low * UNIT, high * UNIT)
    .reduce((sum, { lengthBytes }) => sum + lengthBytes / UNIT, 0)
}

function compare(
  extents: ExtentMap,
  plain: readonly (string | undefined)[],
  low: number,
  high: number,
): void {
  const found: (string | undefined)[] = Array.from({ length: UNITS }, () => undefined)
  let endBytes = 0
  for (const extent of extents.overlapping(INODE, low * UNIT, high * UNIT)) {
    if (extent.startBytes < endBytes) throw new Error('extents overlap, or out of order')
    endBytes = extent.startBytes + extent.lengthBytes
    if (endBytes <= low * UNIT || extent.startBytes >= high * UNIT) throw new Error('outside')
    const { block, page } = extent.location
    if (extent.fingerprint.some(byte => byte !== block)) throw new Error('another fingerprint')
    for (let at = 0; at < extent.lengthBytes; at += UNIT) {
      found[(extent.startBytes + at) / UNIT] =
        `${block}:${page}:${(extent.chunkOffsetBytes + at) / UNIT}`
    }
  }
  for (let unit = low; unit < Math.min(high, UNITS); unit++) {
    if (found[unit] !== plain[unit]) throw new Error(`unit ${unit} is ${found[unit]}`)
  }
}

t.test('a record that would read as damaged is never made', t => {
  const record = ExtentRecord.empty(GROUP).with(GROUP, 0, 0, 0, [
    chunkOf(1, 2, 4),
    chunkOf(2, 6, 8),
  ])
  const refused = (from: number, to: number, ...extents: Extent[]): void => {
    t.throws(() => record.with(GROUP, 0, from, to, extents), { code: 'RECORD_DAMAGED' })
  }
  refused(1, 1, chunkOf(3, 3, 5))
  refused(1, 1, chunkOf(3, 5, 7))
  refused(2, 2, chunkOf(3, 9, 10), chunkOf(4, 8, 9))
  refused(0, 0, chunkOf(3, 0, 3))
  t.equal(record.with(GROUP, 0, 1, 1, [chunkOf(3, 4, 6)]).count, 3)
  t.equal(record.with(GROUP, 0, 0, 2, []).count, 0)
  t.end()
})

t.test('a file without extents gets its first ones as if they replaced nothing', async t => {
  const sizes = fc.array(fc.integer({ min: 1, max: 256 * 1024 }), { minLength: 1, maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(sizes, fc.nat(3 * EXTENT_PAGE_BYTES), async (lengths, startBytes) => {
      let at = startBytes
      const added = lengths.map(lengthBytes => {
        const extent = { ...EXTENT, startBytes: at, lengthBytes, chunkLengthBytes: lengthBytes }
        at += lengthBytes
        return extent
      })
      const [placed, replaced] = [new MemoryMetadata(), new MemoryMetadata()]
      const [one, other] = [
        new ExtentMap(placed, NO_OBSERVER),
        new ExtentMap(replaced, NO_OBSERVER),
      ]
      placed.participants.push(one)
      replaced.participants.push(other)
      const grown = one.place(INODE, GROUP, added)
      t.equal(grown, other.replace(INODE, GROUP, startBytes, at, added))
      await placed.commit()
      await replaced.commit()
      t.same(placed.records, replaced.records)
    }),
    { numRuns: 50 },
  )
})

t.test('it says how many records a commit will have', async t => {
  const metadata = new MemoryMetadata()
  let told = 0
  const extents = new ExtentMap(metadata, NO_OBSERVER, recordCount => (told += recordCount))
  metadata.participants.push(extents)
  const pages = [0, 1, 2].map(page => ({ ...EXTENT, startBytes: page * EXTENT_PAGE_BYTES }))
  extents.place(INODE, GROUP, pages)
  t.equal(told, 3)
  extents.replace(INODE, GROUP, 0, 50, [])
  t.equal(told, 3, 'one record, however often it changes')
  await metadata.commit()
  t.equal(metadata.records.size, 3)
  await extents.discardSlice(INODE, PAGES_MAX)
  t.equal(told, 6)
})
