// The counters of references, kept up to date by each commit: what its changes of extent records add and take away goes
// into the same batch.

import { prefixEnd, TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'
import type { ExtentObserver } from '../stream/index.ts'
import type { BlockUsage, UsageTotals } from './contract.ts'
import { UsageTally } from './tally.ts'
import { blockUsageKey, groupUsageKey, packBlockUsage, packGroupUsage } from './usage-records.ts'

const NONE: BlockUsage = { extents: 0, bytes: 0 }

export class UsageCounters implements CommitParticipant, ExtentObserver {
  /** as of the commit that was collected last */
  readonly #totals = new UsageTally()
  /** since the last collect */
  readonly #changes = new UsageTally()

  /** Some counters could not be read: the others prove nothing. */
  isDamaged = false

  /** Reads the counters of the last commit. Damaged records are left out: the sums don't add up then. */
  async load(metadata: MetadataReader): Promise<void> {
    const prefix = Buffer.from([TABLE.usage])
    const damaged = (): void => {
      this.isDamaged = true
    }
    for await (const { key, value } of metadata.range(prefix, prefixEnd(prefix), damaged)) {
      this.#totals.addRecord(key, value)
    }
  }

  /** References to a block file as of the last commit that was collected. */
  of(block: number): BlockUsage {
    return this.#totals.blocks.get(block) ?? NONE
  }

  get totals(): UsageTotals {
    return this.#totals
  }

  /** As ExtentObserver: the coming commit replaces one extent record by another. */
  changed(before: Uint8Array | undefined, after: Uint8Array | undefined): void {
    if (before !== undefined) this.#changes.add(before, -1)
    if (after !== undefined) this.#changes.add(after, 1)
  }

  /**
   * The coming commit adds this. A difference between two sums of one snapshot stays right whatever commits come between.
   */
  correct({ blocks, groups }: UsageTotals): void {
    for (const [block, usage] of blocks) this.#changes.addBlock(block, usage)
    for (const [group, usage] of groups) this.#changes.addGroup(group, usage)
  }

  collect(batch: MetadataWriter): void {
    const blocks = [...this.#changes.blocks.keys()]
    const groups = [...this.#changes.groups.keys()]
    for (const [block, usage] of this.#changes.blocks) this.#totals.addBlock(block, usage)
    for (const [group, usage] of this.#changes.groups) this.#totals.addGroup(group, usage)
    this.#changes.clear()
    for (const block of blocks) {
      const usage = this.of(block)
      const key = blockUsageKey(block)
      if (usage.extents === 0 && usage.bytes === 0) batch.delete(key)
      else batch.put(key, packBlockUsage(usage))
    }
    for (const group of groups) {
      const usage = this.#totals.groups.get(group)
      if (usage !== undefined) batch.put(groupUsageKey(group), packGroupUsage(usage))
    }
  }

  settled(): void {}
}
