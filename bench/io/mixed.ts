// A lot of data of several kinds, for long runs: files in turn random, like a tar with changes, equal to the tar.

import { randomFillSync } from 'node:crypto'
import { closeSync, fsyncSync, openSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { eachPiece, writeAll } from './pieces.ts'

/** One change in each piece of a changed tar: a few new chunks among many known ones. */
const CHANGE_BYTES = 64

function changeSomewhere(piece: Uint8Array): void {
  if (piece.length < CHANGE_BYTES) return
  const at = Math.floor(Math.random() * (piece.length - CHANGE_BYTES + 1))
  randomFillSync(piece, at, CHANGE_BYTES)
}

const KINDS = [
  (piece: Uint8Array) => void randomFillSync(piece),
  changeSomewhere,
  (): void => undefined,
] as const

/** Writes files, each with fsync, until there are so many bytes. */
export function writeMixed(
  tar: string,
  directory: string,
  bytesMin: number,
): { bytes: number; count: number } {
  const content = { source: tar, startBytes: 0, lengthBytes: statSync(tar).size, stamp: 0 }
  let bytes = 0
  let count = 0
  for (; bytes < bytesMin; count += 1) {
    const change = KINDS[count % KINDS.length]
    const file = openSync(join(directory, `mixed-${count}`), 'w')
    bytes += eachPiece(content, piece => {
      change?.(piece)
      writeAll(file, piece)
    })
    fsyncSync(file)
    closeSync(file)
  }
  return { bytes, count }
}
