// What a pass will do, decided from counts alone: a pure function, so that a dry run and the real run agree.

import type { BlockRecord, Compression } from '../blocks/index.ts'

/**
 * A block file with less live data than this is copied: beyond it, copying three bytes frees less than one. Half-empty
 * files then hold at most a quarter of waste.
 */
export const COMPACT_LIVE_RATIO = 0.75
/**
 * Fuller ones are copied too, the emptiest first, until what is dead in a group's block files is no more than this share of
 * them: many files that are a fifth dead add up.
 */
export const DEAD_SHARE_MAX = 0.02
/** But none that is fuller than this: more than nine bytes would be copied to free one. */
export const COMPACT_LIVE_RATIO_MAX = 0.9
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
      // What nothing refers to may go, damaged or not.
      (!input.isQuarantined(record.block) || input.liveBytes(record.block) === 0) &&
      (input.group === undefined || input.group === record.group),
  )
  const remainders = countRemainders(candidates, input)
  const wasteful = findWasteful(candidates, input)
  const blocks = candidates
    .map(record => {
      const isWasteful = wasteful.has(record.block)
      return planBlock(record, input, isWasteful, (remainders.get(record.group) ?? 0) > 1)
    })
    .filter(planned => planned !== undefined)
    .sort(inOrder)
  return { blocks, reclaimableBytes: blocks.reduce((sum, { gainBytes }) => sum + gainBytes, 0) }
}

function planBlock(
  record: BlockRecord,
  input: PlanInput,
  isWasteful: boolean,
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
  if (ratio < COMPACT_LIVE_RATIO || isWasteful) {
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

/** Rather full block files whose dead share is too much taken together. */
function findWasteful(records: readonly BlockRecord[], input: PlanInput): Set<number> {
  const groups = new Map<number, BlockRecord[]>()
  for (const record of records) {
    const group = groups.get(record.group)
    if (group === undefined) groups.set(record.group, [record])
    else group.push(record)
  }
  const wasteful = new Set<number>()
  for (const group of groups.values()) {
    const shares = group.map(record => ({
      record,
      ratio: liveRatio(record, input.liveBytes(record.block)),
    }))
    const kept = shares.filter(({ ratio }) => ratio >= COMPACT_LIVE_RATIO)
    const sum = (list: typeof shares, share: (ratio: number) => number): number =>
      list.reduce((bytes, { record, ratio }) => bytes + record.lengthBytes * share(ratio), 0)
    const allowedBytes = DEAD_SHARE_MAX * sum(shares, ratio => ratio)
    let deadBytes = sum(kept, ratio => 1 - ratio)
    kept.sort((a, b) => a.ratio - b.ratio || a.record.block - b.record.block)
    for (const { record, ratio } of kept) {
      if (deadBytes <= allowedBytes || ratio >= COMPACT_LIVE_RATIO_MAX) break
      wasteful.add(record.block)
      deadBytes -= record.lengthBytes * (1 - ratio)
    }
  }
  return wasteful
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
