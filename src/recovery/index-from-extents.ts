// The chunk index of what files refer to, from their extents: each says which chunk it has and where that lies. So no
// block file has to be read, nor a key to be there. What no file refers to is left to a rebuild of the index.

import { indexEntry } from '../dedupe/index.ts'
import { UsageTally, type UsageTotals } from '../evidence/index.ts'
import { prefixEnd, TABLE } from '../metadata/index.ts'
import type { OfflineMetadata } from '../metadata/index.ts'
import { EXTENT_PAGE_BYTES, parseExtents } from '../stream/index.ts'
import type { BlockSurvey } from './block-survey.ts'

const BATCH_RECORDS = 4096
/** An extent's key: 1 table · 8 inode · 4 page */
const PAGE_AT = 9

export interface ExtentsFound {
  /** entries written; a chunk that is stored once counts as often as it is referred to */
  readonly extents: number
  readonly greatestBlock: number
  /** inode => bytes whose chunks are in no block file any more */
  readonly lostBytes: ReadonlyMap<number, number>
  /** references to all block files */
  readonly usage: UsageTotals
}

/** @param index undefined: only look */
export async function indexFromExtents(
  metadata: OfflineMetadata,
  survey: BlockSurvey,
  isWritten: boolean,
): Promise<ExtentsFound> {
  const lostBytes = new Map<number, number>()
  const usage = new UsageTally()
  let extents = 0
  let greatestBlock = 0
  let batch: { key: Buffer; value: Buffer }[] = []
  const prefix = Buffer.of(TABLE.extents)
  for await (const { key, value } of metadata.range(prefix, prefixEnd(prefix))) {
    const { inode, page } = parseKey(key)
    usage.add(value, 1)
    const parsed = parseExtents(page * EXTENT_PAGE_BYTES, value)
    for (const { location, fingerprint, lengthBytes } of parsed.extents) {
      extents++
      greatestBlock = Math.max(greatestBlock, location.block)
      if (survey.has(parsed.group, location)) {
        batch.push(indexEntry(parsed.group, fingerprint, location))
      } else lostBytes.set(inode, (lostBytes.get(inode) ?? 0) + lengthBytes)
    }
    if (!isWritten) batch = []
    if (batch.length < BATCH_RECORDS) continue
    await metadata.write(batch)
    batch = []
  }
  if (batch.length > 0) await metadata.write(batch)
  return { extents, greatestBlock, lostBytes, usage }
}

function parseKey(bytes: Uint8Array): { inode: number; page: number } {
  const key = Buffer.from(bytes)
  return { inode: Number(key.readBigUInt64BE(1)), page: key.readUInt32BE(PAGE_AT) }
}
