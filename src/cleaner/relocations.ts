// Where the chunks of condemned block files have been moved: eight bytes a chunk.

import type { ChunkLocation } from '../blocks/index.ts'

const FIRST_CHUNKS = 1024

interface Moves {
  /** 0 = not moved */
  blocks: Uint32Array
  pages: Uint16Array
  ordinals: Uint16Array
}

export class Relocations {
  readonly #moves = new Map<number, Moves>()

  /** Whether chunks of the block file are being moved. */
  has(block: number): boolean {
    return this.#moves.has(block)
  }

  set(from: ChunkLocation, to: ChunkLocation): void {
    let moves = this.#moves.get(from.block)
    if (moves === undefined || from.ordinal >= moves.blocks.length) {
      moves = grown(moves, Math.max(FIRST_CHUNKS, (from.ordinal + 1) * 2))
      this.#moves.set(from.block, moves)
    }
    moves.blocks[from.ordinal] = to.block
    moves.pages[from.ordinal] = to.page
    moves.ordinals[from.ordinal] = to.ordinal
  }

  get({ block, ordinal }: ChunkLocation): ChunkLocation | undefined {
    const moves = this.#moves.get(block)
    const to = moves?.blocks[ordinal] ?? 0
    if (moves === undefined || to === 0) return undefined
    return { block: to, page: moves.pages[ordinal] ?? 0, ordinal: moves.ordinals[ordinal] ?? 0 }
  }
}

function grown(moves: Moves | undefined, count: number): Moves {
  const larger = {
    blocks: new Uint32Array(count),
    pages: new Uint16Array(count),
    ordinals: new Uint16Array(count),
  }
  if (moves !== undefined) {
    larger.blocks.set(moves.blocks)
    larger.pages.set(moves.pages)
    larger.ordinals.set(moves.ordinals)
  }
  return larger
}
