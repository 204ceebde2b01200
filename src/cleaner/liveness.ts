// Which chunks are referred to: one bit a chunk in a bitmap per block file, and the live bytes of each block file.
// At 32 KiB a chunk that is 4 MiB per TiB.

import type { ChunkLocation } from '../blocks/index.ts'

/** A first bitmap holds so many chunks; a block file of 64 MiB with chunks of 32 KiB has some 2,000 to 4,000. */
const FIRST_BITMAP_BYTES = 32
const BITS_PER_BYTE = 8

interface BlockLiveness {
  bits: Uint8Array
  liveBytes: number
  liveChunks: number
}

export class Liveness {
  readonly #blocks = new Map<number, BlockLiveness>()

  /**
   * The chunk is referred to. Marking it again changes nothing.
   * @param chunkLengthBytes the chunk's length before compression
   */
  mark({ block, ordinal }: ChunkLocation, chunkLengthBytes: number): void {
    this.markAt(block, ordinal, chunkLengthBytes)
  }

  /** The same for a scan of millions, which makes no objects. */
  markAt(block: number, ordinal: number, chunkLengthBytes: number): void {
    let liveness = this.#blocks.get(block)
    if (liveness === undefined) {
      liveness = { bits: new Uint8Array(FIRST_BITMAP_BYTES), liveBytes: 0, liveChunks: 0 }
      this.#blocks.set(block, liveness)
    }
    const at = Math.floor(ordinal / BITS_PER_BYTE)
    if (at >= liveness.bits.length) liveness.bits = grown(liveness.bits, at + 1)
    const bit = 1 << (ordinal % BITS_PER_BYTE)
    const byte = liveness.bits[at] ?? 0
    if ((byte & bit) !== 0) return
    liveness.bits[at] = byte | bit
    liveness.liveBytes += chunkLengthBytes
    liveness.liveChunks += 1
  }

  isLive({ block, ordinal }: ChunkLocation): boolean {
    return this.isLiveAt(block, ordinal)
  }

  isLiveAt(block: number, ordinal: number): boolean {
    const byte = this.#blocks.get(block)?.bits[Math.floor(ordinal / BITS_PER_BYTE)] ?? 0
    return (byte & (1 << (ordinal % BITS_PER_BYTE))) !== 0
  }

  /** Bytes of the block file's live chunks before compression. */
  liveBytes(block: number): number {
    return this.#blocks.get(block)?.liveBytes ?? 0
  }

  liveChunks(block: number): number {
    return this.#blocks.get(block)?.liveChunks ?? 0
  }

  /** What the bitmaps take. */
  get memoryBytes(): number {
    let bytes = 0
    for (const { bits } of this.#blocks.values()) bytes += bits.length
    return bytes
  }
}

/** Twice as large at least, so that growing costs little; not much more, since there are many. */
function grown(bits: Uint8Array, atLeastBytes: number): Uint8Array {
  const larger = new Uint8Array(Math.max(atLeastBytes, bits.length * 2))
  larger.set(bits)
  return larger
}
