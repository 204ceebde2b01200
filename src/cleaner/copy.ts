// Copies the live chunks of a condemned block file to where the group's data goes now: the way of compaction, of
// recompression and of encryption alike.

import { BLOCK_PAGE_BYTES, DamagedRegionError, scanBlockFile } from '../blocks/index.ts'
import type { ChunkLocation, NewChunk, OpenRegion } from '../blocks/index.ts'
import type { PlannedBlock } from './plan.ts'
import { FilesystemError } from '../errors.ts'
import type { PassParts } from './contract.ts'
import type { Liveness } from './liveness.ts'
import type { Pace } from './pace.ts'
import type { Relocations } from './relocations.ts'

/** One native job's worth: eight regions. They are pinned in the region cache, which has some 250. */
const BATCH_BYTES = 4 * 1024 * 1024
const BATCH_REGIONS_MAX = 8

/** Why a block file has to stay. */
export type KeptBecause = 'damaged' | 'locked'

/** Counts up while chunks are copied, so that what was done before a stop or a failure is counted too. */
export interface CopyTally {
  /** of the chunks before compression */
  movedBytes: number
  /** by which block files have grown */
  writtenBytes: number
}

export interface CopyTarget {
  readonly liveness: Liveness
  readonly relocations: Relocations
  readonly tally: CopyTally
}

interface LiveChunk extends NewChunk {
  readonly from: ChunkLocation
}

/**
 * Where all went well, `relocations` has a new place for every live chunk, and the index knows it.
 * @returns why the block file has to stay; undefined when all of its live chunks are elsewhere as well
 * @throws PassStopped, FilesystemError ENOSPC, StoreError STORE_READ_ONLY
 */
export async function copyBlock(
  parts: PassParts,
  source: PlannedBlock,
  target: CopyTarget,
  pace: Pace,
): Promise<KeptBecause | undefined> {
  const copier = new BlockCopier(parts, source, target)
  try {
    await copier.run(pace)
    if (copier.foundCount === target.liveness.liveChunks(source.block)) return undefined
    parts.damaged(source.block, 'regions that are referred to are missing')
    return 'damaged'
  } catch (error) {
    if (parts.groups.isLocked(source.group)) return 'locked'
    if (!(error instanceof DamagedRegionError)) throw error
    parts.damaged(source.block, error.message)
    return 'damaged'
  }
}

class BlockCopier {
  foundCount = 0
  readonly #parts: PassParts
  readonly #source: PlannedBlock
  readonly #liveness: Liveness
  readonly #relocations: Relocations
  readonly #tally: CopyTally

  constructor(parts: PassParts, source: PlannedBlock, target: CopyTarget) {
    this.#parts = parts
    this.#source = source
    this.#liveness = target.liveness
    this.#relocations = target.relocations
    this.#tally = target.tally
  }

  async run(pace: Pace): Promise<void> {
    const { block } = this.#source
    const path = this.#parts.blocks.pathOf(block)
    if (path === undefined) throw new Error('a planned block file has no record')
    let pages: number[] = []
    try {
      for await (const header of scanBlockFile(path, BLOCK_PAGE_BYTES)) {
        if (this.#hasLive(header.firstOrdinal, header.chunkCount)) pages.push(header.page)
        if (pages.length < BATCH_REGIONS_MAX) continue
        await this.#copyPages(pages, pace)
        pages = []
      }
      await this.#copyPages(pages, pace)
    } catch (error) {
      // The place that is written to has failed: that says nothing about this block file.
      if (error instanceof FilesystemError) throw error
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code !== 'ENOENT' && code !== 'EIO') throw error
      const reason = code === 'ENOENT' ? 'missing' : 'io'
      throw new DamagedRegionError(block, 0, reason, { cause: error })
    } finally {
      this.#parts.blocks.uncache(block)
    }
  }

  async #copyPages(pages: readonly number[], pace: Pace): Promise<void> {
    if (pages.length === 0) return
    const startedMs = performance.now()
    // Whoever locks the group waits until this is through: keys are in use here.
    const ended = this.#parts.inFlight.begin()
    const held: OpenRegion[] = []
    try {
      if (this.#parts.groups.isLocked(this.#source.group)) throw new Error('the group is locked')
      const chunks: LiveChunk[] = []
      let bytes = 0
      for (const page of pages) {
        const region = await this.#parts.blocks.readRegion(this.#source.block, page)
        held.push(region)
        bytes += this.#addLive(region, page, chunks)
        if (bytes < BATCH_BYTES) continue
        await this.#move(chunks.splice(0))
        bytes = 0
      }
      await this.#move(chunks)
    } finally {
      for (const region of held) region.release()
      ended()
    }
    this.#parts.blocks.uncache(this.#source.block)
    await pace.step()
    await pace.rest(performance.now() - startedMs)
  }

  #hasLive(firstOrdinal: number, chunkCount: number): boolean {
    const { block } = this.#source
    for (let ordinal = firstOrdinal; ordinal < firstOrdinal + chunkCount; ordinal++) {
      if (this.#liveness.isLiveAt(block, ordinal)) return true
    }
    return false
  }

  #addLive(region: OpenRegion, page: number, chunks: LiveChunk[]): number {
    const { block } = this.#source
    let bytes = 0
    for (let slot = 0; slot < region.chunkCount; slot++) {
      const ordinal = region.firstOrdinal + slot
      if (!this.#liveness.isLiveAt(block, ordinal)) continue
      const data = region.chunkAt(slot)
      bytes += data.length
      this.foundCount++
      // The fingerprint outlives the region: the index keeps it.
      const fingerprint = Uint8Array.prototype.slice.call(region.fingerprintAt(slot))
      chunks.push({ fingerprint, data, from: { block, page, ordinal } })
    }
    return bytes
  }

  /** To a place that the chunk has already, or else to a new one. */
  async #move(chunks: readonly LiveChunk[]): Promise<void> {
    if (chunks.length === 0) return
    const { index, blocks, groups, metadata } = this.#parts
    const { group } = this.#source
    const known = await index.lookup(
      group,
      chunks.map(({ fingerprint }) => fingerprint),
    )
    const fresh = new Map<string, LiveChunk[]>()
    for (const [place, chunk] of chunks.entries()) {
      const location = known[place]
      if (location !== undefined && (await this.#isSame(chunk, location))) {
        this.#moved(chunk, location)
        continue
      }
      const name = Buffer.from(chunk.fingerprint).toString('latin1')
      const twins = fresh.get(name)
      if (twins === undefined) fresh.set(name, [chunk])
      else twins.push(chunk)
    }
    const firsts = [...fresh.values()].flatMap(twins => twins.slice(0, 1))
    if (firsts.length === 0) return
    const grown = (bytes: number): void => {
      this.#tally.writtenBytes += bytes
    }
    const { sequence } = metadata
    const locations = await blocks.append(groups.policyOf(group), firsts, sequence, grown)
    for (const [place, twins] of [...fresh.values()].entries()) {
      const location = locations[place]
      if (location === undefined) throw new Error('an append returned too few locations')
      for (const chunk of twins) this.#moved(chunk, location)
      const [first] = twins
      if (first !== undefined) index.add(group, first.fingerprint, location)
    }
    metadata.touched(firsts.length)
  }

  /** A copy that was made earlier and may be damaged by now is no reason to give up this one. */
  async #isSame(chunk: LiveChunk, location: ChunkLocation): Promise<boolean> {
    try {
      const region = await this.#parts.blocks.readRegion(location.block, location.page)
      try {
        const slot = location.ordinal - region.firstOrdinal
        if (slot < 0 || slot >= region.chunkCount) return false
        return Buffer.compare(region.chunkAt(slot), chunk.data) === 0
      } finally {
        region.release()
      }
    } catch (error) {
      if (error instanceof DamagedRegionError) return false
      throw error
    }
  }

  #moved(chunk: LiveChunk, to: ChunkLocation): void {
    this.#relocations.set(chunk.from, to)
    // What is referred to soon is live from now on: its block file may be in a later window.
    this.#liveness.mark(to, chunk.data.length)
    this.#tally.movedBytes += chunk.data.length
  }
}
