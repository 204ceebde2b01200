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
/** Of the trash, given up at a time: the next writes need not wait each. */
const GIVEN_UP_BYTES = 256 * 1024 * 1024
/** How stale the disk's own figure may be while writes go on. */
const REFRESH_INTERVAL_MS = 500

export interface DiskSpace {
  readonly totalBytes: number
  readonly freeBytes: number
}

/** Space that can be given up when it is needed. */
export interface GivenUpSpace {
  readonly reclaimableBytes: number
  /** @returns bytes that were given up */
  makeRoom(bytes: number): Promise<number>
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
  #looking: Promise<void> | undefined
  readonly #trash: GivenUpSpace

  /**
   * @param unflushed bytes that have been accepted and are not in block files yet
   * @param trash is given up before a write is refused
   */
  constructor(path: string, unflushed: () => number, trash: GivenUpSpace) {
    this.#path = path
    this.#unflushed = unflushed
    this.#trash = trash
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

  /** Looks at the disk; a look that is under way counts. */
  async refresh(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    await this.#looking
  }

  async #look(): Promise<void> {
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
  }

  /** Takes room for accepted data; waits while the trash is given up for it. @throws FilesystemError ENOSPC */
  reserve(lengthBytes: number): void | Promise<void> {
    if (this.#leftBytes < lengthBytes) {
      if (this.#trash.reclaimableBytes > 0) return this.#reserveFromTrash(lengthBytes)
      throw new FilesystemError('ENOSPC', 'The store is full.')
    }
    this.#acceptedBytes += lengthBytes
  }

  async #reserveFromTrash(lengthBytes: number): Promise<void> {
    while (this.#leftBytes < lengthBytes) {
      const givenUp = await this.#trash.makeRoom(Math.max(lengthBytes, GIVEN_UP_BYTES))
      // A look that began before the files went says nothing.
      await this.#looking
      await this.refresh()
      if (givenUp === 0 && this.#leftBytes < lengthBytes) {
        throw new FilesystemError('ENOSPC', 'The store is full.')
      }
    }
    this.#acceptedBytes += lengthBytes
  }

  get #leftBytes(): number {
    return this.#space.freeBytes - this.reserveBytes - this.#unflushedBytes - this.#acceptedBytes
  }

  /** @throws FilesystemError ENOSPC when something else has used up even what is reserved */
  async checkCommit(): Promise<void> {
    if (this.#space.freeBytes > PLENTY_BYTES) return
    do {
      const { bavail, bsize } = await statfs(this.#path)
      if (bavail * bsize >= COMMIT_BYTES_MIN) return
    } while ((await this.#trash.makeRoom(COMMIT_BYTES_MIN)) > 0)
    throw new FilesystemError('ENOSPC', 'The disk is full, even for metadata.')
  }

  /** Gives up as much of the trash as keeps the disk from being low. Called regularly. */
  async relieve(): Promise<void> {
    if (!this.isLow || this.#trash.reclaimableBytes === 0) return
    await this.#trash.makeRoom(LOW_FACTOR * this.reserveBytes - this.#space.freeBytes)
    await this.refresh()
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

  /** The same for clients: what the trash takes counts as free, since it is given up before a write is refused. */
  get clientSpace(): DiskSpace {
    const { totalBytes, freeBytes } = this.#space
    return { totalBytes, freeBytes: freeBytes + this.#trash.reclaimableBytes }
  }
}
