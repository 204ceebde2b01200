// Reads the passphrase files of a start. Whatever a path leads to, reading it ends soon and takes little memory.

import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { PASSPHRASE_BYTES_MAX } from '../crypto/index.ts'
import { CofferError } from '../errors.ts'
import { firstLine } from '../first-line.ts'

/** The longest line with the line end of any system, and one byte that tells a longer one. */
const READ_BYTES_MAX = PASSPHRASE_BYTES_MAX + 3
/** A pipe without a writer would hold the open, and with it the start. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'The file is missing.',
  ENOTDIR: 'The file is missing.',
  EACCES: 'The file may not be read.',
  EPERM: 'The file may not be read.',
  ELOOP: 'The path has too many symbolic links.',
  ENXIO: 'It is no regular file.',
}

/**
 * The first line of a regular file. The caller wipes it.
 * @throws CofferError PASSPHRASE_FILE with the reason alone: the caller knows the path
 */
export async function readPassphraseFile(path: string): Promise<Buffer> {
  let file: FileHandle | undefined
  try {
    file = await open(path, FLAGS)
    if (!(await file.stat()).isFile()) throw refusal('It is no regular file.')
    return await readFirstLine(file)
  } catch (cause) {
    if (cause instanceof CofferError) throw cause
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no code'
    throw refusal(REASONS[code] ?? `The file can't be read (${code}).`, cause)
  } finally {
    await file?.close().catch(() => undefined)
  }
}

/** By hand, since a readFile would take all of a huge file. */
async function readFirstLine(file: FileHandle): Promise<Buffer> {
  const buffer = Buffer.alloc(READ_BYTES_MAX)
  let length = 0
  while (length < READ_BYTES_MAX) {
    const { bytesRead } = await file.read(buffer, length, READ_BYTES_MAX - length, length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  const line = firstLine(buffer.subarray(0, length))
  if (line.length > 0 && line.length <= PASSPHRASE_BYTES_MAX) return line
  buffer.fill(0)
  if (line.length === 0) throw refusal('Its first line is empty.')
  throw refusal(`Its first line has more than ${PASSPHRASE_BYTES_MAX} bytes.`)
}

function refusal(reason: string, cause?: unknown): CofferError {
  return new CofferError('PASSPHRASE_FILE', reason, { cause })
}
