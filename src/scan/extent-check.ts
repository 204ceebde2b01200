// The extents of one file, page by page.

import { BLOCK_CHUNKS_MAX, BLOCK_PAGE_BYTES, CHUNK_BYTES_MAX } from '../blocks/index.ts'
import {
  EXTENT_PAGE_BYTES,
  FILE_BYTES_MAX,
  forEachRawExtent,
  groupOfExtents,
} from '../stream/index.ts'
import type { RawExtent } from '../stream/index.ts'
import type { LostFiles } from './lost-files.ts'
import { parsed } from './scan-context.ts'
import type { BlockPlace, Row, ScanContext } from './scan-context.ts'

const INODE_AND_TABLE_BYTES = 9

type ExtentCheckName = 'extent-group' | 'extent-shape' | 'extent-block' | 'extent-place'

export class ExtentCheck {
  coveredBytes = 0
  /** every page could be read, so that the sum says something */
  isWhole = true
  readonly #context: ScanContext
  readonly #inode: number
  readonly #group: number | undefined
  readonly #lost: LostFiles
  #endBytes = 0

  /** @param group of the file's container; undefined when that is gone */
  constructor(context: ScanContext, inode: number, group: number | undefined, lost: LostFiles) {
    this.#context = context
    this.#inode = inode
    this.#group = group
    this.#lost = lost
  }

  /** Pages come in ascending order. At most one finding of each check is made of a page. */
  page(row: Row): void {
    const number = row.key.readUInt32BE(INODE_AND_TABLE_BYTES)
    const told = new Map<ExtentCheckName, string>()
    const isRead = parsed(this.#context, row, () => {
      const group = groupOfExtents(row.value)
      if (this.#group !== undefined && group !== this.#group) {
        told.set('extent-group', `refers to storage group ${group} instead of ${this.#group}`)
      }
      forEachRawExtent(row.value, extent => this.#extent(extent, number, group, told))
      return true
    })
    if (isRead === undefined) this.isWhole = false
    for (const [check, what] of told) {
      const text = `Inode ${this.#inode}, page ${number} of 4 MiB, ${what}.`
      this.#context.found(check, text, undefined)
    }
  }

  #extent(
    extent: RawExtent,
    page: number,
    group: number,
    told: Map<ExtentCheckName, string>,
  ): void {
    const startBytes = page * EXTENT_PAGE_BYTES + extent.startBytes
    const endBytes = startBytes + extent.lengthBytes
    if (startBytes < this.#endBytes || isMisshapen(extent) || endBytes > FILE_BYTES_MAX) {
      told.set('extent-shape', `has an extent at ${startBytes} that overlaps or passes its limits`)
    }
    this.#endBytes = Math.max(this.#endBytes, endBytes)
    this.coveredBytes += extent.lengthBytes
    const { block } = extent
    const place = this.#context.blocks.get(block)
    if (place === undefined) {
      this.#lost.add(this.#inode, startBytes, extent.lengthBytes, block)
      if (block !== 0)
        told.set('extent-block', `refers to block file ${block}, which has no record`)
    } else if (isMisplaced(extent, place, group)) {
      this.#lost.add(this.#inode, startBytes, extent.lengthBytes, block)
      told.set('extent-place', `refers to no place of block file ${block}`)
    } else if (!this.#context.suspects.isWhole(block, extent.page, extent.ordinal)) {
      this.#lost.add(this.#inode, startBytes, extent.lengthBytes, block)
    }
  }
}

function isMisshapen(extent: RawExtent): boolean {
  return (
    extent.lengthBytes === 0 ||
    extent.startBytes >= EXTENT_PAGE_BYTES ||
    extent.chunkLengthBytes > CHUNK_BYTES_MAX ||
    extent.chunkOffsetBytes + extent.lengthBytes > extent.chunkLengthBytes
  )
}

/** Where a chunk is said to be, which its block file can't have. */
export function isMisplaced(
  at: { readonly page: number; readonly ordinal: number },
  place: BlockPlace,
  group: number,
): boolean {
  return (
    place.group !== group ||
    at.page < 1 ||
    at.page * BLOCK_PAGE_BYTES >= place.lengthBytes ||
    at.ordinal >= BLOCK_CHUNKS_MAX
  )
}
