// Refuses new data before the disk is full: what has been acknowledged must still find room, and deletes and the
// cleaner need some for themselves (promise 3).

import { statfs } from 'node:fs/promises'
import { FilesystemError } from '../errors.ts'

/** Kept free for metadata, deletes and the cleaner: this share of the disk, within bounds. */
const RESERVE_SHARE = 0.02
const RESERVE_BYTES_MIN = 16 * 1024 * 1024
const RESERVE_BYTES_MAX = 1024 * 1024 * 1024
/** Free space of so many reserves is little: the cleaner is started. */
const LOW_FACTOR = 2
/**
 * With less than this a commit is refused: its batch has to fit. Less than what the cleaner leaves free when it makes room,
 * or it could not end what it began.
 */
const COMMIT_BYTES_MIN = 2 * 1024 * 1024
/** More than others can use up between two looks: commits need no look of their own. */
const PLENTY_BYTES = 256 * 1024 * 1024
/** How stale the disk's own figure may be while writes go on. */
const REFRESH_INTERVAL_MS = 500

export interface DiskSpace {
  readonly totalBytes: number
  readonly freeBytes: number
}

export class SpaceGuard {
  readonly #path: string
  readonly #unflushed: () => number
  #space: DiskSpace = { totalBytes: 0, freeBytes: 0 }
  /** unflushed when the disk was looked at: accepted, and not in its free bytes yet */
  #unflushedBytes = 0
  /** accepted since then */
  #acceptedBytes = 0
  #timer: NodeJS.Timeout | undefined
  #isRefreshing = false

  /** @param unflushed bytes that have been accepted and are not in block files yet */
  constructor(path: string, unflushed: () => number) {
    this.#path = path
    this.#unflushed = unflushed
  }

  async start(): Promise<void> {
    await this.refresh()
    this.#timer = setInterval(() => {
      this.refresh().catch(() => {
        // The disk doesn't answer: its next read or write says so to whoever needs it.
      })
    }, REFRESH_INTERVAL_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async refresh(): Promise<void> {
    if (this.#isRefreshing) return
    this.#isRefreshing = true
    try {
      // Before the look: what is flushed during it is then counted twice rather than not at all.
      const acceptedBefore = this.#acceptedBytes
      const unflushedBytes = this.#unflushed()
      const figures = await statfs(this.#path)
      this.#space = {
        totalBytes: figures.blocks * figures.bsize,
        freeBytes: figures.bavail * figures.bsize,
      }
      this.#unflushedBytes = unflushedBytes
      this.#acceptedBytes -= acceptedBefore
    } finally {
      this.#isRefreshing = false
    }
  }

  /** @throws FilesystemError ENOSPC */
  reserve(lengthBytes: number): void {
    const leftBytes =
      this.#space.freeBytes - this.reserveBytes - this.#unflushedBytes - this.#acceptedBytes
    if (leftBytes < lengthBytes) throw new FilesystemError('ENOSPC', 'The store is full.')
    this.#acceptedBytes += lengthBytes
  }

  /** @throws FilesystemError ENOSPC when somebody else has used up even what is reserved */
  async checkCommit(): Promise<void> {
    if (this.#space.freeBytes > PLENTY_BYTES) return
    const { bavail, bsize } = await statfs(this.#path)
    if (bavail * bsize >= COMMIT_BYTES_MIN) return
    throw new FilesystemError('ENOSPC', 'The disk is full, even for metadata.')
  }

  /** What clients may not use. */
  get reserveBytes(): number {
    const shareBytes = this.#space.totalBytes * RESERVE_SHARE
    return Math.min(RESERVE_BYTES_MAX, Math.max(RESERVE_BYTES_MIN, shareBytes))
  }

  /** Clients are about to get ENOSPC: they have no more left than what is kept from them. */
  get isLow(): boolean {
    return this.#space.freeBytes < LOW_FACTOR * this.reserveBytes
  }

  get space(): DiskSpace {
    return this.#space
  }
}
