// The chunk index is a cache: this makes it say again what lies in the block files, beside clients that write.
//
// First the block files are read, and each chunk's entry is compared: what is missing is added, what points to a place
// where the chunk isn't is corrected. Then the entries are counted for each block file. Where there are more or fewer
// than were found good, they are compared one by one with the block file's tables, and those that nothing stands behind
// are deleted. So what is kept in memory is a number for each block file.
//
// Why nobody is raced: no pass runs meanwhile, so a closed block file stays where it is. Clients only add entries, for
// chunks that they have just stored: overwriting such an entry with another place of the same chunk does no harm, and one
// is deleted only as long as it is the one that was found wrong.

import {
  BLOCK_PAGE_BYTES,
  DamagedRegionError,
  scanBlockFile,
  type BlockCounts,
  type BlockRecord,
  type BlockStore,
  type ChunkLocation,
  type OpenRegion,
} from '../blocks/index.ts'
import type { CleanerInFlight, Pace } from '../cleaner/index.ts'
import type { ChunkIndex } from '../dedupe/index.ts'
import { StoreError } from '../errors.ts'
import { BlockTables } from './block-tables.ts'

/** One native job's worth; they are pinned in the region cache, which has some 250. */
const BATCH_REGIONS_MAX = 8
/** Index changes between two commits: as many as the store commits at once anyway. */
const CHANGES_MAX = 4096

export interface RebuildParts {
  readonly metadata: { commit(): Promise<void> }
  readonly index: Pick<ChunkIndex, 'locateWhole' | 'add' | 'drop' | 'entries'>
  readonly blocks: BlockStore
  readonly inFlight: CleanerInFlight
  readonly isLocked: (group: number) => boolean
  /** a block file can't be read whole */
  readonly damaged: (block: number, reason: string) => void
}

export interface RebuildOptions {
  /** storage groups, none of them locked */
  readonly groups: readonly number[]
  /** nothing is changed, but that open block files are closed */
  readonly isDryRun: boolean
  readonly pace: Pace
  readonly progress: (phase: 'read' | 'check', doneBytes: number, totalBytes: number) => void
}

export interface RebuildCounts {
  blocks: number
  chunks: number
  /** entries of chunks that the index didn't know */
  added: number
  /** entries that pointed to a place where the chunk isn't */
  corrected: number
  /** entries of chunks that are in no block file, or can't be read there */
  removed: number
  /** block records that counted something else than the block file holds */
  correctedRecords: number
  /** regions that can't be read: what is in them is stored again when it comes again */
  damagedRegions: number
}

/**
 * With `isDryRun` the counts say what would be changed.
 * @throws PassStopped; StoreError GROUP_LOCKED when a group is locked meanwhile, STORE_READ_ONLY
 */
export async function rebuildIndex(
  parts: RebuildParts,
  options: RebuildOptions,
): Promise<RebuildCounts> {
  return new IndexRebuild(parts, options).run()
}

class IndexRebuild {
  readonly #parts: RebuildParts
  readonly #options: RebuildOptions
  readonly #counts: RebuildCounts = {
    blocks: 0,
    chunks: 0,
    added: 0,
    corrected: 0,
    removed: 0,
    correctedRecords: 0,
    damagedRegions: 0,
  }
  /** block file => entries that point into it and are right */
  readonly #confirmed = new Map<number, number>()
  readonly #chosen = new Map<number, BlockRecord>()
  #changes = 0

  constructor(parts: RebuildParts, options: RebuildOptions) {
    this.#parts = parts
    this.#options = options
  }

  async run(): Promise<RebuildCounts> {
    const { groups } = this.#options
    await this.#choose()
    let doneBytes = 0
    let totalBytes = 0
    for (const { lengthBytes } of this.#chosen.values()) totalBytes += lengthBytes
    for (const record of this.#chosen.values()) {
      this.#options.progress('read', doneBytes, totalBytes)
      await this.#readBlock(record)
      doneBytes += record.lengthBytes
      this.#counts.blocks++
    }
    this.#options.progress('check', 0, 0)
    for (const group of groups) {
      await this.#commit()
      await this.#checkEntries(group, await this.#countEntries(group))
    }
    await this.#commit()
    // Seen twice, when it was corrected and when it was still there: a dry run changes nothing in between.
    if (this.#options.isDryRun) {
      this.#counts.removed = Math.max(0, this.#counts.removed - this.#counts.corrected)
    }
    return this.#counts
  }

  /** The closed block files of the groups: nothing is appended to them any more, and what is in them is durable. */
  async #choose(): Promise<void> {
    const { blocks, inFlight } = this.#parts
    const { groups } = this.#options
    // A dry run too, so that what is in them is found.
    blocks.closeFiles(({ group }) => groups.includes(group))
    await inFlight.settled()
    await this.#parts.metadata.commit()
    for (const record of blocks.records()) {
      if (record.isClosed && groups.includes(record.group)) this.#chosen.set(record.block, record)
    }
  }

  async #readBlock(record: BlockRecord): Promise<void> {
    const { blocks, damaged } = this.#parts
    const found = { regionCount: 0, chunkCount: 0, rawBytes: 0, compressedBytes: 0 }
    let damagedRegions = 0
    const readPages = async (pages: readonly number[]): Promise<void> => {
      damagedRegions += await this.#readPages(record, pages)
    }
    try {
      let pages: number[] = []
      for await (const header of scanBlockFile(blocks.pathOf(record.block) ?? '')) {
        // What a failed append left behind the end is nobody's.
        if (header.page * BLOCK_PAGE_BYTES + header.fileBytes > record.lengthBytes) break
        found.regionCount++
        found.chunkCount += header.chunkCount
        found.rawBytes += header.rawBytes
        found.compressedBytes += header.storedBytes
        if (pages.push(header.page) < BATCH_REGIONS_MAX) continue
        await readPages(pages)
        pages = []
      }
      await readPages(pages)
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code !== 'ENOENT' && code !== 'EIO') throw error
      damaged(record.block, code === 'ENOENT' ? 'missing' : 'io')
      damagedRegions++
    } finally {
      blocks.uncache(record.block)
    }
    this.#counts.damagedRegions += damagedRegions
    if (damagedRegions === 0) this.#compareCounts(record, found)
  }

  #compareCounts(record: BlockRecord, found: BlockCounts): void {
    const isRight =
      record.regionCount === found.regionCount &&
      record.chunkCount === found.chunkCount &&
      record.rawBytes === found.rawBytes &&
      record.compressedBytes === found.compressedBytes
    if (isRight) return
    this.#counts.correctedRecords++
    if (!this.#options.isDryRun) this.#parts.blocks.correctCounts(record.block, found)
  }

  /** @returns how many of the regions are damaged */
  async #readPages({ block, group }: BlockRecord, pages: readonly number[]): Promise<number> {
    const { blocks, inFlight, damaged } = this.#parts
    const { pace } = this.#options
    const startedMs = performance.now()
    // Whoever locks the group waits until this is through: keys are in use here.
    const ended = inFlight.begin()
    let damagedCount = 0
    try {
      this.#checkUnlocked(group)
      const regions = await Promise.allSettled(pages.map(page => blocks.readRegion(block, page)))
      try {
        for (const [place, region] of regions.entries()) {
          if (region.status === 'fulfilled') {
            await this.#compareRegion(group, block, pages[place] ?? 0, region.value)
          } else if (region.reason instanceof DamagedRegionError) {
            damaged(block, region.reason.message)
            damagedCount++
          } else throw region.reason
        }
      } finally {
        for (const region of regions) if (region.status === 'fulfilled') region.value.release()
      }
    } finally {
      ended()
    }
    blocks.uncache(block)
    if (this.#changes >= CHANGES_MAX) await this.#commit()
    await pace.step()
    await pace.rest(performance.now() - startedMs)
    return damagedCount
  }

  async #compareRegion(
    group: number,
    block: number,
    page: number,
    region: OpenRegion,
  ): Promise<void> {
    const { index } = this.#parts
    const fingerprints: Uint8Array[] = []
    for (let slot = 0; slot < region.chunkCount; slot++) {
      // The fingerprint outlives the region: the index keeps it.
      fingerprints.push(Uint8Array.prototype.slice.call(region.fingerprintAt(slot)))
    }
    const known = await index.locateWhole(group, fingerprints)
    this.#counts.chunks += fingerprints.length
    for (const [slot, fingerprint] of fingerprints.entries()) {
      const place = { block, page, ordinal: region.firstOrdinal + slot }
      const entry = known[slot]
      if (entry === undefined) this.#counts.added++
      else if (isSamePlace(entry, place)) {
        this.#confirm(block)
        continue
      } else if (await this.#holds(group, entry, fingerprint)) continue
      else this.#counts.corrected++
      if (this.#options.isDryRun) continue
      index.add(group, fingerprint, place)
      this.#confirm(block)
      this.#changes++
    }
  }

  /** Whether the chunk lies there as well: it is stored twice, and either place is right. */
  async #holds(group: number, place: ChunkLocation, fingerprint: Uint8Array): Promise<boolean> {
    const { blocks } = this.#parts
    if (!blocks.hasBlock(place.block)) return false
    try {
      const region = await blocks.readRegion(place.block, place.page)
      try {
        const slot = place.ordinal - region.firstOrdinal
        if (slot < 0 || slot >= region.chunkCount) return false
        return Buffer.compare(region.fingerprintAt(slot), fingerprint) === 0
      } finally {
        region.release()
      }
    } catch (error) {
      if (error instanceof DamagedRegionError) return false
      this.#checkUnlocked(group)
      throw error
    }
  }

  /** Deletes what points nowhere. @returns the block files that have more or fewer entries than were found right */
  async #countEntries(group: number): Promise<Set<number>> {
    const { index, blocks } = this.#parts
    const counted = new Map<number, number>()
    for await (const { fingerprint, location } of index.entries(group)) {
      const block = location?.block ?? 0
      if (this.#chosen.get(block)?.group === group) {
        counted.set(block, (counted.get(block) ?? 0) + 1)
      } else if (!blocks.hasBlock(block) || this.#chosen.has(block)) {
        // What isn't chosen and is there was begun meanwhile: its entries are new.
        await this.#remove(group, fingerprint, location)
      }
      await this.#options.pace.step()
    }
    const suspicious = new Set<number>()
    for (const { block, group: own } of this.#chosen.values()) {
      const isRight = (counted.get(block) ?? 0) === (this.#confirmed.get(block) ?? 0)
      if (own === group && !isRight) suspicious.add(block)
    }
    return suspicious
  }

  async #checkEntries(group: number, suspicious: ReadonlySet<number>): Promise<void> {
    const { index, blocks, inFlight } = this.#parts
    const rest = [...suspicious].flatMap(block => this.#chosen.get(block) ?? [])
    while (rest.length > 0) {
      const tables = new BlockTables()
      while (rest.length > 0 && tables.hasRoom) {
        const record = rest.shift()
        const ended = inFlight.begin()
        try {
          this.#checkUnlocked(group)
          if (record !== undefined) await tables.read(blocks, record)
        } finally {
          ended()
        }
        await this.#options.pace.step()
      }
      for await (const { fingerprint, location } of index.entries(group)) {
        if (location === undefined) continue
        if (tables.has(location.block) && !tables.holds(location, fingerprint)) {
          await this.#remove(group, fingerprint, location)
        }
        await this.#options.pace.step()
      }
    }
  }

  async #remove(
    group: number,
    fingerprint: Uint8Array,
    location: ChunkLocation | undefined,
  ): Promise<void> {
    if (this.#options.isDryRun) {
      this.#counts.removed++
      return
    }
    if (!this.#parts.index.drop(group, fingerprint, location)) return
    this.#counts.removed++
    if (++this.#changes >= CHANGES_MAX) await this.#commit()
  }

  async #commit(): Promise<void> {
    this.#changes = 0
    if (!this.#options.isDryRun) await this.#parts.metadata.commit()
  }

  #confirm(block: number): void {
    this.#confirmed.set(block, (this.#confirmed.get(block) ?? 0) + 1)
  }

  #checkUnlocked(group: number): void {
    if (this.#parts.isLocked(group)) {
      throw new StoreError(
        'GROUP_LOCKED',
        'A storage group was locked while its index was rebuilt.',
      )
    }
  }
}

function isSamePlace(a: ChunkLocation, b: ChunkLocation): boolean {
  return a.block === b.block && a.page === b.page && a.ordinal === b.ordinal
}
