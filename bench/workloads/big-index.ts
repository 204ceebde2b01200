// A store that has grown: an index of many millions of chunks, made up but in the store's own records, and then new and
// known data written beside it.

import { randomFillSync } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { OfflineMetadata } from '../../src/metadata/index.ts'
import { ChunkFilter, indexEntry, indexRange, saveFilter } from '../../src/dedupe/index.ts'
import { CofferTarget } from '../coffer-target.ts'
import type { Group, RowHead, RunContext, Unit } from '../groups.ts'
import { PIECE_BYTES, type Content } from '../io/pieces.ts'
import type { Sizes } from '../options.ts'
import { statusBytes } from '../peak-memory.ts'
import { bytesBelow } from '../processes.ts'
import { dropCaches, megabytesPerSecond, restart, work } from '../target-group.ts'

const MEGABYTE = 1e6
const MILLION = 1e6
/** The group of the target's container: the first one that is made beside the default group. */
const GROUP_ID = 2
/** The one block file that a store has after its first file: the cleaner leaves entries alone that point to it. */
const LOCATION = { block: 1, page: 1, ordinal: 0 }
const FINGERPRINT_BYTES = 32
/** A batch is synced; bigger ones only live longer, and cost the garbage collector more. */
const BATCH_ENTRIES = 10_000
const FILTER_BYTES_MAX = 4 * 2 ** 30
/** As the daemon has it when it makes one. */
const FILTER_HEADROOM = 1.25

const STEPS: readonly (readonly [id: string, label: string, unit: Unit])[] = [
  ['start', 'start', 'ms'],
  ['new', 'write new data, right after a cold start', 'MB/s'],
  ['other', 'write other new data', 'MB/s'],
  ['again', 'write the same again', 'MB/s'],
  ['read', 'read it, cold', 'MB/s'],
  ['anonymous', "the daemon's memory without mapped files", 'MB'],
  ['metadata', 'LevelDB on the disk', 'MB'],
  ['unfiltered', 'write new data after a crash, while the filter is made again', 'MB/s'],
]

const millions = (count: number): string => `${count / MILLION} million chunks`

function rows(sizes: Sizes): readonly RowHead[] {
  return sizes.chunks.flatMap(count =>
    STEPS.map(([id, label, unit]) => ({
      id: `${count}-${id}`,
      label: `${millions(count)}: ${label}`,
      unit,
    })),
  )
}

/**
 * Fingerprints in their order, as a compaction leaves them: writing them in the order in which chunks come would leave
 * the same records, after hours.
 */
function* fingerprints(count: number): Generator<Buffer> {
  // The upper 48 bits rise, all others are random.
  const step = 2 ** 48 / count
  const pool = Buffer.alloc(BATCH_ENTRIES * FINGERPRINT_BYTES)
  for (let index = 0; index < count; index += 1) {
    const at = (index % BATCH_ENTRIES) * FINGERPRINT_BYTES
    if (at === 0) randomFillSync(pool)
    pool.writeUIntBE(Math.floor(index * step), at, 6)
    yield pool.subarray(at, at + FINGERPRINT_BYTES)
  }
}

/**
 * Adds entries to the index of a store that no daemon has open, and to its filter, which would otherwise be made by the next
 * daemon: with 100 million chunks that takes minutes.
 */
export async function growIndex(store: string, count: number, signal: AbortSignal): Promise<void> {
  const metadata = await OfflineMetadata.open(join(store, 'metadata'))
  const filterPath = join(store, 'chunk-filter')
  try {
    const filter = new ChunkFilter(FILTER_BYTES_MAX)
    const filling = filter.fill()
    filling.expect(count * FILTER_HEADROOM)
    const { from, to } = indexRange()
    for await (const { key } of metadata.range(from, to)) filling.add(key)
    let writing = Promise.resolve()
    let batch: { key: Buffer; value: Buffer }[] = []
    for (const fingerprint of fingerprints(count)) {
      const entry = indexEntry(GROUP_ID, fingerprint, LOCATION)
      filling.add(entry.key)
      batch.push(entry)
      if (batch.length < BATCH_ENTRIES) continue
      signal.throwIfAborted()
      await writing
      writing = metadata.write(batch)
      batch = []
    }
    await writing
    await metadata.write(batch)
    filling.finish()
    await metadata.setSequence(metadata.sequence + 1)
    if (filter.state === undefined) throw new Error('the filter is too large')
    await saveFilter(filterPath, metadata.sequence, filter.state)
  } finally {
    await metadata.close()
  }
}

async function measureSize(count: number, context: RunContext): Promise<void> {
  const { base, sizes, sources, signal } = context
  const target = new CofferTarget(join(base, `index-${count}`))
  const source = await sources.random(sizes.dataBytes, signal)
  const content = (stamp: number, lengthBytes: number): Content => {
    return { source, startBytes: 0, lengthBytes, stamp }
  }
  const note = async (id: string, value: number): Promise<void> => {
    const peakBytes = await target.peakMemoryBytes()
    context.record({ row: `${count}-${id}`, column: target.name, value, peakBytes })
    await target.forgetPeakMemory()
  }
  const path = (name: string): string => join(target.directory, name)
  const written = content(0, sizes.dataBytes)
  try {
    await target.start()
    // So that the block file is there that all made-up entries point to.
    await work({ kind: 'write', content: content(1, PIECE_BYTES), path: path('first') }, signal)
    await target.stop()
    await growIndex(target.store, count, signal)
    await dropCaches()
    const startedMs = performance.now()
    await target.resume()
    await note('start', performance.now() - startedMs)
    const other = content(2, sizes.dataBytes)
    for (const id of ['new', 'other', 'again']) {
      const task = {
        kind: 'write',
        content: id === 'other' ? other : written,
        path: path(id),
      } as const
      await note(id, megabytesPerSecond(await work(task, signal)))
    }
    await note('anonymous', (await statusBytes(await target.daemonPid(), 'RssAnon')) / MEGABYTE)
    await restart(target)
    await note(
      'read',
      megabytesPerSecond(await work({ kind: 'read', path: path('again') }, signal)),
    )
    for (const id of ['new', 'again']) {
      await work({ kind: 'compare', content: written, path: path(id) }, signal)
    }
    await note('metadata', (await bytesBelow(join(target.store, 'metadata'))) / MEGABYTE)
    await target.stop()
    // As if it had not ended in good order.
    await rm(join(target.store, 'chunk-filter'))
    await dropCaches()
    await target.resume()
    const late = {
      kind: 'write',
      content: content(3, sizes.dataBytes),
      path: path('late'),
    } as const
    await note('unfiltered', megabytesPerSecond(await work(late, signal)))
  } finally {
    await target.remove()
  }
}

async function runBigIndex(context: RunContext): Promise<void> {
  for (const count of context.sizes.chunks) {
    context.signal.throwIfAborted()
    try {
      await measureSize(count, context)
    } catch (error) {
      if (context.signal.aborted) throw error
      const message = error instanceof Error ? error.message : String(error)
      context.fail({ row: millions(count), column: 'coffer', message })
    }
  }
}

export const bigIndex: Group = {
  name: 'index',
  title: 'New and known data beside an index of many chunks',
  runSecondsMax: 150,
  columns: ['coffer'],
  rows,
  run: runBigIndex,
}
