// The image of a virtual machine, overwritten in random places. A journal in memory says what was written where, so that
// the whole image can be compared afterwards.

import { appendFileSync, closeSync, fstatSync, fsyncSync, openSync, readFileSync } from 'node:fs'
import {
  compareContent,
  PAGE_BYTES,
  PIECE_BYTES,
  readFully,
  stampPages,
  writeAll,
  type Content,
} from './pieces.ts'
import { randomNumbers } from './random.ts'

/** Beyond the stamps of the image itself. */
const STAMP_BASE = 1 << 24
/** 4 offset in pages · 4 length in pages · 4 number of the write */
const ENTRY_BYTES = 12

export interface Overwriting {
  readonly path: string
  readonly source: string
  readonly journal: string
  readonly writeBytes: number
  readonly count: number
  readonly fsyncEvery: number
  /** it ends early: the slowest must not hold up all others */
  readonly secondsMax: number
  /** of the places; a second round must have another */
  readonly seed: number
}

/** Stays within the source, whose length is one of whole pieces. */
function overwritePiece(source: number, piece: Buffer, number: number): void {
  const places = Math.floor(fstatSync(source).size / piece.length)
  readFully(source, piece, (number % places) * piece.length)
  stampPages(piece, STAMP_BASE + number)
}

/** Returns how many writes there were. */
export function overwrite(task: Overwriting): number {
  const image = openSync(task.path, 'r+')
  const source = openSync(task.source, 'r')
  try {
    const places = Math.floor(fstatSync(image).size / task.writeBytes)
    const random = randomNumbers(task.seed)
    const piece = Buffer.alloc(task.writeBytes)
    const journal = Buffer.alloc(task.count * ENTRY_BYTES)
    const endMs = performance.now() + task.secondsMax * 1000
    let count = 0
    while (count < task.count && performance.now() < endMs) {
      const number = task.seed * task.count + count
      const at = Math.floor(random() * places) * task.writeBytes
      overwritePiece(source, piece, number)
      writeAll(image, piece, at)
      journal.writeUInt32LE(at / PAGE_BYTES, count * ENTRY_BYTES)
      journal.writeUInt32LE(task.writeBytes / PAGE_BYTES, count * ENTRY_BYTES + 4)
      journal.writeUInt32LE(number, count * ENTRY_BYTES + 8)
      count += 1
      if (count % task.fsyncEvery === 0) fsyncSync(image)
    }
    fsyncSync(image)
    appendFileSync(task.journal, journal.subarray(0, count * ENTRY_BYTES))
    return count
  } finally {
    closeSync(source)
    closeSync(image)
  }
}

interface Write {
  readonly atBytes: number
  readonly lengthBytes: number
  readonly number: number
}

/** No write crosses the end of a piece: their lengths divide it, and their places are multiples of their lengths. */
function writesByPiece(journal: Buffer): Map<number, Write[]> {
  const pieces = new Map<number, Write[]>()
  for (let at = 0; at < journal.length; at += ENTRY_BYTES) {
    const atBytes = journal.readUInt32LE(at) * PAGE_BYTES
    const lengthBytes = journal.readUInt32LE(at + 4) * PAGE_BYTES
    const pieceStart = atBytes - (atBytes % PIECE_BYTES)
    const writes = pieces.get(pieceStart) ?? []
    writes.push({ atBytes, lengthBytes, number: journal.readUInt32LE(at + 8) })
    pieces.set(pieceStart, writes)
  }
  return pieces
}

/** @throws unless the image is its first content and all writes of the journal, in their order */
export function compareImage(content: Content, path: string, journalPath: string): number {
  const writes = writesByPiece(readFileSync(journalPath))
  const source = openSync(content.source, 'r')
  try {
    return compareContent(content, path, (piece, pieceStart) => {
      for (const { atBytes, lengthBytes, number } of writes.get(pieceStart) ?? []) {
        const within = atBytes - pieceStart
        overwritePiece(source, piece.subarray(within, within + lengthBytes), number)
      }
    })
  } finally {
    closeSync(source)
  }
}
