// Reads stored bytes: extents to regions to pieces of the region cache, with read-ahead that follows the extents.

import { FilesystemError } from '../errors.ts'
import type { OpenRegion } from '../blocks/block-store.ts'
import type { Extent } from './extent.ts'
import type { ExtentMap } from './extent-map.ts'

/** What reading needs of the block layer. */
export interface RegionSource {
  readRegion(block: number, page: number): Promise<OpenRegion>
  cachedRegion(block: number, page: number): OpenRegion | undefined
}

export interface ReaderOptions {
  readonly extents: ExtentMap
  readonly regions: RegionSource
  /** told once per failed read: which file, which block, what is wrong with it */
  readonly damaged: (inode: number, block: number, error: Error) => void
}

/**
 * Pieces that one read may pin at once; a read of more regions copies instead. Bounds what all reads together can pin,
 * so that they never wait for each other's cache slots.
 */
const PINNED_REGIONS_MAX = 2
const READ_AHEAD_BYTES_MAX = 4 * 1024 * 1024
const ZEROS = new Uint8Array(1024 * 1024)

export interface PiecePart {
  readonly startBytes: number
  readonly bytes: Uint8Array
}

export class StoredReader {
  readonly #options: ReaderOptions

  constructor(options: ReaderOptions) {
    this.#options = options
  }

  /** The range's stored bytes in order, holes as zeros, and the regions that are pinned for them. */
  async pieces(
    inode: number,
    startBytes: number,
    endBytes: number,
    pinned: OpenRegion[],
  ): Promise<Uint8Array[]> {
    const extents = this.#options.extents.overlapping(inode, startBytes, endBytes)
    const isPinning = countRegions(extents) <= PINNED_REGIONS_MAX
    if (!isPinning) {
      const target = Buffer.allocUnsafe(endBytes - startBytes)
      await this.copy(inode, startBytes, target)
      return [target]
    }
    const pieces: Uint8Array[] = []
    let at = startBytes
    for (const extent of extents) {
      const from = Math.max(at, extent.startBytes)
      const to = Math.min(endBytes, extent.startBytes + extent.lengthBytes)
      addZeros(pieces, from - at)
      const region = await this.#region(inode, extent)
      pinned.push(region)
      pieces.push(this.#chunkBytes(inode, region, extent, from, to))
      at = to
    }
    addZeros(pieces, endBytes - at)
    return pieces
  }

  /** The same, copied; one region pinned at a time. */
  async copy(inode: number, startBytes: number, target: Uint8Array): Promise<void> {
    const endBytes = startBytes + target.length
    let at = startBytes
    for (const extent of this.#options.extents.overlapping(inode, startBytes, endBytes)) {
      const from = Math.max(at, extent.startBytes)
      const to = Math.min(endBytes, extent.startBytes + extent.lengthBytes)
      target.fill(0, at - startBytes, from - startBytes)
      const region = await this.#region(inode, extent)
      try {
        target.set(this.#chunkBytes(inode, region, extent, from, to), from - startBytes)
      } finally {
        region.release()
      }
      at = to
    }
    target.fill(0, at - startBytes)
  }

  /** Brings the regions of the next bytes into the cache, without waiting. */
  readAhead(inode: number, startBytes: number, lengthBytes: number): void {
    const endBytes = startBytes + Math.min(lengthBytes, READ_AHEAD_BYTES_MAX)
    let lastBlock = 0
    let lastPage = 0
    for (const { location } of this.#options.extents.overlapping(inode, startBytes, endBytes)) {
      if (location.block === lastBlock && location.page === lastPage) continue
      lastBlock = location.block
      lastPage = location.page
      const cached = this.#options.regions.cachedRegion(location.block, location.page)
      if (cached !== undefined) cached.release()
      else {
        this.#options.regions.readRegion(location.block, location.page).then(
          region => region.release(),
          // The read that needs the region meets the same failure and reports it.
          () => {},
        )
      }
    }
  }

  async #region(inode: number, extent: Extent): Promise<OpenRegion> {
    const { block, page } = extent.location
    const cached = this.#options.regions.cachedRegion(block, page)
    if (cached !== undefined) return cached
    try {
      return await this.#options.regions.readRegion(block, page)
    } catch (error) {
      throw this.#damage(inode, block, error instanceof Error ? error : new Error(String(error)))
    }
  }

  /** The extent's bytes from `from` to `to` of the file, if the region really holds the extent's chunk. */
  #chunkBytes(
    inode: number,
    region: OpenRegion,
    extent: Extent,
    from: number,
    to: number,
  ): Uint8Array {
    const { slot, block } = extent.location
    const at = extent.chunkOffsetBytes + from - extent.startBytes
    if (
      slot >= region.chunkCount ||
      Buffer.compare(region.fingerprintAt(slot), extent.fingerprint) !== 0
    ) {
      throw this.#damage(inode, block, new Error('the region holds another chunk'))
    }
    const chunk = region.chunkAt(slot)
    if (at + to - from > chunk.length) {
      throw this.#damage(inode, block, new Error('the chunk is shorter than its extent'))
    }
    return chunk.subarray(at, at + to - from)
  }

  #damage(inode: number, block: number, cause: Error): FilesystemError {
    this.#options.damaged(inode, block, cause)
    return new FilesystemError('EIO', `Block ${block} is damaged: ${cause.message}`, { cause })
  }
}

function countRegions(extents: readonly Extent[]): number {
  const regions = new Set<number>()
  for (const { location } of extents) regions.add(location.block * 2 ** 16 + location.page)
  return regions.size
}

export function addZeros(pieces: Uint8Array[], lengthBytes: number): void {
  for (let left = lengthBytes; left > 0; left -= ZEROS.length) {
    pieces.push(left >= ZEROS.length ? ZEROS : ZEROS.subarray(0, left))
  }
}
