// What lies in the block files of a store, by their headers alone: what a key isn't needed for.

import {
  BLOCK_PAGE_BYTES,
  listBlockFiles,
  readBlockHeader,
  scanBlockFile,
  Trash,
  type PlacedBlock,
} from '../blocks/index.ts'
import type { BlockRecord, ChunkLocation, Compression } from '../blocks/index.ts'

/** By the number in a region's header. */
const COMPRESSIONS: readonly Compression[] = ['none', 'fast', 'best']

interface Surveyed {
  readonly record: BlockRecord
  /** three numbers a region, ascending: page, first ordinal, chunks */
  readonly regions: Uint16Array
}

export class BlockSurvey {
  readonly #blocks = new Map<number, Surveyed>()
  /** files that are called as block files are and have no header of one */
  readonly strangers: string[] = []
  /** files that lie in the trash, and in no other place */
  readonly trashed: PlacedBlock[] = []
  /** the greatest number of a commit that a region was written after */
  sequence = 0
  greatestBlock = 0
  greatestGroup = 0

  /** @param compressionOf what a group's block files are meant to be compressed with, if it is known */
  static async of(
    directory: string,
    compressionOf: (group: number) => Compression | undefined,
    progress: (fileCount: number) => void,
  ): Promise<BlockSurvey> {
    const survey = new BlockSurvey()
    for await (const { path, block, group } of listBlockFiles(directory)) {
      survey.greatestBlock = Math.max(survey.greatestBlock, block)
      survey.greatestGroup = Math.max(survey.greatestGroup, group)
      const header = await readBlockHeader(path)
      if (header?.block !== block || header.group !== group) survey.strangers.push(path)
      else await survey.#read(path, { block, group, keyId: header.keyId }, compressionOf(group))
      progress(survey.#blocks.size)
    }
    const trash = new Trash(directory)
    for (const placed of await trash.list()) {
      const { block, group } = placed
      survey.greatestBlock = Math.max(survey.greatestBlock, block)
      const header = await readBlockHeader(trash.pathOf(placed))
      const isItself = header?.block === block && header.group === group
      if (!isItself || survey.#blocks.has(block)) continue
      survey.trashed.push(placed)
      const identity = { block, group, keyId: header.keyId }
      await survey.#read(trash.pathOf(placed), identity, compressionOf(group))
    }
    return survey
  }

  *records(): Iterable<BlockRecord> {
    for (const { record } of this.#blocks.values()) yield record
  }

  /** Whether the chunk's region is there; only opening it proves that it is whole. */
  has(group: number, { block, page, ordinal }: ChunkLocation): boolean {
    const surveyed = this.#blocks.get(block)
    if (surveyed?.record.group !== group) return false
    const { regions } = surveyed
    let low = 0
    let high = regions.length / 3
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if ((regions[middle * 3] ?? 0) < page) low = middle + 1
      else high = middle
    }
    if (regions[low * 3] !== page) return false
    const slot = ordinal - (regions[low * 3 + 1] ?? 0)
    return slot >= 0 && slot < (regions[low * 3 + 2] ?? 0)
  }

  async #read(
    path: string,
    identity: { readonly block: number; readonly group: number; readonly keyId: number },
    wanted: Compression | undefined,
  ): Promise<void> {
    const regions: number[] = []
    const counts = { regionCount: 0, chunkCount: 0, rawBytes: 0, compressedBytes: 0 }
    let lengthBytes = BLOCK_PAGE_BYTES
    let algorithm = 0
    for await (const header of scanBlockFile(path)) {
      if (header.block !== identity.block || header.group !== identity.group) continue
      regions.push(header.page, header.firstOrdinal, header.chunkCount)
      counts.regionCount++
      counts.chunkCount += header.chunkCount
      counts.rawBytes += header.rawBytes
      counts.compressedBytes += header.storedBytes
      lengthBytes = header.page * BLOCK_PAGE_BYTES + header.fileBytes
      algorithm = Math.max(algorithm, header.algorithm)
      this.sequence = Math.max(this.sequence, header.sequence)
    }
    // Data that doesn't shrink is stored as it is: then the regions don't say what was meant.
    const compression = algorithm === 0 ? (wanted ?? 'none') : (COMPRESSIONS[algorithm] ?? 'none')
    const state = { isClosed: true, quarantine: null, freedSeconds: null }
    const record = { ...identity, ...counts, compression, lengthBytes, ...state }
    this.#blocks.set(identity.block, { record, regions: Uint16Array.from(regions) })
  }
}
