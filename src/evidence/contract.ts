// References to block files, counted twice: once by a walk over all extents, and once by counters that every commit keeps
// up to date. Nothing is freed unless the two agree.

/** How a block file is referred to. */
export interface BlockUsage {
  /** extents that refer to one of its chunks */
  readonly extents: number
  /** file bytes that these extents map */
  readonly bytes: number
}

/** The extents of all files of a storage group. */
export interface GroupUsage {
  /** extent records: pages of files */
  readonly pages: number
  readonly extents: number
  readonly bytes: number
}

/** All references of a store at one commit. */
export interface UsageTotals {
  readonly blocks: ReadonlyMap<number, BlockUsage>
  readonly groups: ReadonlyMap<number, GroupUsage>
}
