// The last bytes of a table: where its index lies.
//
//   0  40  places and sizes of metaindex and index block, as varints, then zeros
//  40   8  magic

import { open } from 'node:fs/promises'
import { constants } from 'node:fs'
import { ByteReader } from './byte-reader.ts'

const HANDLES_BYTES = 40
const FOOTER_BYTES = 48
const BLOCK_TRAILER_BYTES = 5
const MAGIC = Buffer.from('57fb808b247547db', 'hex')

/** Whether a table's footer points into it. True for a table that is missing: LevelDB says so. */
export async function hasSoundFooter(path: string, tableBytes: number): Promise<boolean> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (file === undefined) return true
  try {
    if (tableBytes < FOOTER_BYTES || (await file.stat()).size !== tableBytes) return false
    const footer = Buffer.alloc(FOOTER_BYTES)
    await file.read(footer, 0, FOOTER_BYTES, tableBytes - FOOTER_BYTES)
    return isFooter(footer, tableBytes - FOOTER_BYTES)
  } finally {
    await file.close()
  }
}

function isFooter(footer: Buffer, blocksBytes: number): boolean {
  if (!footer.subarray(HANDLES_BYTES).equals(MAGIC)) return false
  const reader = new ByteReader(footer.subarray(0, HANDLES_BYTES))
  try {
    for (let handle = 0; handle < 2; handle++) {
      const end = reader.varint() + reader.varint() + BLOCK_TRAILER_BYTES
      if (end > blocksBytes) return false
    }
    return true
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}
