import fc from 'fast-check'
import t from 'tap'
import { CHUNK_BYTES_MAX } from '../../src/blocks/block-store.ts'
import { endOf, type Extent } from '../../src/stream/extent.ts'
import { rangeToCut, type NewData } from '../../src/stream/overwrite.ts'

/** Extents of a file by the rules of the pipeline: a range that is cut becomes chunks of some length. */
class File {
  extents: Extent[] = []
  #chunkCount = 0

  constructor(...lengths: number[]) {
    let at = 0
    for (const length of lengths) {
      this.#put(at, at + length, Infinity)
      at += length
    }
  }

  get sizeBytes(): number {
    const last = this.extents.at(-1)
    return last === undefined ? 0 : endOf(last)
  }

  at = (offset: number): Extent | undefined =>
    this.extents.find(extent => extent.startBytes <= offset && endOf(extent) > offset)

  /** @returns the range that was cut */
  write(startBytes: number, lengthBytes: number, chunkBytes = Infinity): [number, number] {
    const data = { startBytes, endBytes: startBytes + lengthBytes, isStart: true, isEnd: true }
    const cut = rangeToCut(data, this.at)
    this.#put(cut.startBytes, cut.endBytes, chunkBytes)
    return [cut.startBytes, cut.endBytes]
  }

  #put(startBytes: number, endBytes: number, chunkBytes: number): void {
    const kept = this.extents.flatMap(extent => {
      const pieces: Extent[] = []
      if (extent.startBytes < startBytes) {
        const lengthBytes = Math.min(endOf(extent), startBytes) - extent.startBytes
        pieces.push({ ...extent, lengthBytes })
      }
      if (endOf(extent) > endBytes) {
        const from = Math.max(extent.startBytes, endBytes)
        const chunkOffsetBytes = extent.chunkOffsetBytes + from - extent.startBytes
        const lengthBytes = endOf(extent) - from
        pieces.push({ ...extent, startBytes: from, lengthBytes, chunkOffsetBytes })
      }
      return pieces
    })
    for (let at = startBytes; at < endBytes;) {
      const lengthBytes = Math.min(endBytes - at, chunkBytes, CHUNK_BYTES_MAX)
      kept.push({
        startBytes: at,
        lengthBytes,
        chunkOffsetBytes: 0,
        chunkLengthBytes: lengthBytes,
        fingerprint: new Uint8Array(0),
        location: { block: 1, page: 0, ordinal: this.#chunkCount++ },
      })
      at += lengthBytes
    }
    this.extents = kept.toSorted((a, b) => a.startBytes - b.startBytes)
  }

  /** chunk => how many pieces of it there are */
  get pieces(): Map<number, number> {
    const pieces = new Map<number, number>()
    for (const { location } of this.extents) {
      pieces.set(location.ordinal, (pieces.get(location.ordinal) ?? 0) + 1)
    }
    return pieces
  }

  /** What lies on the disk, for what the file holds. */
  get storedBytes(): number {
    const chunks = new Map(this.extents.map(each => [each.location.ordinal, each.chunkLengthBytes]))
    return [...chunks.values()].reduce((sum, length) => sum + length, 0)
  }
}

const KIB = 1024

t.test('the first overwrite within a chunk splits it, the second one makes it whole', async t => {
  const file = new File(32 * KIB, 32 * KIB, 32 * KIB)
  t.strictSame(file.write(40 * KIB, 4 * KIB), [40 * KIB, 44 * KIB])
  t.equal(file.extents.length, 5)
  t.strictSame(file.write(40 * KIB, 4 * KIB), [40 * KIB, 44 * KIB], 'the same place again')
  t.strictSame(file.write(52 * KIB, 4 * KIB), [32 * KIB, 64 * KIB], 'another one')
  t.equal(file.extents.length, 3)
})

t.test('one that adjoins an earlier one makes it whole too', async t => {
  for (const start of [36, 44]) {
    const file = new File(32 * KIB, 32 * KIB, 32 * KIB)
    file.write(40 * KIB, 4 * KIB)
    t.strictSame(file.write(start * KIB, 4 * KIB), [32 * KIB, 64 * KIB], `${start} KiB`)
  }
})

t.test('most of a chunk is not kept for the rest of it', async t => {
  const file = new File(32 * KIB, 32 * KIB, 32 * KIB)
  t.strictSame(file.write(33 * KIB, 20 * KIB), [32 * KIB, 64 * KIB])
  t.strictSame(file.write(20 * KIB, 50 * KIB), [20 * KIB, 70 * KIB], 'little of either end')
  t.strictSame(new File(32 * KIB, 32 * KIB).write(4 * KIB, 30 * KIB), [0, 64 * KIB], 'much of one')
})

t.test('at chunks’ own ends nothing is cut again', async t => {
  const file = new File(32 * KIB, 32 * KIB, 32 * KIB)
  t.strictSame(file.write(32 * KIB, 32 * KIB), [32 * KIB, 64 * KIB])
  t.strictSame(file.write(0, 96 * KIB), [0, 96 * KIB])
})

t.test(
  'what is appended is cut together with the last chunk, unless that has its full length',
  async t => {
    const file = new File(32 * KIB, 10 * KIB)
    t.strictSame(file.write(42 * KIB, 4 * KIB), [32 * KIB, 46 * KIB])
    t.strictSame(new File(CHUNK_BYTES_MAX).write(CHUNK_BYTES_MAX, 5), [
      CHUNK_BYTES_MAX,
      CHUNK_BYTES_MAX + 5,
    ])
    t.strictSame(file.write(100 * KIB, 5), [100 * KIB, 100 * KIB + 5], 'behind a hole')
    t.strictSame(file.write(0, 5), [0, 5])
  },
)

t.test('a side at which other new data adjoins is left alone', async t => {
  const file = new File(32 * KIB, 32 * KIB)
  file.write(8 * KIB, 4 * KIB)
  file.write(40 * KIB, 4 * KIB)
  const data: NewData = { startBytes: 20 * KIB, endBytes: 50 * KIB, isStart: true, isEnd: true }
  const cut = (sides: Partial<NewData>): number[] =>
    Object.values(rangeToCut({ ...data, ...sides }, file.at))
  t.strictSame(cut({}), [0, 64 * KIB])
  t.strictSame(cut({ isStart: false }), [20 * KIB, 64 * KIB])
  t.strictSame(cut({ isEnd: false }), [0, 50 * KIB])
  t.strictSame(cut({ isStart: false, isEnd: false }), [20 * KIB, 50 * KIB])
})

t.test('whatever is written where, chunks stay in few pieces and little is kept in vain', t => {
  const chunk = fc.integer({ min: 1, max: 96 * KIB })
  const write = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), length: chunk })
  fc.assert(
    fc.property(
      fc.array(chunk, { minLength: 1, maxLength: 20 }),
      fc.array(write, { maxLength: 60 }),
      // A file of single bytes has more pieces than this plain list can bear.
      fc.integer({ min: 2 * KIB, max: 96 * KIB }),
      (lengths, writes, chunkBytes) => {
        const file = new File(...lengths)
        for (const { at, length } of writes) {
          const start = Math.floor(at * file.sizeBytes)
          const [from, to] = file.write(start, length, chunkBytes)
          if (from > start || to < start + length) throw new Error('data was left out')
          if (start - from >= CHUNK_BYTES_MAX || to - start - length >= CHUNK_BYTES_MAX) {
            throw new Error('more is read than there is room for')
          }
        }
        const pieces = [...file.pieces.values()].reduce((most, count) => Math.max(most, count), 0)
        if (pieces > 3) throw new Error(`a chunk is in ${pieces} pieces`)
        if (file.storedBytes > 2 * file.sizeBytes + CHUNK_BYTES_MAX) {
          throw new Error(`${file.storedBytes} bytes are stored for ${file.sizeBytes}`)
        }
      },
    ),
    // Shrinking takes minutes, and tells no more.
    { numRuns: 300, endOnFailure: true },
  )
  t.pass()
  t.end()
})
