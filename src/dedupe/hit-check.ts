// A sample of dedupe hits is read again and compared with the bytes that were just brought: a store that believed its
// index alone would hand old damage on to every new backup (promise 5).

import type { ChunkLocation, NewChunk, OpenRegion } from '../blocks/block-store.ts'
import { REGION_RAW_BYTES_MAX } from '../blocks/block-store.ts'
import { FilesystemError } from '../errors.ts'

/**
 * Of the bytes that are found by their fingerprints, so much is read again. A region's chance is its hit bytes' share of
 * this: the cost follows what is written, however small the files are. At a 64th, a full backup every night finds a
 * single damaged region within six weeks with even odds, and a block file that is rotten as a whole with the first one.
 * Writing known data takes some 8 % more CPU time for it (docs/decisions/0009-healing.md).
 */
export const CHECKED_SHARE = 1 / 64

export interface HitCheckOptions {
  readonly readRegion: (block: number, page: number) => Promise<OpenRegion>
  /** a block file doesn't hold what the index says; told before `check` resolves */
  readonly damaged: (block: number, error: Error) => void
  /** 0 up to 1, never 1 */
  readonly random: () => number
}

interface RegionHits {
  readonly block: number
  readonly page: number
  bytes: number
  readonly hits: { readonly chunk: NewChunk; readonly ordinal: number }[]
}

export class HitCheck {
  readonly #options: HitCheckOptions

  constructor(options: HitCheckOptions) {
    this.#options = options
  }

  /**
   * The chunks' memory is read until the promise, where it is one, has settled; it never rejects.
   * @param found where the chunks are said to lie, in the same order
   * @returns the block files that can't be relied on
   */
  check(
    chunks: readonly NewChunk[],
    found: readonly (ChunkLocation | undefined)[],
  ): ReadonlySet<number> | Promise<ReadonlySet<number>> {
    const chosen: RegionHits[] = []
    for (const region of regionsOf(chunks, found).values()) {
      const chance = (CHECKED_SHARE * region.bytes) / REGION_RAW_BYTES_MAX
      if (this.#options.random() < chance) chosen.push(region)
    }
    return chosen.length === 0 ? NONE : this.#checkAll(chosen)
  }

  async #checkAll(regions: readonly RegionHits[]): Promise<ReadonlySet<number>> {
    const damaged = new Set<number>()
    for (const region of regions) {
      if (damaged.has(region.block)) continue
      const error = await this.#compare(region).catch(asError)
      // A group that was locked meanwhile says nothing about its block files.
      if (error === undefined || error instanceof FilesystemError) continue
      damaged.add(region.block)
      this.#options.damaged(region.block, error)
    }
    return damaged
  }

  /** @returns what is wrong with the region. @throws DamagedRegionError */
  async #compare({ block, page, hits }: RegionHits): Promise<Error | undefined> {
    const region = await this.#options.readRegion(block, page)
    try {
      const isSame = hits.every(({ chunk, ordinal }) => {
        const slot = ordinal - region.firstOrdinal
        if (slot < 0 || slot >= region.chunkCount) return false
        return Buffer.compare(region.chunkAt(slot), chunk.data) === 0
      })
      return isSame ? undefined : new Error(`the region at page ${page} holds other bytes`)
    } finally {
      region.release()
    }
  }
}

const NONE: ReadonlySet<number> = new Set()

function regionsOf(
  chunks: readonly NewChunk[],
  found: readonly (ChunkLocation | undefined)[],
): Map<number, RegionHits> {
  const regions = new Map<number, RegionHits>()
  for (const [place, chunk] of chunks.entries()) {
    const location = found[place]
    if (location === undefined) continue
    const { block, page, ordinal } = location
    const name = block * 2 ** 16 + page
    let region = regions.get(name)
    if (region === undefined) {
      region = { block, page, bytes: 0, hits: [] }
      regions.set(name, region)
    }
    region.bytes += chunk.data.length
    region.hits.push({ chunk, ordinal })
  }
  return regions
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
