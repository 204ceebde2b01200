// Content that can be made again at any time, so that whatever is read back can be compared: a source file, of which one
// word in every page may be replaced by a stamp. So one source in memory gives any amount of data that is new to a
// deduplicating store, at no cost beside the writing.

import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'

/** What the usual backup applications write at once. */
export const PIECE_BYTES = 1024 * 1024
/** Smaller than any chunk: no chunk is without a stamp. */
export const PAGE_BYTES = 4096
/** Spreads small numbers over all bits: neighbours must differ in more than the last ones. */
const GOLDEN = 0x9e3779b1

export interface Content {
  readonly source: string
  /** where in the source it begins; behind the source's end it goes on at its beginning with the next stamp */
  readonly startBytes: number
  readonly lengthBytes: number
  /** 0: as the source is */
  readonly stamp: number
}

/** Alters one word of every page of a piece, whose beginning is that of a page. */
export function stampPages(piece: Buffer, stamp: number): void {
  if (stamp === 0) return
  const word = Math.imul(stamp, GOLDEN) >>> 0
  for (let at = 0; at + 4 <= piece.length; at += PAGE_BYTES) {
    piece.writeUInt32LE((piece.readUInt32LE(at) ^ word) >>> 0, at)
  }
}

/** Reads until the buffer is full. @throws when the file ends before */
export function readFully(file: number, buffer: Uint8Array, fromBytes: number): void {
  for (let at = 0; at < buffer.length;) {
    const count = readSync(file, buffer, at, buffer.length - at, fromBytes + at)
    if (count === 0) throw new Error(`the file ends at ${fromBytes + at}`)
    at += count
  }
}

export function writeAll(file: number, data: Uint8Array, fromBytes: number | null = null): void {
  for (let at = 0; at < data.length;) {
    const place = fromBytes === null ? null : fromBytes + at
    at += writeSync(file, data, at, data.length - at, place)
  }
}

/** Calls `each` with the pieces of some content, in one buffer that is used again. */
export function eachPiece(
  content: Content,
  each: (piece: Buffer, atBytes: number) => void,
): number {
  const buffer = Buffer.alloc(PIECE_BYTES)
  const file = openSync(content.source, 'r')
  try {
    const sourceBytes = fstatSync(file).size
    for (let at = 0; at < content.lengthBytes;) {
      const place = content.startBytes + at
      const inSource = place % sourceBytes
      const rest = Math.min(PIECE_BYTES, content.lengthBytes - at, sourceBytes - inSource)
      const piece = buffer.subarray(0, rest)
      readFully(file, piece, inSource)
      stampPages(piece, stampOfLap(content.stamp, Math.floor(place / sourceBytes)))
      each(piece, at)
      at += rest
    }
    return content.lengthBytes
  } finally {
    closeSync(file)
  }
}

/** The source as it is stays so only as long as it isn't repeated: the second lap must not be a copy of the first. */
function stampOfLap(stamp: number, lap: number): number {
  return stamp === 0 && lap === 0 ? 0 : stamp + (lap << 16)
}

/** Writes a file, then fsync. */
export function writeContent(content: Content, target: string): number {
  const file = openSync(target, 'w')
  try {
    const bytes = eachPiece(content, piece => writeAll(file, piece))
    fsyncSync(file)
    return bytes
  } finally {
    closeSync(file)
  }
}

/** Reads a file to its end in pieces, and does nothing with them. */
export function readThrough(path: string): number {
  const buffer = Buffer.alloc(PIECE_BYTES)
  const file = openSync(path, 'r')
  try {
    let bytes = 0
    for (;;) {
      const count = readSync(file, buffer, 0, PIECE_BYTES, null)
      if (count === 0) break
      bytes += count
    }
    const { size } = fstatSync(file)
    if (bytes !== size) throw new Error(`${path}: ${bytes} bytes of ${size} came back`)
    return bytes
  } finally {
    closeSync(file)
  }
}

/**
 * Whether a file is exactly this content.
 * @param change applied to what is expected of a piece
 * @throws that says where it differs
 */
export function compareContent(
  content: Content,
  path: string,
  change?: (piece: Buffer, atBytes: number) => void,
): number {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    if (size !== content.lengthBytes) {
      throw new Error(`${path} has ${size} bytes instead of ${content.lengthBytes}`)
    }
    const found = Buffer.alloc(PIECE_BYTES)
    return eachPiece(content, (piece, at) => {
      change?.(piece, at)
      const part = found.subarray(0, piece.length)
      readFully(file, part, at)
      if (!part.equals(piece)) throw new Error(`${path} is not what was written, near ${at}`)
    })
  } finally {
    closeSync(file)
  }
}
