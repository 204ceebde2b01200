// A Bloom filter whose bits for one chunk lie in one line of the processor's cache (Putze, Sanders, Singler, "Cache-, hash-
// and space-efficient Bloom filters", 2007): asking it costs one access to memory, whatever its size.

/** A block is a cache line of 64 bytes. */
const BLOCK_WORDS = 16
const WORD_BITS = 32
const BLOCK_BITS = BLOCK_WORDS * WORD_BITS
const BLOCK_BIT_MASK = BLOCK_BITS - 1
export const BLOCK_BYTES = BLOCK_BITS / 8
/** About one unknown chunk in a hundred is then asked for in vain, which is as LevelDB's own filters have it. */
const BITS_PER_CHUNK = 10
/** 2 GiB, for 1,700 million chunks. */
export const BLOCKS_MAX = 2 ** 25
/** Three places of nine bits from each of two words of the hash. */
const PLACE_BITS = 9
const REST_BITS = 27

/** What the places of a chunk's bits are taken from: 96 even bits. */
export type ChunkHash = Uint32Array

export const HASH_WORDS = 3

export class BloomLayer {
  readonly blockCount: number
  readonly words: Uint32Array
  /** chunks that it was told of */
  count: number

  /** @param words as many as the blocks have */
  constructor(blockCount: number, words = new Uint32Array(blockCount * BLOCK_WORDS), count = 0) {
    if (!(blockCount >= 1 && blockCount <= BLOCKS_MAX)) throw new RangeError('blocks of a filter')
    if (words.length !== blockCount * BLOCK_WORDS) throw new RangeError('words of a filter')
    this.blockCount = blockCount
    this.words = words
    this.count = count
  }

  /** For so many chunks, or as many as one layer can take. */
  static for(chunkCount: number): BloomLayer {
    const blocks = Math.ceil((chunkCount * BITS_PER_CHUNK) / BLOCK_BITS)
    return new BloomLayer(Math.min(Math.max(blocks, 1), BLOCKS_MAX))
  }

  get bytes(): number {
    return this.blockCount * BLOCK_BYTES
  }

  /** With more than this it would say "maybe" too often. */
  get isFull(): boolean {
    return this.count >= (this.blockCount * BLOCK_BITS) / BITS_PER_CHUNK
  }

  /** @returns false: certainly never added */
  mayHave(hash: ChunkHash): boolean {
    const base = this.#base(hash)
    const first = hash[1] ?? 0
    const second = hash[2] ?? 0
    return (
      this.#hasBit(base, first) &&
      this.#hasBit(base, second) &&
      this.#hasBit(base, first >>> PLACE_BITS) &&
      this.#hasBit(base, second >>> PLACE_BITS) &&
      this.#hasBit(base, first >>> (2 * PLACE_BITS)) &&
      this.#hasBit(base, second >>> (2 * PLACE_BITS)) &&
      this.#hasBit(base, lastPlace(first, second))
    )
  }

  /** One that it doesn't seem to have. */
  addNew(hash: ChunkHash): void {
    this.count++
    const base = this.#base(hash)
    const first = hash[1] ?? 0
    const second = hash[2] ?? 0
    this.#setBit(base, first)
    this.#setBit(base, second)
    this.#setBit(base, first >>> PLACE_BITS)
    this.#setBit(base, second >>> PLACE_BITS)
    this.#setBit(base, first >>> (2 * PLACE_BITS))
    this.#setBit(base, second >>> (2 * PLACE_BITS))
    this.#setBit(base, lastPlace(first, second))
  }

  #base(hash: ChunkHash): number {
    const block = Math.floor(((hash[0] ?? 0) * this.blockCount) / 2 ** 32)
    // The product of large ones is rounded.
    return Math.min(block, this.blockCount - 1) * BLOCK_WORDS
  }

  #hasBit(base: number, place: number): boolean {
    const word = this.words[base + ((place & BLOCK_BIT_MASK) >>> 5)] ?? 0
    return (word & (1 << (place & 31))) !== 0
  }

  #setBit(base: number, place: number): void {
    const index = base + ((place & BLOCK_BIT_MASK) >>> 5)
    this.words[index] = (this.words[index] ?? 0) | (1 << (place & 31))
  }
}

/** The five bits that are left over of each word. */
function lastPlace(first: number, second: number): number {
  return (first >>> REST_BITS) | ((second >>> REST_BITS) << (WORD_BITS - REST_BITS))
}
