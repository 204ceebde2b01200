// Daily backups of the same data: each generation changes some of it for good, and moves all of it a little, as one
// more entry at the beginning of an archive does.

import { closeSync, fstatSync, fsyncSync, openSync } from 'node:fs'
import { PAGE_BYTES, PIECE_BYTES, readFully, stampPages, writeAll } from './pieces.ts'
import { randomNumbers } from './random.ts'

/** What changes, changes in places of this size: a file, or a few records of a database. */
const CHANGE_BYTES = 16 * PAGE_BYTES
/** Odd, so that pages of one generation are nowhere near those of another. */
const SHIFT_BYTES = 509

export interface Generation {
  readonly source: string
  /** of its data, without what is in front of it */
  readonly lengthBytes: number
  /** 1: the first */
  readonly number: number
  /** share of the places that a generation changes */
  readonly changed: number
}

/** Which generation changed each place last; 0: none. */
function lastChanges(generation: Generation): Uint16Array {
  const places = new Uint16Array(Math.ceil(generation.lengthBytes / CHANGE_BYTES))
  for (let number = 2; number <= generation.number; number += 1) {
    const random = randomNumbers(number)
    for (let count = Math.round(places.length * generation.changed); count > 0; count -= 1) {
      places[Math.floor(random() * places.length)] = number
    }
  }
  return places
}

/** Calls `each` with the pieces of a generation, in their order, in one buffer that is used again. */
function eachGenerationPiece(generation: Generation, each: (piece: Buffer) => void): number {
  const changes = lastChanges(generation)
  const out = Buffer.alloc(PIECE_BYTES)
  let filled = 0
  let bytes = 0
  const end = (): void => {
    if (filled > 0) each(out.subarray(0, filled))
    bytes += filled
    filled = 0
  }
  const add = (part: Buffer): void => {
    for (let at = 0; at < part.length;) {
      const count = part.copy(out, filled, at)
      at += count
      filled += count
      if (filled === out.length) end()
    }
  }
  const file = openSync(generation.source, 'r')
  try {
    if (fstatSync(file).size < generation.lengthBytes) throw new Error('the source is too short')
    add(Buffer.alloc(SHIFT_BYTES * generation.number, generation.number))
    const buffer = Buffer.alloc(CHANGE_BYTES)
    for (const [place, changedBy] of changes.entries()) {
      const at = place * CHANGE_BYTES
      const part = buffer.subarray(0, Math.min(CHANGE_BYTES, generation.lengthBytes - at))
      readFully(file, part, at)
      stampPages(part, changedBy)
      add(part)
    }
    end()
    return bytes
  } finally {
    closeSync(file)
  }
}

/** Writes a generation as one file, then fsync. */
export function writeGeneration(generation: Generation, target: string): number {
  const file = openSync(target, 'w')
  try {
    const bytes = eachGenerationPiece(generation, piece => writeAll(file, piece))
    fsyncSync(file)
    return bytes
  } finally {
    closeSync(file)
  }
}

/** @throws unless the file is exactly this generation */
export function compareGeneration(generation: Generation, path: string): number {
  const file = openSync(path, 'r')
  try {
    const found = Buffer.alloc(PIECE_BYTES)
    let at = 0
    eachGenerationPiece(generation, piece => {
      const part = found.subarray(0, piece.length)
      readFully(file, part, at)
      if (!part.equals(piece)) throw new Error(`${path} is not what was written, near ${at}`)
      at += piece.length
    })
    const { size } = fstatSync(file)
    if (size !== at) throw new Error(`${path} has ${size} bytes instead of ${at}`)
    return at
  } finally {
    closeSync(file)
  }
}
