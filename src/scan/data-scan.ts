// Reads block files from end to end: every region is authenticated, every chunk must have its fingerprint. A block file
// is never changed once it is closed, so that each is read once, whatever goes on beside.

import { DamagedRegionError } from '../blocks/index.ts'
import type { BlockRecord, OpenRegion } from '../blocks/index.ts'
import { BLOCK_PAGE_BYTES } from '../blocks/index.ts'
import type { ScanPace, ScanParts } from './contract.ts'
import type { Suspect } from './suspects.ts'

/** Regions that are read at a time: enough to keep the disk busy, few beside those of clients. */
const PARALLEL_REGIONS = 4
/** A scan never takes more of a fast disk and of the processor, clients or not. */
const BYTES_PER_MS_MAX = (256 * 1024 * 1024) / 1000

/** `locked`: nothing can be said; `gone`: the cleaner has deleted it meanwhile. */
export type BlockVerdict = 'whole' | 'locked' | 'gone' | Suspect

class GroupLocked extends Error {}

export class DataScan {
  readonly #parts: ScanParts
  readonly #pace: ScanPace
  readonly #slots: Uint8Array[] = []

  constructor(parts: ScanParts, pace: ScanPace) {
    this.#parts = parts
    this.#pace = pace
    for (let index = 0; index < PARALLEL_REGIONS; index++) {
      this.#slots.push(parts.blocks.regionSlot())
    }
  }

  /**
   * @param record what lies beyond its length is not looked at: no commit knows of it
   * @throws what `pace` throws when the scan is stopped
   */
  async read(record: BlockRecord): Promise<BlockVerdict> {
    const { blocks, groups } = this.#parts
    const path = blocks.pathOf(record.block)
    if (path === undefined) return 'gone'
    const reading = new BlockReading(this.#parts, record)
    try {
      let pages: number[] = []
      for await (const { page } of blocks.scan(path)) {
        if (page * BLOCK_PAGE_BYTES >= record.lengthBytes) break
        pages.push(page)
        if (pages.length < PARALLEL_REGIONS) continue
        await this.#readPages(reading, pages)
        pages = []
      }
      await this.#readPages(reading, pages)
    } catch (error) {
      if (error instanceof GroupLocked) return 'locked'
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code !== 'ENOENT' && code !== 'EIO') throw error
      reading.failed(code === 'ENOENT' ? 'the file is missing' : 'the disk can not read it')
    }
    if (!blocks.hasBlock(record.block)) return 'gone'
    if (groups.isLocked(record.group)) return 'locked'
    return reading.verdict()
  }

  async #readPages(reading: BlockReading, pages: readonly number[]): Promise<void> {
    const startedMs = performance.now()
    const results = await Promise.allSettled(
      pages.map((page, index) => reading.readRegion(page, this.#slots[index])),
    )
    for (const result of results) if (result.status === 'rejected') throw result.reason
    const workMs = performance.now() - startedMs
    await this.#pace.rest(workMs)
    await this.#pace.atMost(BYTES_PER_MS_MAX, reading.takeBytes(), workMs)
  }
}

class BlockReading {
  readonly #parts: ScanParts
  readonly #record: BlockRecord
  readonly #whole: number[] = []
  #regions = 0
  #chunks = 0
  #bytes = 0
  #reason: string | undefined

  constructor(parts: ScanParts, record: BlockRecord) {
    this.#parts = parts
    this.#record = record
  }

  failed(reason: string): void {
    this.#reason ??= reason
  }

  /** Raw bytes that were read since the last call. */
  takeBytes(): number {
    const bytes = this.#bytes
    this.#bytes = 0
    return bytes
  }

  async readRegion(page: number, slot: Uint8Array | undefined): Promise<void> {
    if (slot === undefined) throw new Error('more regions than slots')
    const { block, group } = this.#record
    const { blocks, groups } = this.#parts
    // Whoever locks the group waits until this is through.
    const ended = groups.beginRead()
    try {
      if (groups.isLocked(group)) throw new GroupLocked()
      const region = await blocks.readUncached(block, page, slot)
      await this.#check(page, region)
    } catch (error) {
      if (!(error instanceof DamagedRegionError)) throw error
      this.failed(error.message)
    } finally {
      ended()
    }
  }

  async #check(page: number, region: OpenRegion): Promise<void> {
    const { chunkCount, firstOrdinal } = region
    this.#regions++
    let first = 0
    for (let slot = 0; slot < chunkCount; slot++) {
      const chunk = region.chunkAt(slot)
      this.#bytes += chunk.length
      const right = await this.#parts.groups.fingerprintOf(this.#record.group, chunk)
      if (right === undefined || Buffer.compare(right, region.fingerprintAt(slot)) === 0) continue
      this.failed(`a chunk of the region at page ${page} has another fingerprint than it should`)
      this.#add(page, firstOrdinal + first, slot - first)
      first = slot + 1
    }
    this.#add(page, firstOrdinal + first, chunkCount - first)
  }

  #add(page: number, firstOrdinal: number, count: number): void {
    if (count === 0) return
    this.#whole.push(page, firstOrdinal, count)
    this.#chunks += count
  }

  /**
   * A failed append may leave regions that nothing counts, whole or torn: they make a block file suspect, and only what
   * is missing from its record's counts, or referred to, makes it damaged.
   */
  verdict(): BlockVerdict {
    const { block, group, regionCount, chunkCount } = this.#record
    const isShort = this.#regions < regionCount || this.#chunks < chunkCount
    if (this.#reason === undefined && this.#regions === regionCount && !isShort) return 'whole'
    return {
      block,
      group,
      isDamaged: isShort,
      reason: this.#reason ?? `${this.#regions} of ${regionCount} regions can be read`,
      whole: this.#whole,
    }
  }
}
