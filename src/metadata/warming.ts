// After a start LevelDB finds its filters page by page on the disk, one random read for each new chunk, until it has met
// them all. They lie at the end of its tables, and are small: read once in a row, they are in the kernel's cache when they are
// asked for. Nothing is promised by it, and nothing depends on it.

import { open, readdir, stat } from 'node:fs/promises'
import { freemem } from 'node:os'
import { join } from 'node:path'
import createDebug from 'debug'

const log = createDebug('coffer:metadata')

const TABLE_SUFFIX = '.ldb'
/**
 * Filters have 10 bits a key, and the index of a table some 40 bytes for each 4 KiB: together 3 % where keys and values are as
 * small as those of chunks, and less elsewhere.
 */
const TAIL_SHARE = 1 / 24
const PIECE_BYTES = 1024 * 1024
/** What it reads may push nothing else out of memory. */
const FREE_SHARE_MAX = 1 / 4

interface Tail {
  readonly path: string
  readonly startBytes: number
  readonly endBytes: number
}

/** @returns bytes read */
export async function warmTables(directory: string, signal: AbortSignal): Promise<number> {
  const tails: Tail[] = []
  for (const name of await readdir(directory)) {
    if (!name.endsWith(TABLE_SUFFIX)) continue
    const path = join(directory, name)
    const file = await stat(path)
    // A pipe would be waited for.
    if (!file.isFile()) continue
    const startBytes = Math.floor(file.size * (1 - TAIL_SHARE))
    tails.push({ path, startBytes, endBytes: file.size })
  }
  const totalBytes = tails.reduce((sum, tail) => sum + tail.endBytes - tail.startBytes, 0)
  if (totalBytes > freemem() * FREE_SHARE_MAX) {
    log('%d bytes of filters are left on the disk: memory is short', totalBytes)
    return 0
  }
  const piece = Buffer.allocUnsafe(PIECE_BYTES)
  for (const tail of tails) await readTail(tail, piece, signal)
  return totalBytes
}

async function readTail(
  { path, startBytes, endBytes }: Tail,
  piece: Buffer,
  signal: AbortSignal,
): Promise<void> {
  const file = await open(path)
  try {
    for (let at = startBytes; at < endBytes;) {
      signal.throwIfAborted()
      const { bytesRead } = await file.read(piece, 0, Math.min(piece.length, endBytes - at), at)
      if (bytesRead === 0) return
      at += bytesRead
    }
  } finally {
    await file.close()
  }
}
