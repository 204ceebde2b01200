// What lies where in some block files, small enough to hold it for many of them: ten bytes a chunk.

import {
  DamagedRegionError,
  scanBlockFile,
  type BlockRecord,
  type BlockStore,
  type ChunkLocation,
} from '../blocks/index.ts'

/** Some 20 MB. */
const CHUNKS_MAX = 2_000_000
/** Of the fingerprint: an entry that is wrong by accident agrees with so many bits in none of all stores. */
const PREFIX_BYTES = 8
const ENTRY_BYTES = 2 + PREFIX_BYTES

export class BlockTables {
  /** per ordinal: 2 page (0: nothing lies there) · 8 beginning of the fingerprint */
  readonly #tables = new Map<number, Buffer>()
  #chunkCount = 0

  get hasRoom(): boolean {
    return this.#chunkCount < CHUNKS_MAX
  }

  has(block: number): boolean {
    return this.#tables.has(block)
  }

  holds({ block, page, ordinal }: ChunkLocation, fingerprint: Uint8Array): boolean {
    const table = this.#tables.get(block)
    const at = ordinal * ENTRY_BYTES
    if (table === undefined || at + ENTRY_BYTES > table.length) return false
    if (table.readUInt16LE(at) !== page) return false
    const prefix = fingerprint.subarray(0, PREFIX_BYTES)
    return table.compare(prefix, 0, PREFIX_BYTES, at + 2, at + ENTRY_BYTES) === 0
  }

  /** Regions that can't be read hold nothing. */
  async read(blocks: BlockStore, { block }: BlockRecord): Promise<void> {
    let table = Buffer.alloc(0)
    try {
      for await (const { page } of scanBlockFile(blocks.pathOf(block) ?? '')) {
        const region = await blocks.readRegion(block, page).catch((error: unknown) => {
          if (error instanceof DamagedRegionError) return undefined
          throw error
        })
        if (region === undefined) continue
        const end = (region.firstOrdinal + region.chunkCount) * ENTRY_BYTES
        if (end > table.length) table = Buffer.concat([table], Math.max(end, table.length * 2))
        for (let slot = 0; slot < region.chunkCount; slot++) {
          const at = (region.firstOrdinal + slot) * ENTRY_BYTES
          table.writeUInt16LE(page, at)
          table.set(region.fingerprintAt(slot).subarray(0, PREFIX_BYTES), at + 2)
        }
        region.release()
      }
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code !== 'ENOENT' && code !== 'EIO') throw error
    } finally {
      blocks.uncache(block)
    }
    this.#tables.set(block, table)
    this.#chunkCount += table.length / ENTRY_BYTES
  }
}
