// Reads stored bytes: extents to regions to pieces of the region cache, with read-ahead that follows the extents.

import { FilesystemError } from '../errors.ts'
import type { OpenRegion } from '../blocks/block-store.ts'
import type { Extent } from './extent.ts'
import type { ExtentMap } from './extent-map.ts'
import { Permits } from './permits.ts'
import { WINDOW_BYTES_MAX } from './read-ahead.ts'
import type { RecentChunks } from './recent-chunks.ts'
import { regionName, regionPlaces } from './region-places.ts'

/** What reading needs of the block layer. */
export interface RegionSource {
  /** @param endPage where another region begins, if it is known */
  readRegion(block: number, page: number, endPage?: number): Promise<OpenRegion>
  cachedRegion(block: number, page: number): OpenRegion | undefined
  /** whether the block file is part of the store */
  hasBlock(block: number): boolean
}

/** A chunk isn't where its extent says, or not whole. */
class LostChunkError extends Error {
  readonly block: number

  constructor(block: number, cause: Error) {
    super(cause.message, { cause })
    this.block = block
  }
}

/** The extent was read before its chunk was moved: the file's extents say by now where it is. */
class MovedError extends LostChunkError {
  constructor(block: number) {
    super(block, new Error('the block file has no record'))
  }
}

export interface ReaderOptions {
  readonly extents: ExtentMap
  readonly recent: Pick<RecentChunks, 'find'>
  readonly regions: RegionSource
  /**
   * Regions that all reads together may pin: fewer than the cache has slots, or they would wait for each other. Reads
   * that copy pin one at a time, beside these.
   */
  readonly pinnedRegionsMax: number
  /** told of every block file that can't be relied on, before anything else is tried */
  readonly suspected: (block: number, error: Error) => void
  /**
   * Looks for other places of what the range of the file needs from suspected block files.
   * @returns whether some of its extents point elsewhere now
   */
  readonly heal: (inode: number, startBytes: number, endBytes: number) => Promise<boolean>
  /** told once per failed read: which file, which block (none: it is the file's own records), what is wrong with it */
  readonly damaged: (inode: number, block: number | undefined, error: Error) => void
}

/** What one read may pin at once: a read of 1 MiB of sequential data has three or four; scattered ones copy instead. */
const PINNED_REGIONS_MAX = 8
const ZEROS = new Uint8Array(1024 * 1024)

export interface StoredRead {
  readonly pieces: readonly Uint8Array[]
  release(): void
}

export class StoredReader {
  readonly #options: ReaderOptions
  readonly #permits: Permits

  constructor(options: ReaderOptions) {
    this.#options = options
    this.#permits = new Permits(options.pinnedRegionsMax)
  }

  /**
   * The range's stored bytes in order, holes as zeros, valid until `release`.
   * @param areHolesTrue asked when there is a hole: whether there may be one
   * @throws EIO
   */
  read(
    inode: number,
    startBytes: number,
    endBytes: number,
    areHolesTrue: () => Promise<boolean>,
  ): Promise<StoredRead> {
    return this.#following(inode, startBytes, endBytes, () =>
      this.#read(inode, startBytes, endBytes, areHolesTrue),
    )
  }

  /** The file has holes where it can't have any. @throws EIO, always */
  refuseHoles(inode: number): never {
    const cause = new Error('extents of the file are missing')
    this.#options.damaged(inode, undefined, cause)
    throw new FilesystemError('EIO', `Inode ${inode} is damaged: ${cause.message}`, { cause })
  }

  /** The same, copied; one region pinned at a time. */
  copy(inode: number, startBytes: number, target: Uint8Array): Promise<void> {
    return this.#following(inode, startBytes, startBytes + target.length, () =>
      this.#copy(inode, startBytes, target),
    )
  }

  /** Reads again when what was about to be read has been moved by the cleaner, or is whole in another place. */
  async #following<Result>(
    inode: number,
    startBytes: number,
    endBytes: number,
    attempt: () => Promise<Result>,
  ): Promise<Result> {
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        if (!(error instanceof LostChunkError)) throw error
        const { block } = error
        const extents = this.#options.extents.overlapping(inode, startBytes, endBytes)
        // Each block file is deleted once, so that this ends.
        const isMoved = !extents.some(extent => extent.location.block === block)
        if (error instanceof MovedError && isMoved) continue
        this.#options.suspected(block, error)
        // Nothing is moved to a suspected block file, so that this ends too.
        if (await this.#options.heal(inode, startBytes, endBytes)) continue
        this.#options.damaged(inode, block, error)
        throw new FilesystemError('EIO', `Block ${block} is damaged: ${error.message}`, {
          cause: error,
        })
      }
    }
  }

  async #read(
    inode: number,
    startBytes: number,
    endBytes: number,
    areHolesTrue: () => Promise<boolean>,
  ): Promise<StoredRead> {
    const extents = this.#options.extents.overlapping(inode, startBytes, endBytes)
    if (!areCovering(extents, startBytes, endBytes) && !(await areHolesTrue())) {
      this.refuseHoles(inode)
    }
    const regionCount = countRegions(extents)
    if (regionCount > Math.min(PINNED_REGIONS_MAX, this.#permits.total)) {
      const target = Buffer.allocUnsafe(endBytes - startBytes)
      await this.#copy(inode, startBytes, target)
      return { pieces: [target], release() {} }
    }
    if (!this.#permits.tryTake(regionCount)) await this.#permits.take(regionCount)
    const pinned = new Map<number, OpenRegion>()
    const release = (): void => {
      for (const region of pinned.values()) region.release()
      this.#permits.give(regionCount)
    }
    try {
      return { pieces: await this.#pin(startBytes, endBytes, extents, pinned), release }
    } catch (error) {
      release()
      throw error
    }
  }

  async #pin(
    startBytes: number,
    endBytes: number,
    extents: readonly Extent[],
    pinned: Map<number, OpenRegion>,
  ): Promise<Uint8Array[]> {
    const pieces: Uint8Array[] = []
    let places: ReturnType<typeof regionPlaces> | undefined
    let at = startBytes
    for (const extent of extents) {
      const from = Math.max(at, extent.startBytes)
      const to = Math.min(endBytes, extent.startBytes + extent.lengthBytes)
      addZeros(pieces, from - at)
      const name = regionName(extent)
      let region = pinned.get(name)
      if (region === undefined) {
        places ??= regionPlaces(extents)
        region = await this.#region(extent, places.get(name)?.endPage)
        pinned.set(name, region)
      }
      pieces.push(chunkBytes(region, extent, from, to))
      at = to
    }
    addZeros(pieces, endBytes - at)
    return pieces
  }

  async #copy(inode: number, startBytes: number, target: Uint8Array): Promise<void> {
    const endBytes = startBytes + target.length
    let at = startBytes
    for (const extent of this.#options.extents.overlapping(inode, startBytes, endBytes)) {
      const from = Math.max(at, extent.startBytes)
      const to = Math.min(endBytes, extent.startBytes + extent.lengthBytes)
      target.fill(0, at - startBytes, from - startBytes)
      const recent = this.#options.recent.find(extent.fingerprint)
      if (recent !== undefined) {
        target.set(partOf(recent, extent, from, to), from - startBytes)
      } else {
        const region = await this.#region(extent)
        try {
          target.set(chunkBytes(region, extent, from, to), from - startBytes)
        } finally {
          region.release()
        }
      }
      at = to
    }
    target.fill(0, at - startBytes)
  }

  /** Brings the regions of the next bytes into the cache, without waiting. */
  readAhead(inode: number, startBytes: number, lengthBytes: number): void {
    const endBytes = startBytes + Math.min(lengthBytes, WINDOW_BYTES_MAX)
    const extents = this.#options.extents.overlapping(inode, startBytes, endBytes)
    for (const { block, page, endPage } of regionPlaces(extents).values()) {
      const cached = this.#options.regions.cachedRegion(block, page)
      if (cached !== undefined) cached.release()
      else {
        this.#options.regions.readRegion(block, page, endPage).then(
          region => region.release(),
          // The read that needs the region meets the same failure and reports it.
          () => {},
        )
      }
    }
  }

  async #region(extent: Extent, endPage?: number): Promise<OpenRegion> {
    const { block, page } = extent.location
    const cached = this.#options.regions.cachedRegion(block, page)
    if (cached !== undefined) return cached
    try {
      return await this.#options.regions.readRegion(block, page, endPage)
    } catch (error) {
      if (!this.#options.regions.hasBlock(block)) throw new MovedError(block)
      // A group that was locked meanwhile says nothing about its block files.
      if (error instanceof FilesystemError) throw error
      throw new LostChunkError(block, error instanceof Error ? error : new Error(String(error)))
    }
  }
}

/** The extent's bytes from `from` to `to` of the file, if the region really holds the extent's chunk. */
function chunkBytes(region: OpenRegion, extent: Extent, from: number, to: number): Uint8Array {
  const { ordinal, block } = extent.location
  const slot = ordinal - region.firstOrdinal
  if (!holdsChunk(region, slot, extent.fingerprint)) {
    throw new LostChunkError(block, new Error('the region holds another chunk'))
  }
  return partOf(region.chunkAt(slot), extent, from, to)
}

/** The extent's bytes from `from` to `to` of the file, of its chunk. */
function partOf(chunk: Uint8Array, extent: Extent, from: number, to: number): Uint8Array {
  const at = extent.chunkOffsetBytes + from - extent.startBytes
  if (at + to - from > chunk.length) {
    const reason = new Error('the chunk is shorter than its extent')
    throw new LostChunkError(extent.location.block, reason)
  }
  return chunk.subarray(at, at + to - from)
}

/** @param slot may lie outside of the region */
export function holdsChunk(region: OpenRegion, slot: number, fingerprint: Uint8Array): boolean {
  if (slot < 0 || slot >= region.chunkCount) return false
  return Buffer.compare(region.fingerprintAt(slot), fingerprint) === 0
}

/** @param extents ascending, those that overlap the range */
function areCovering(extents: readonly Extent[], startBytes: number, endBytes: number): boolean {
  let at = startBytes
  for (const extent of extents) {
    if (extent.startBytes > at) return false
    at = extent.startBytes + extent.lengthBytes
  }
  return at >= endBytes
}

function countRegions(extents: readonly Extent[]): number {
  const regions = new Set<number>()
  for (const extent of extents) regions.add(regionName(extent))
  return regions.size
}

function addZeros(pieces: Uint8Array[], lengthBytes: number): void {
  for (let left = lengthBytes; left > 0; left -= ZEROS.length) {
    pieces.push(left >= ZEROS.length ? ZEROS : ZEROS.subarray(0, left))
  }
}
