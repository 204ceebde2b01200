// What a recovery finds of the old metadata: whether every record can be read, and whether any have been lost.

import { access } from 'node:fs/promises'
import { join } from 'node:path'
import createDebug from 'debug'
import { compareUsage, countersIn, countExtents } from '../evidence/index.ts'
import { OfflineMetadata } from '../metadata/index.ts'
import { isCopied } from '../recovery/index.ts'
import { committedBlockTotal } from './block-census.ts'
import { loadBlockRecords } from './block-records.ts'
import { mappedBytesOf } from './mapped-bytes.ts'

const log = createDebug('coffer:recover')

/** The tables whose records are made again lie between these; LevelDB's keys are ordered. */
const ALL_KEYS = [Buffer.of(0), Buffer.of(0x42), Buffer.of(0x44), Buffer.of(0xff)] as const

/** What was found of the old LevelDB. */
export interface OldMetadata {
  readonly sequence: number
  /** undefined when every record that matters can be read, and none is lost */
  readonly trouble: string | undefined
  /** the records of block files are not those of the last commit: they are made again from the files */
  readonly blocksTrouble: string | undefined
}

/** @param isOld of format 2, which has neither totals nor counters */
export async function lookAtOldMetadata(directory: string, isOld: boolean): Promise<OldMetadata> {
  const isThere = await access(join(directory, 'CURRENT')).then(
    () => true,
    () => false,
  )
  if (!isThere) return { sequence: 0, trouble: 'It is missing.', blocksTrouble: undefined }
  let metadata: OfflineMetadata | undefined
  let sequence = 0
  try {
    metadata = await OfflineMetadata.open(directory)
    sequence = metadata.sequence
    for await (const _ of copiedRecords(metadata));
    if (isOld) return { sequence, trouble: undefined, blocksTrouble: undefined }
    const trouble = await lostExtents(metadata)
    return { sequence, trouble, blocksTrouble: await lostBlockRecords(metadata) }
  } catch (error) {
    log('old metadata: %O', error)
    const trouble = `It can't be read: ${reasonOf(error)}`
    return { sequence, trouble, blocksTrouble: undefined }
  } finally {
    await metadata?.close()
  }
}

/** What is copied, of a database that is whole. @throws StoreError RECORD_DAMAGED, and what LevelDB throws */
export async function* copiedRecords(
  metadata: OfflineMetadata,
): AsyncGenerator<{ key: Uint8Array; value: Uint8Array }, void, undefined> {
  const [first, leftOut, after, last] = ALL_KEYS
  for (const [from, to] of [
    [first, leftOut],
    [after, last],
  ] as const) {
    for await (const record of metadata.range(from, to)) if (isCopied(record.key)) yield record
  }
}

/** What the listing of extents, the commits' counters and the inodes say of each other. */
async function lostExtents(metadata: OfflineMetadata): Promise<string | undefined> {
  const snapshot = metadata.snapshot()
  try {
    const { usage, disagreements } = await countExtents({
      snapshot,
      mappedBytesOf,
      visit: () => undefined,
      step: async () => undefined,
    })
    const all = [...compareUsage(usage, await countersIn(snapshot)), ...disagreements]
    return all.length === 0 ? undefined : `It has lost records: ${all.join('; ')}.`
  } finally {
    await snapshot.close()
  }
}

async function lostBlockRecords(metadata: OfflineMetadata): Promise<string | undefined> {
  try {
    const committed = committedBlockTotal(metadata)
    if (committed === undefined) return 'It has lost the total of its block records.'
    const { census } = await loadBlockRecords(metadata)
    const disagreement = census.disagreement(committed)
    return disagreement === undefined ? undefined : `It has lost records: ${disagreement}.`
  } catch (error) {
    return `Its block records can't be read: ${reasonOf(error)}`
  }
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error ? cause.message : String(cause)
}
