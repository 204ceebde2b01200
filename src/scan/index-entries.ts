// The entries of the chunk index against the block files' records.

import { TABLE } from '../metadata/index.ts'
import { parseLocation } from '../dedupe/index.ts'
import { isMisplaced } from './extent-check.ts'
import { parsed, rows } from './scan-context.ts'
import type { ScanContext } from './scan-context.ts'

const GROUP_AT = 1

/**
 * @param isSweeping a pass of the cleaner ran at the snapshot's time: it deletes block files first and their entries later.
 *   That is no finding, since they are misses
 */
export async function checkIndexEntries(context: ScanContext, isSweeping: boolean): Promise<void> {
  const { found, blocks, group } = context
  const from = Buffer.alloc(group === undefined ? 1 : 3)
  from[0] = TABLE.chunk
  if (group !== undefined) from.writeUInt16BE(group, GROUP_AT)
  for await (const row of rows(context, from)) {
    const location = parsed(context, row, () => parseLocation(row.value))
    if (location === undefined) continue
    const place = blocks.get(location.block)
    if (place === undefined) {
      if (isSweeping) continue
      const text = `An index entry refers to block file ${location.block}, which has no record.`
      found('index-block', text, { key: row.key })
    } else if (isMisplaced(location, place, row.key.readUInt16BE(GROUP_AT))) {
      const text = `An index entry refers to no place of block file ${location.block}.`
      found('index-place', text, { key: row.key })
    }
  }
}
