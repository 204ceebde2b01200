// Accepted data that can't be stored: what was there before is there again, and nothing that nobody wrote.

import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { FilesystemError } from '../../src/errors.ts'
import { LARGE_DATA_BYTES } from '../../src/stream/buffers.ts'
import type { FileStream } from '../../src/stream/index.ts'
import { fill, NOBODY, readAll, setUp } from './fakes.ts'

const NO_SPACE = new FilesystemError('ENOSPC')
const STORED_BYTES = 300_000

/** Zeros are never written here. */
function bytesOf(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length)
  fill(bytes, seed)
  return bytes.map(byte => byte | 1) as Buffer
}

async function openStored() {
  const world = setUp()
  const failures: Error[] = []
  const owner = { changed() {}, failed: (error: Error) => failures.push(error) }
  const stream = world.store.open(7, 1, 0, 0, owner)
  const stored = bytesOf(STORED_BYTES, 1)
  await stream.write(0, stored)
  await stream.flush()
  return { ...world, stream, stored, failures }
}

t.test('a file that had grown ends where it is stored', async t => {
  const { stream, stored, chunks, lost, failures, store, isIdle } = await openStored()
  chunks.failure = NO_SPACE
  await stream.write(STORED_BYTES, bytesOf(200_000, 2))
  t.equal(stream.sizeBytes, STORED_BYTES + 200_000)
  t.equal(stream.committableSizeBytes, STORED_BYTES)
  await t.rejects(stream.flush(), { code: 'ENOSPC' })
  t.equal(stream.sizeBytes, STORED_BYTES)
  t.equal(stream.committableSizeBytes, STORED_BYTES)
  t.equal(Buffer.compare(await readAll(stream), stored), 0)
  t.ok(failures.length > 0, 'its owner is told')
  t.ok(lost.includes(7), 'and whoever keeps the alerts')
  chunks.failure = undefined
  await stream.flush()
  const more = bytesOf(100_000, 3)
  await stream.write(STORED_BYTES, more)
  await stream.flush()
  t.equal(Buffer.compare(await readAll(stream), Buffer.concat([stored, more])), 0)
  t.equal(store.unflushedBytes, 0)
  t.ok(isIdle())
})

t.test('what comes behind a gap goes with it', async t => {
  const { stream, stored, chunks, isIdle } = await openStored()
  chunks.failure = NO_SPACE
  await stream.write(STORED_BYTES, bytesOf(1000, 2))
  stream.drain()
  await stream.write(STORED_BYTES + 50_000, bytesOf(1000, 3))
  // The first one has met the full disk by now, or will in a moment; the second one would find room.
  for (let round = 0; round < 3; round++) await turn()
  chunks.failure = undefined
  await stream.flush().catch((error: unknown) => t.match(error, { code: 'ENOSPC' }))
  t.equal(Buffer.compare(await readAll(stream), stored), 0)
  t.ok(isIdle())
})

t.test('overwritten data is the old one again, and the file as long as it was', async t => {
  const { stream, stored, chunks, isIdle } = await openStored()
  chunks.failure = NO_SPACE
  await stream.write(1000, bytesOf(50_000, 2))
  await t.rejects(stream.flush(), { code: 'ENOSPC' })
  t.equal(Buffer.compare(await readAll(stream), stored), 0)
  chunks.failure = undefined
  await stream.truncate(STORED_BYTES + 10)
  t.equal(stream.sizeBytes, STORED_BYTES + 10, 'what it is told afterwards it does')
  t.ok(isIdle())
})

t.test('so does one whose last bytes were undecided', async t => {
  const { store, chunks, isIdle } = setUp()
  const stream = store.open(7, 1, 0, 0, NOBODY)
  // A buffer to the full, of which all but an undecided rest is stored.
  const data = bytesOf(LARGE_DATA_BYTES, 4)
  await stream.write(0, data)
  while (stream.committableSizeBytes === 0) await turn()
  const storedBytes = stream.committableSizeBytes
  t.ok(storedBytes < data.length)
  chunks.cutFailure = NO_SPACE
  await t.rejects(stream.flush(), { code: 'ENOSPC' })
  t.equal(stream.sizeBytes, storedBytes)
  t.equal(Buffer.compare(await readAll(stream), data.subarray(0, storedBytes)), 0)
  t.ok(isIdle())
})

t.test('data of a file that was emptied meanwhile has not failed', async t => {
  const { stream, chunks, failures, lost, isIdle } = await openStored()
  chunks.failure = NO_SPACE
  await stream.write(STORED_BYTES, bytesOf(200_000, 2))
  stream.drain()
  await stream.truncate(0)
  const data = bytesOf(1000, 3)
  await stream.settle()
  chunks.failure = undefined
  await stream.write(0, data)
  await stream.flush()
  t.equal(Buffer.compare(await readAll(stream), data), 0)
  t.same([failures, lost], [[], []])
  t.ok(isIdle())
})

type Step =
  | { kind: 'append'; length: number; seed: number }
  | { kind: 'overwrite'; share: number; length: number; seed: number }
  | { kind: 'drain' | 'flush' | 'break' | 'break cutting' | 'mend' | 'turn' }

const length = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 5000 }) },
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 300_000 }) },
  { weight: 1, arbitrary: fc.constant(4_000_000) },
)
const seed = fc.nat(255)
const share = fc.double({ min: 0, max: 1, noNaN: true })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('append' as const), length, seed }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('overwrite' as const), share, length, seed }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'drain' as const,
        'flush' as const,
        'break' as const,
        'break cutting' as const,
        'mend' as const,
        'turn' as const,
      ),
    }),
  },
)

/** What a file may hold: at every place what was stored last, or what somebody wrote there since. */
class Expected {
  #stored: Buffer = Buffer.alloc(0)
  #newest: Buffer = Buffer.alloc(0)
  #writes: { at: number; data: Buffer }[] = []

  wrote(at: number, data: Buffer): void {
    const grown = Buffer.alloc(Math.max(this.#newest.length, at + data.length))
    this.#newest.copy(grown)
    grown.set(data, at)
    this.#newest = grown
    this.#writes.push({ at, data })
  }

  /** Goes on from what was found. @param isWhole nothing failed: only the newest will do */
  check(found: Buffer, isWhole: boolean): void {
    if (isWhole) {
      if (Buffer.compare(found, this.#newest) !== 0) throw new Error('not what was written last')
    } else if (!this.#isPossible(found)) throw new Error('neither old nor new')
    this.#stored = found
    this.#newest = found
    this.#writes = []
  }

  #isPossible(found: Buffer): boolean {
    const isExplained = new Uint8Array(found.length)
    const explain = (start: number, data: Buffer): void => {
      const endBytes = Math.min(found.length, start + data.length)
      for (let at = start; at < endBytes; at++) {
        if (found[at] === data[at - start]) isExplained[at] = 1
      }
    }
    explain(0, this.#stored)
    for (const { at, data } of this.#writes) explain(at, data)
    return found.length >= this.#stored.length && !isExplained.includes(0)
  }
}

async function run(steps: readonly Step[]): Promise<void> {
  const { store, chunks, isIdle, damages } = setUp()
  let failures = 0
  const stream: FileStream = store.open(7, 1, 0, 0, {
    changed() {},
    failed: () => {
      failures++
    },
  })
  const expected = new Expected()
  let [before, isTold] = [0, false]
  const write = async (at: number, data: Buffer): Promise<void> => {
    expected.wrote(at, data)
    // A write that had to wait may be told itself.
    await stream.write(at, data)?.catch(() => {
      isTold = true
    })
  }
  const flush = async (): Promise<void> => {
    const already = failures
    const isRefused = await stream.flush().then(
      () => false,
      () => true,
    )
    if (isRefused !== failures > already) throw new Error('a failure was not told, or made up')
    expected.check(await readAll(stream), failures === before && !isTold)
    if (stream.committableSizeBytes !== stream.sizeBytes) throw new Error('not committable')
    ;[before, isTold] = [failures, false]
  }
  for (const current of steps) {
    if (current.kind === 'append') {
      await write(stream.sizeBytes, bytesOf(current.length, current.seed))
    } else if (current.kind === 'overwrite') {
      const at = Math.floor(current.share * stream.sizeBytes)
      await write(at, bytesOf(current.length, current.seed))
    } else if (current.kind === 'drain') stream.drain()
    else if (current.kind === 'turn') await turn()
    else if (current.kind === 'flush') await flush()
    else {
      chunks.failure = current.kind === 'break' ? NO_SPACE : undefined
      chunks.cutFailure = current.kind === 'break cutting' ? NO_SPACE : undefined
    }
  }
  await flush()
  await turn()
  if (!isIdle()) throw new Error('a buffer or a region was not given back')
  if (damages.length > 0) throw new Error(damages.join())
}

t.test('wherever it fails, every byte is an old or a new one', async t => {
  const steps = fc.array(step, { minLength: 3, maxLength: 30 })
  await fc.assert(fc.asyncProperty(steps, run), { numRuns: 60 })
  t.pass()
})
