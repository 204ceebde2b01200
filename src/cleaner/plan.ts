// What a pass will do, decided from counts alone: a pure function, so that a dry run and the real run agree.

import type { BlockRecord, Compression } from '../blocks/index.ts'

/**
 * A block file with less live data than this is copied: beyond it, copying three bytes frees less than one. Half-empty
 * files then hold at most a quarter of waste.
 */
export const COMPACT_LIVE_RATIO = 0.75
/**
 * A closed block file smaller than this counts as a remainder, one of which every start leaves. Together with another
 * remainder it is merged, however live it is: thousands of them would make reads and listings slow.
 */
export const REMAINDER_BYTES_MAX = 16 * 1024 * 1024

export type PlannedAction = 'free' | 'compact' | 'recompress' | 'reseal'

export interface PlannedBlock {
  readonly block: number
  readonly group: number
  readonly action: PlannedAction
  /** of the block file */
  readonly fileBytes: number
  /** of its live chunks before compression: what has to be read and written again; 0 for `free` */
  readonly liveBytes: number
  /** by how much the store is expected to shrink */
  readonly gainBytes: number
  readonly reason: string
}

export interface PlanInput {
  readonly records: Iterable<BlockRecord>
  /** bytes of a block file's live chunks before compression */
  readonly liveBytes: (block: number) => number
  /** a locked group is left alone wholly: what refers to it can't be read */
  readonly isLocked: (group: number) => boolean
  /** what the group wants now; undefined when the group has been deleted */
  readonly compressionOf: (group: number) => Compression | undefined
  /** the block file is clear, or of another key, than the group wants */
  readonly needsReseal: (group: number, keyId: number) => boolean
  /** block files that can't be trusted: kept as they are */
  readonly isQuarantined: (block: number) => boolean
  /** only this group; all groups without it */
  readonly group?: number
}

export interface Plan {
  /** in the order in which they are done */
  readonly blocks: readonly PlannedBlock[]
  /** what the next pass gives back: dead block files whole, and the dead share of those that are copied */
  readonly reclaimableBytes: number
}

/** Space comes first: free, compact (emptiest and then oldest first), recompress, reseal. */
const ORDER: readonly PlannedAction[] = ['free', 'compact', 'recompress', 'reseal']

export function planPass(input: PlanInput): Plan {
  const candidates = [...input.records].filter(
    record =>
      record.isClosed &&
      !input.isLocked(record.group) &&
      !input.isQuarantined(record.block) &&
      (input.group === undefined || input.group === record.group),
  )
  const remainders = countRemainders(candidates, input)
  const blocks = candidates
    .map(record => planBlock(record, input, (remainders.get(record.group) ?? 0) > 1))
    .filter(planned => planned !== undefined)
    .sort(inOrder)
  return { blocks, reclaimableBytes: blocks.reduce((sum, { gainBytes }) => sum + gainBytes, 0) }
}

function planBlock(
  record: BlockRecord,
  input: PlanInput,
  mergesRemainders: boolean,
): PlannedBlock | undefined {
  const { block, group, lengthBytes: fileBytes } = record
  const liveBytes = input.liveBytes(block)
  const ratio = liveRatio(record, liveBytes)
  const common = { block, group, fileBytes, liveBytes }
  const gainBytes = Math.floor(fileBytes * (1 - ratio))
  if (liveBytes === 0) {
    return { ...common, action: 'free', gainBytes: fileBytes, reason: 'nothing refers to it' }
  }
  if (ratio < COMPACT_LIVE_RATIO) {
    const reason = `${Math.round(ratio * 100)} % of it is live`
    return { ...common, action: 'compact', gainBytes, reason }
  }
  const compression = input.compressionOf(group)
  if (compression !== undefined && record.compression !== compression) {
    const reason = `compressed with ${record.compression}, the group wants ${compression}`
    return { ...common, action: 'recompress', gainBytes, reason }
  }
  if (input.needsReseal(group, record.keyId)) {
    const reason = record.keyId === 0 ? 'not encrypted' : `sealed with key ${record.keyId}`
    return { ...common, action: 'reseal', gainBytes, reason }
  }
  if (mergesRemainders && isRemainder(record)) {
    return { ...common, action: 'compact', gainBytes, reason: 'small, merged with others' }
  }
  return undefined
}

/** Remainders of each group that would be moved for nothing but being small. */
function countRemainders(records: readonly BlockRecord[], input: PlanInput): Map<number, number> {
  const counts = new Map<number, number>()
  for (const record of records) {
    const isKept = liveRatio(record, input.liveBytes(record.block)) >= COMPACT_LIVE_RATIO
    if (!isKept || !isRemainder(record)) continue
    counts.set(record.group, (counts.get(record.group) ?? 0) + 1)
  }
  return counts
}

function isRemainder(record: BlockRecord): boolean {
  return record.lengthBytes < REMAINDER_BYTES_MAX
}

function liveRatio(record: BlockRecord, liveBytes: number): number {
  return record.rawBytes === 0 ? 0 : Math.min(1, liveBytes / record.rawBytes)
}

function inOrder(a: PlannedBlock, b: PlannedBlock): number {
  const byAction = ORDER.indexOf(a.action) - ORDER.indexOf(b.action)
  if (byAction !== 0) return byAction
  return a.liveBytes / a.fileBytes - b.liveBytes / b.fileBytes || a.block - b.block
}
