// Block files open for reading: a bounded number of them, opened once however many reads ask.

import {
  closeBlockFile,
  openBlockFile,
  readRegion,
  type BlockFileHandle,
  type ReadResult,
} from '../native/data-path.ts'
import type { Secret } from '../native/secret.ts'
import { BLOCK_PAGE_BYTES, type BlockRecord } from './block-store.ts'
import { DamagedRegionError, damageOf } from './errors.ts'
import { blockPath } from './paths.ts'

/** Of the 1,024 descriptors that a process usually has, a part. */
const OPEN_FILES_MAX = 256
/** Regions differ in size; so much more than the mean is read at once, since a second read costs more than bytes. */
const GUESS_FACTOR = 1.25
const GUESS_BYTES_WITHOUT_RECORD = 256 * 1024

/** @returns undefined for a key that the group doesn't have. @throws FilesystemError ENOKEY while the group is locked */
export type LookupKey = (group: number, keyId: number) => Secret | undefined

/** Where a region begins, and where the next one does if that is known. */
export interface RegionPlace {
  readonly page: number
  readonly endPage?: number | undefined
}

export class FileReader {
  readonly #directory: string
  readonly #lookupKey: LookupKey
  /** in the order of use, the latest last */
  readonly #files = new Map<number, Promise<BlockFileHandle>>()

  constructor(directory: string, lookupKey: LookupKey) {
    this.#directory = directory
    this.#lookupKey = lookupKey
  }

  /** Reads through `handle` where the file is open already, for instance since it is being appended to. */
  async read(
    record: BlockRecord,
    { page, endPage = Infinity }: RegionPlace,
    slot: Uint8Array,
    handle?: Promise<BlockFileHandle>,
  ): Promise<ReadResult> {
    try {
      const file = await (handle ?? this.#fileOf(record, page))
      const bytesMax = (endPage - page) * BLOCK_PAGE_BYTES
      return await readRegion(file, page, Math.min(guessOf(record), bytesMax), slot)
    } catch (error) {
      throw damageOf(error, record.block, page)
    }
  }

  /** Lets go of one file. */
  close(block: number): void {
    const file = this.#files.get(block)
    this.#files.delete(block)
    file?.then(closeBlockFile, () => undefined)
  }

  closeAll(): void {
    for (const block of this.#files.keys()) this.close(block)
  }

  #fileOf(record: BlockRecord, page: number): Promise<BlockFileHandle> {
    const { block, group, keyId } = record
    const known = this.#files.get(block)
    if (known) {
      this.#files.delete(block)
      this.#files.set(block, known)
      return known
    }
    const path = blockPath(this.#directory, group, block).file
    const opening = openBlockFile(path, { block, group, keyId, ...this.#keyOf(record, page) })
    this.#files.set(block, opening)
    // A file that couldn't be opened is tried again by the next read.
    opening.catch(() => {
      if (this.#files.get(block) === opening) this.#files.delete(block)
    })
    if (this.#files.size > OPEN_FILES_MAX) {
      const [oldest] = this.#files.keys()
      if (oldest !== undefined) this.close(oldest)
    }
    return opening
  }

  #keyOf(record: BlockRecord, page: number): { key?: Secret } {
    if (record.keyId === 0) return {}
    const key = this.#lookupKey(record.group, record.keyId)
    if (!key) throw new DamagedRegionError(record.block, page, 'authentication')
    return { key }
  }
}

function guessOf(record: BlockRecord): number {
  if (record.regionCount === 0) return GUESS_BYTES_WITHOUT_RECORD
  const mean = (record.lengthBytes - BLOCK_PAGE_BYTES) / record.regionCount
  return Math.ceil(mean * GUESS_FACTOR)
}
