// Does the timed I/O, in a process of its own: whatever the benchmark itself does must not count. Prints one WorkerResult.
//
//   io-worker.js write SOURCE TARGET           copies in 1 MiB pieces, then fsync
//   io-worker.js read FILE                     reads to the end in 1 MiB pieces
//   io-worker.js small DIRECTORY COUNT BYTES   creates, writes and closes files, one after another
//   io-worker.js mixed TAR DIRECTORY BYTES     writes files in turn random, like TAR with changes, equal to TAR

import { randomBytes, randomFillSync } from 'node:crypto'
import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'

export interface WorkerResult {
  readonly bytes: number
  readonly files: number
  readonly seconds: number
}

/** What the usual backup applications write at once. */
const PIECE_BYTES = 1024 * 1024
/** One change in each piece of a changed tar: a few new chunks among many known ones. */
const CHANGE_BYTES = 64

function writeAll(file: number, data: Uint8Array): void {
  for (let at = 0; at < data.length;) at += writeSync(file, data, at)
}

/** Calls `each` with the pieces of a file, in one buffer that is used again. */
function readPieces(path: string, each: (piece: Uint8Array) => void): number {
  const buffer = Buffer.alloc(PIECE_BYTES)
  const file = openSync(path, 'r')
  let bytes = 0
  for (;;) {
    const count = readSync(file, buffer, 0, PIECE_BYTES, null)
    if (count === 0) break
    bytes += count
    each(buffer.subarray(0, count))
  }
  closeSync(file)
  return bytes
}

/** Copies a file, then fsync. `change` may alter each piece on its way. */
function copy(source: string, target: string, change?: (piece: Uint8Array) => void): number {
  const file = openSync(target, 'w')
  const bytes = readPieces(source, piece => {
    change?.(piece)
    writeAll(file, piece)
  })
  fsyncSync(file)
  closeSync(file)
  return bytes
}

function writeSmall(directory: string, count: number, bytes: number): number {
  const contents = randomBytes(count * bytes)
  const started = performance.now()
  for (let index = 0; index < count; index += 1) {
    const file = openSync(join(directory, `small-${index}`), 'w')
    writeAll(file, contents.subarray(index * bytes, (index + 1) * bytes))
    closeSync(file)
  }
  return performance.now() - started
}

function changeSomewhere(piece: Uint8Array): void {
  if (piece.length < CHANGE_BYTES) return
  const at = Math.floor(Math.random() * (piece.length - CHANGE_BYTES + 1))
  randomFillSync(piece, at, CHANGE_BYTES)
}

function writeMixed(
  tar: string,
  directory: string,
  bytesMin: number,
): [bytes: number, files: number] {
  const kinds = [(piece: Uint8Array) => void randomFillSync(piece), changeSomewhere, undefined]
  let bytes = 0
  let files = 0
  while (bytes < bytesMin) {
    bytes += copy(tar, join(directory, `mixed-${files}`), kinds[files % kinds.length])
    files += 1
  }
  return [bytes, files]
}

function sizeOf(path: string): number {
  const file = openSync(path, 'r')
  const { size } = fstatSync(file)
  closeSync(file)
  return size
}

function work(command: string, [first = '', second = '', third = '']: string[]): WorkerResult {
  const started = performance.now()
  const sinceStart = (): number => (performance.now() - started) / 1000
  switch (command) {
    case 'write':
      return { bytes: copy(first, second), files: 1, seconds: sinceStart() }
    case 'read': {
      const bytes = readPieces(first, () => undefined)
      const seconds = sinceStart()
      if (bytes !== sizeOf(first)) throw new Error(`${first}: only ${bytes} bytes came back`)
      return { bytes, files: 1, seconds }
    }
    case 'small': {
      const [count, bytes] = [Number(second), Number(third)]
      const seconds = writeSmall(first, count, bytes) / 1000
      return { bytes: count * bytes, files: count, seconds }
    }
    case 'mixed': {
      const [bytes, files] = writeMixed(first, second, Number(third))
      return { bytes, files, seconds: sinceStart() }
    }
    default:
      throw new Error(`unknown command ${command}`)
  }
}

const [command = '', ...args] = process.argv.slice(2)
console.log(JSON.stringify(work(command, args)))
