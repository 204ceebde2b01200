// Small files in places that others may write to: never followed elsewhere, never waited for, and never read without a bound.

import { constants } from 'node:fs'
import { open } from 'node:fs/promises'

const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * The bytes of a regular file, not more than one beyond `bytesMax`: so many say that it is larger.
 * @throws Error with the errno's name as its code, ELOOP for a symbolic link, NOT_REGULAR for a pipe, a device or the like
 */
export async function readSmallFile(path: string, bytesMax: number): Promise<Buffer> {
  const file = await open(path, FLAGS)
  try {
    if (!(await file.stat()).isFile()) {
      throw Object.assign(new Error(`${path} is no regular file.`), { code: 'NOT_REGULAR' })
    }
    const buffer = Buffer.alloc(bytesMax + 1)
    let length = 0
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    return buffer.subarray(0, length)
  } finally {
    await file.close()
  }
}
