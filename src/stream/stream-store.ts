// All files with open or unflushed data, and what they share.

import { relieve } from './buffer-pressure.ts'
import { FileStream } from './file-stream.ts'
import type { FileStreamServices, StreamOwner } from './file-stream.ts'
import { ReadShare } from './read-share.ts'
import { shareRange } from './share.ts'

/** Extent pages that one slice of a deletion removes, so that no commit grows without bound. */
const DISCARD_SLICE_PAGES = 1000
/** Files that are flushed at the same time. */
const PARALLEL_FLUSHES = 16

export interface StreamStoreOptions extends Omit<FileStreamServices, 'readShare' | 'relieve'> {
  /** makes a slice of a deletion durable before the next one begins */
  readonly commit: () => Promise<void>
}

/** A file's data, as far as storing it goes. */
interface Settling {
  settle(): Promise<void>
}

export class StreamStore {
  readonly #streams = new Set<FileStream>()
  readonly #services: FileStreamServices
  readonly #commit: () => Promise<void>

  constructor(options: StreamStoreOptions) {
    this.#commit = options.commit
    this.#services = {
      ...options,
      readShare: new ReadShare(),
      relieve: pool => relieve(pool, this.#streams),
    }
  }

  open(
    inode: number,
    group: number,
    sizeBytes: number,
    mappedBytes: number,
    owner: StreamOwner,
  ): FileStream {
    const stream = new FileStream(inode, group, sizeBytes, mappedBytes, this.#services, owner)
    this.#streams.add(stream)
    return stream
  }

  /** @throws FilesystemError ENOKEY when the group's data may not be read or changed now */
  checkAccess(group: number): void {
    this.#services.checkAccess(group)
  }

  close(stream: FileStream): void {
    if (stream.hasUnflushedData) throw new Error('a file with unflushed data can not be closed')
    this.#streams.delete(stream)
  }

  /** As ContentStore.share. */
  async share(
    source: FileStream,
    sourceStartBytes: number,
    target: FileStream,
    targetStartBytes: number,
    lengthBytes: number,
  ): Promise<void> {
    const { extents } = this.#services
    this.#services.checkAccess(target.group)
    await shareRange(extents, {
      source,
      sourceStartBytes,
      target,
      targetStartBytes,
      lengthBytes,
    })
  }

  /** As ContentStore.discard. */
  async discard(inode: number): Promise<void> {
    while (await this.#services.extents.discardSlice(inode, DISCARD_SLICE_PAGES))
      await this.#commit()
  }

  /** Every file, even when some fail: their owners keep that for the next fsync or close. */
  async flushAll(): Promise<void> {
    await settleAll([...this.#streams].filter(stream => stream.hasUnflushedData))
  }

  /** As ContentStore.flush. */
  async flush(contents: readonly Settling[]): Promise<void> {
    const isOver = this.#services.hurry()
    try {
      await settleAll([...contents])
    } finally {
      isOver()
    }
  }

  /** Bytes that were accepted and are not in block files yet, of all files. */
  get unflushedBytes(): number {
    let bytes = 0
    for (const stream of this.#streams) bytes += stream.unflushedBytes
    return bytes
  }
}

/** Some at a time; empties the list. */
async function settleAll(waiting: Settling[]): Promise<void> {
  const worker = async (): Promise<void> => {
    for (let content = waiting.pop(); content !== undefined; content = waiting.pop()) {
      await content.settle()
    }
  }
  await Promise.all(Array.from({ length: PARALLEL_FLUSHES }, worker))
}
