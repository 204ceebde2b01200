// Lets extents that point into damaged block files point to whole copies of their chunks, where there are any: the same
// data was backed up again, and its chunks were stored anew since damaged block files take no dedupe hits.

import type { ChunkLocation, OpenRegion } from '../blocks/block-store.ts'
import { prefixEnd, TABLE } from '../metadata/index.ts'
import type { Committer, MetadataReader } from '../metadata/index.ts'
import { forEachLocation } from './extent-record.ts'
import type { Extent } from './extent.ts'
import type { ExtentMap } from './extent-map.ts'
import { holdsChunk } from './reader.ts'

/** Extent pages that are changed between two commits: some 100 extents each wait in memory. */
const HEALED_PAGES_MAX = 256

export interface HealerOptions {
  readonly extents: ExtentMap
  readonly metadata: MetadataReader & Committer
  /** where chunks are in block files that can be relied on and aren't about to be deleted */
  readonly lookup: (
    group: number,
    fingerprints: readonly Uint8Array[],
  ) => Promise<readonly (ChunkLocation | undefined)[]>
  readonly readRegion: (block: number, page: number) => Promise<OpenRegion>
  /** block files that can't be relied on */
  readonly suspects: { readonly quarantined: ReadonlyMap<number, string> }
  /** what is locked can't be read, and is left as it is */
  readonly isLocked: (group: number) => boolean
  /** as FlushServices.beginStore: between the look at the index and the extents, the cleaner waits */
  readonly beginStore: () => () => void
}

export class Healer {
  readonly #options: HealerOptions

  constructor(options: HealerOptions) {
    this.#options = options
  }

  /** Durable with the next commit. @returns whether any extent of the range, or near it, points elsewhere now */
  async healRange(inode: number, startBytes: number, endBytes: number): Promise<boolean> {
    let isHealed = false
    for (const key of this.#options.extents.pageKeys(inode, startBytes, endBytes)) {
      if (await this.#healPage(key)) isHealed = true
    }
    return isHealed
  }

  /**
   * All extents of the store that point to suspects, as far as there are copies; durable when it resolves.
   * @param step called between records; what it throws ends the search
   */
  async healAll(step: () => Promise<void>): Promise<void> {
    const { metadata, suspects } = this.#options
    if (suspects.quarantined.size === 0) return
    // What is only in memory so far is found by the scan after this.
    await metadata.commit()
    const prefix = Buffer.from([TABLE.extents])
    let changed = 0
    for await (const { key, value } of metadata.range(prefix, prefixEnd(prefix))) {
      let isConcerned = false
      forEachLocation(value, block => {
        isConcerned ||= suspects.quarantined.has(block)
      })
      if (isConcerned && (await this.#healPage(key)) && ++changed % HEALED_PAGES_MAX === 0) {
        await metadata.commit()
      }
      await step()
    }
    if (changed > 0) await metadata.commit()
  }

  async #healPage(key: Uint8Array): Promise<boolean> {
    const { extents, metadata, suspects, isLocked, lookup, beginStore } = this.#options
    const page = extents.pageAt(key)
    if (page === undefined || isLocked(page.group)) return false
    const damaged = page.extents.filter(({ location }) => suspects.quarantined.has(location.block))
    if (damaged.length === 0) return false
    const ended = beginStore()
    try {
      const found = await lookup(
        page.group,
        damaged.map(({ fingerprint }) => fingerprint),
      )
      const moves = await this.#wholeCopies(damaged, found)
      if (!extents.repoint(key, location => moves.get(nameOf(location)))) return false
      metadata.touched(1)
      return true
    } finally {
      ended()
    }
  }

  /** What can't be read from its new place either stays where it is: giving it up would spread damage. */
  async #wholeCopies(
    damaged: readonly Extent[],
    found: readonly (ChunkLocation | undefined)[],
  ): Promise<Map<string, ChunkLocation>> {
    const moves = new Map<string, ChunkLocation>()
    for (const [place, { location, fingerprint }] of damaged.entries()) {
      const copy = found[place]
      if (copy === undefined) continue
      if (await this.#isWhole(copy, fingerprint)) moves.set(nameOf(location), copy)
    }
    return moves
  }

  async #isWhole({ block, page, ordinal }: ChunkLocation, fingerprint: Uint8Array) {
    try {
      const region = await this.#options.readRegion(block, page)
      const isWhole = holdsChunk(region, ordinal - region.firstOrdinal, fingerprint)
      region.release()
      return isWhole
    } catch {
      // Whoever reads from there meets the same and says so.
      return false
    }
  }
}

function nameOf({ block, ordinal }: ChunkLocation): string {
  return `${block}:${ordinal}`
}
