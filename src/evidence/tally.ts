// A sum of references that grows and shrinks with extent records.

import { forEachReference, groupOfExtents } from '../stream/index.ts'
import type { BlockUsage, GroupUsage } from './contract.ts'
import { parseUsage } from './usage-records.ts'

interface MutableBlockUsage {
  extents: number
  bytes: number
}

interface MutableGroupUsage {
  pages: number
  extents: number
  bytes: number
}

export class UsageTally {
  readonly #blocks = new Map<number, MutableBlockUsage>()
  readonly #groups = new Map<number, MutableGroupUsage>()

  get blocks(): ReadonlyMap<number, BlockUsage> {
    return this.#blocks
  }

  get groups(): ReadonlyMap<number, GroupUsage> {
    return this.#groups
  }

  /**
   * An extent record comes (1) or goes (-1).
   * @returns bytes that its extents map
   * @throws StoreError RECORD_DAMAGED, UNKNOWN_VERSION
   */
  add(record: Uint8Array, sign: 1 | -1): number {
    const group = this.#group(groupOfExtents(record))
    let mappedBytes = 0
    let extents = 0
    // Consecutive extents mostly refer to one block file.
    let known = 0
    let usage: MutableBlockUsage = { extents: 0, bytes: 0 }
    forEachReference(record, (block, lengthBytes) => {
      if (block !== known) {
        usage = this.#block(block)
        known = block
      }
      usage.extents += sign
      usage.bytes += sign * lengthBytes
      extents++
      mappedBytes += lengthBytes
    })
    // A page without extents has no record.
    if (extents > 0) group.pages += sign
    group.extents += sign * extents
    group.bytes += sign * mappedBytes
    return mappedBytes
  }

  addBlock(block: number, { extents, bytes }: BlockUsage): void {
    const usage = this.#block(block)
    usage.extents += extents
    usage.bytes += bytes
  }

  addGroup(group: number, { pages, extents, bytes }: GroupUsage): void {
    const usage = this.#group(group)
    usage.pages += pages
    usage.extents += extents
    usage.bytes += bytes
  }

  /** Adds a counter as it is recorded. @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED */
  addRecord(key: Uint8Array, value: Uint8Array): void {
    const entry = parseUsage(key, value)
    if (entry.kind === 'group') this.addGroup(entry.group, entry.usage)
    else this.addBlock(entry.block, entry.usage)
  }

  clear(): void {
    this.#blocks.clear()
    this.#groups.clear()
  }

  #block(block: number): MutableBlockUsage {
    let usage = this.#blocks.get(block)
    if (usage === undefined) {
      usage = { extents: 0, bytes: 0 }
      this.#blocks.set(block, usage)
    }
    return usage
  }

  #group(group: number): MutableGroupUsage {
    let usage = this.#groups.get(group)
    if (usage === undefined) {
      usage = { pages: 0, extents: 0, bytes: 0 }
      this.#groups.set(group, usage)
    }
    return usage
  }
}
