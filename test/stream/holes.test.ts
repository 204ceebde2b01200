// Holes are zeros, whatever pages, buffers and extents lie around. Offsets and lengths come from what the code counts in, and
// one byte or one page of memory beside that; the model is the list of what was done. COFFER_HOLES_SEED repeats a printed run.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { BLOCK_FILE_BYTES_MAX, CHUNK_BYTES_MAX } from '../../src/blocks/block-store.ts'
import { EXTENT_PAGE_BYTES, FILE_BYTES_MAX } from '../../src/stream/extent.ts'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
} from '../../src/vfs/linux.ts'
import { contentOf, OpenStore } from '../helpers/open-store.ts'

const RUNS = Number(process.env['COFFER_HOLES_RUNS'] ?? 60)
const SEED = Number(process.env['COFFER_HOLES_SEED'] ?? Date.now() % 2 ** 31)
const SEEK_DATA = 3
const SEEK_HOLE = 4
const PAGE_BYTES = 4096
/** So much on both sides of each place where something began or ended is compared. */
const WINDOW_BYTES = 2 * PAGE_BYTES

/** Chunks, write buffers, requests, pages of extents, block files, what is cut at once, words. */
const BOUNDARIES = [
  0,
  PAGE_BYTES,
  8192,
  65_536,
  CHUNK_BYTES_MAX,
  2 ** 20,
  EXTENT_PAGE_BYTES,
  2 * EXTENT_PAGE_BYTES,
  BLOCK_FILE_BYTES_MAX,
  2 ** 31,
  2 ** 32,
  2 ** 32 + EXTENT_PAGE_BYTES,
  2 ** 40,
]
const BESIDE = [-PAGE_BYTES, -1, 0, 1, PAGE_BYTES]
const WRITE_LENGTHS = [1, PAGE_BYTES - 1, PAGE_BYTES, 8192, 65_537, CHUNK_BYTES_MAX + 1, 1_500_000]
const HOLE_LENGTHS = [...WRITE_LENGTHS, EXTENT_PAGE_BYTES, EXTENT_PAGE_BYTES + 1, 2 ** 32, 2 ** 40]

function stepAround(boundaries: readonly number[]) {
  const places = boundaries.flatMap(at => BESIDE.map(by => at + by)).filter(at => at >= 0)
  const offset = fc.constantFrom(...places)
  return fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        op: fc.constant('write' as const),
        offset,
        length: fc.constantFrom(...WRITE_LENGTHS),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        op: fc.constantFrom('punch' as const, 'zero' as const, 'zeroKeep' as const),
        offset,
        length: fc.constantFrom(...HOLE_LENGTHS),
      }),
    },
    { weight: 3, arbitrary: fc.record({ op: fc.constant('truncate' as const), offset }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('sync' as const) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('pass' as const) }) },
  )
}

/** Few places in one history, so that what is done there meets. */
const history = fc
  .uniqueArray(fc.constantFrom(...BOUNDARIES), { minLength: 1, maxLength: 2 })
  .chain(boundaries => {
    return fc.array(stepAround(boundaries), { minLength: 2, maxLength: 12, size: 'max' })
  })
type Step = ReturnType<typeof stepAround> extends fc.Arbitrary<infer Value> ? Value : never

const MODES = {
  punch: FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
  zero: FALLOC_FL_ZERO_RANGE,
  zeroKeep: FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
}

/** What was done to one file, in order. */
class Model {
  sizeBytes = 0
  readonly #done: { from: number; to: number; data: Buffer | undefined }[] = []

  write(from: number, data: Buffer): void {
    this.#done.push({ from, to: from + data.length, data })
    this.sizeBytes = Math.max(this.sizeBytes, from + data.length)
  }

  clear(from: number, to: number): void {
    this.#done.push({ from, to, data: undefined })
  }

  truncate(sizeBytes: number): void {
    if (sizeBytes < this.sizeBytes) this.clear(sizeBytes, FILE_BYTES_MAX)
    this.sizeBytes = sizeBytes
  }

  read(from: number, to: number): Buffer {
    const end = Math.max(from, Math.min(to, this.sizeBytes))
    const bytes = Buffer.alloc(end - from)
    for (const each of this.#done) {
      const [low, high] = [Math.max(from, each.from), Math.min(end, each.to)]
      if (low >= high) continue
      if (each.data === undefined) bytes.fill(0, low - from, high - from)
      else each.data.copy(bytes, low - from, low - each.from, high - each.from)
    }
    return bytes
  }

  /** All places where something began or ended, within the file. */
  places(): number[] {
    const all = [0, this.sizeBytes, ...this.#done.flatMap(({ from, to }) => [from, to])]
    return [...new Set(all)].filter(at => at <= this.sizeBytes).sort((a, b) => a - b)
  }
}

class File {
  readonly model = new Model()
  readonly #store: OpenStore
  readonly #handle: number
  #number = 0

  constructor(store: OpenStore, handle: number) {
    this.#store = store
    this.#handle = handle
  }

  async apply(each: Step): Promise<void> {
    const { vfs, cleaner } = this.#store.storage
    switch (each.op) {
      case 'write': {
        const data = contentOf(++this.#number, each.length)
        await this.#store.patch('a/f', each.offset, data)
        this.model.write(each.offset, data)
        return
      }
      case 'truncate':
        await this.#store.truncate('a/f', each.offset)
        this.model.truncate(each.offset)
        return
      case 'sync':
        return this.#store.sync()
      case 'pass':
        await cleaner.start('manual').done
        return
      default: {
        const end = each.offset + each.length
        await vfs.fallocate(this.#handle, each.offset, each.length, MODES[each.op])
        this.model.clear(each.offset, end)
        if (each.op === 'zero') this.model.sizeBytes = Math.max(this.model.sizeBytes, end)
      }
    }
  }

  async check(): Promise<void> {
    const { model } = this
    for (const place of model.places()) {
      const from = Math.max(0, place - WINDOW_BYTES)
      const to = Math.min(place + WINDOW_BYTES, model.sizeBytes)
      const read = await this.#store.storage.vfs.read(this.#handle, from, to - from)
      const found = Buffer.concat(read.pieces)
      read.release()
      if (!found.equals(model.read(from, to))) throw new Error(`bytes around ${place} differ`)
    }
    await this.#checkSeek()
  }

  /** From data to hole to data: what is passed over as a hole reads as zeros, and there is an end. */
  async #checkSeek(): Promise<void> {
    const { vfs } = this.#store.storage
    const places = this.model.places()
    let at = 0
    while (at < this.model.sizeBytes) {
      const data = await vfs.lseek(this.#handle, at, SEEK_DATA).catch(() => this.model.sizeBytes)
      for (const place of places) {
        const [from, to] = [
          Math.max(at, place - WINDOW_BYTES),
          Math.min(data, place + WINDOW_BYTES),
        ]
        if (from >= to) continue
        const bytes = this.model.read(from, to)
        if (bytes.some(byte => byte !== 0)) throw new Error(`data at ${place} is said to be a hole`)
      }
      if (data >= this.model.sizeBytes) return
      const hole = await vfs.lseek(this.#handle, data, SEEK_HOLE)
      if (hole <= data) throw new Error(`the hole at ${hole} does not come after ${data}`)
      at = hole
    }
  }
}

t.test(
  'no order of writes, holes and truncations brings old bytes back',
  { timeout: 0 },
  async t => {
    t.comment(`COFFER_HOLES_SEED=${SEED}`)
    await fc.assert(
      fc.asyncProperty(history, async steps => {
        const directory = await mkdtemp(join(tmpdir(), 'coffer-holes-'))
        const store = await OpenStore.open(directory)
        store.addContainer('a')
        await store.write('a/f', Buffer.alloc(0))
        const { handle, close } = await store.openHandle('a/f')
        const file = new File(store, handle)
        try {
          for (const each of steps) {
            await file.apply(each)
            await file.check()
          }
        } finally {
          close()
          await store.close()
          await rm(directory, { recursive: true, force: true })
        }
      }),
      { numRuns: RUNS, seed: SEED },
    )
  },
)
