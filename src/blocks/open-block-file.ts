// One block file that is being appended to, and what its record will say.

import { closeBlockFile, type AppendResult, type BlockFileHandle } from '../native/data-path.ts'
import {
  BLOCK_CHUNKS_MAX,
  BLOCK_FILE_BYTES_MAX,
  BLOCK_PAGE_BYTES,
  type BlockRecord,
  type Compression,
} from './block-store.ts'
import type { Batch } from './packing.ts'

export class OpenBlockFile {
  readonly block: number
  readonly group: number
  readonly keyId: number
  readonly compression: Compression
  readonly handle: Promise<BlockFileHandle>
  /** the page of the header, what is written, and the worst case of what is being written */
  #reservedBytes = BLOCK_PAGE_BYTES
  /** ordinals that are taken, also by batches that failed */
  #reservedChunks = 0
  #inFlight = 0
  #isRetired = false
  #isCreated = false
  #isClosed = false
  #lengthBytes = BLOCK_PAGE_BYTES
  #regionCount = 0
  #chunkCount = 0
  #rawBytes = 0
  #compressedBytes = 0

  constructor(
    block: number,
    group: number,
    keyId: number,
    compression: Compression,
    handle: Promise<BlockFileHandle>,
  ) {
    this.block = block
    this.group = group
    this.keyId = keyId
    this.compression = compression
    this.handle = handle
    handle.then(
      () => (this.#isCreated = true),
      () => undefined,
    )
  }

  /** The file is there: its header has been written. */
  get isCreated(): boolean {
    return this.#isCreated
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Takes room for a batch; false when the file could become too large. */
  reserve(batch: Batch): boolean {
    const chunkCount = batch.counts.reduce((sum, count) => sum + count, 0)
    if (
      this.#isRetired ||
      this.#reservedBytes + batch.worstBytes > BLOCK_FILE_BYTES_MAX ||
      this.#reservedChunks + chunkCount > BLOCK_CHUNKS_MAX
    ) {
      return false
    }
    this.#reservedChunks += chunkCount
    this.#reservedBytes += batch.worstBytes
    this.#inFlight += 1
    return true
  }

  /** The batch is in the file. */
  complete(batch: Batch, result: AppendResult): void {
    this.#reservedBytes -= batch.worstBytes - result.writtenBytes
    this.#lengthBytes = Math.max(this.#lengthBytes, result.endBytes)
    this.#regionCount += batch.counts.length
    for (const count of batch.counts) this.#chunkCount += count
    this.#rawBytes += batch.rawBytes
    this.#compressedBytes += result.compressedBytes
    this.#endOne()
  }

  /** The batch isn't in the file, but may have left a hole there: its room stays taken. */
  fail(): void {
    this.#endOne()
  }

  /** No more batches; closed as soon as those under way have ended. */
  retire(): void {
    this.#isRetired = true
    this.#isClosed = this.#inFlight === 0
  }

  record(): BlockRecord {
    return {
      block: this.block,
      group: this.group,
      keyId: this.keyId,
      compression: this.compression,
      isClosed: this.#isClosed,
      lengthBytes: this.#lengthBytes,
      regionCount: this.#regionCount,
      chunkCount: this.#chunkCount,
      rawBytes: this.#rawBytes,
      compressedBytes: this.#compressedBytes,
      quarantine: null,
      freedSeconds: null,
    }
  }

  async release(): Promise<void> {
    try {
      closeBlockFile(await this.handle)
    } catch {
      // It never came to be; its appends have said so.
    }
  }

  #endOne(): void {
    this.#inFlight -= 1
    if (this.#isRetired && this.#inFlight === 0) this.#isClosed = true
  }
}
