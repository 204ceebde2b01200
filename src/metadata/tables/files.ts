// Names of LevelDB's files, and reading those that are small.

import { open, readdir } from 'node:fs/promises'
import { constants } from 'node:fs'
import { join } from 'node:path'

const NUMBER_DIGITS = 6
const MANIFEST = /^MANIFEST-\d+$/
const LOG = /^(\d+)\.log$/
/** A log is flushed at 16 MiB, and a batch is smaller than that; manifests have some megabytes. */
const FILE_BYTES_MAX = 64 * 1024 * 1024

export function tableName(number: number): string {
  return `${String(number).padStart(NUMBER_DIGITS, '0')}.ldb`
}

/** The manifest that CURRENT names; undefined where it names none. */
export function manifestNamed(current: Buffer): string | undefined {
  const text = current.toString('latin1')
  const name = text.slice(0, -1)
  return text.endsWith('\n') && MANIFEST.test(name) ? name : undefined
}

/** Logs from a number on, ascending. */
export async function listLogs(
  directory: string,
  isNeeded: (number: number) => boolean,
): Promise<{ readonly name: string; readonly number: number }[]> {
  const logs: { name: string; number: number }[] = []
  for (const name of await readdir(directory)) {
    const number = Number(LOG.exec(name)?.[1])
    if (Number.isSafeInteger(number) && isNeeded(number)) logs.push({ name, number })
  }
  return logs.toSorted((left, right) => left.number - right.number)
}

/** Whole file, as long as it is when it is opened. What stands in its place is neither followed nor waited for. */
export async function readWhole(directory: string, name: string): Promise<Buffer> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await open(join(directory, name), flags)
  try {
    const { size } = await file.stat()
    if (size > FILE_BYTES_MAX) throw new RangeError('is larger than LevelDB makes it')
    const bytes = Buffer.allocUnsafe(size)
    let done = 0
    while (done < size) {
      const { bytesRead } = await file.read(bytes, done, size - done, done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    return bytes.subarray(0, done)
  } finally {
    await file.close()
  }
}

export function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
