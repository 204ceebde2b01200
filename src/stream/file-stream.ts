// One regular file's bytes: what is stored (extents), what is being stored (frozen runs), what was written last (open
// runs). Readers see the newest of the three at every offset.

import { FilesystemError } from '../errors.ts'
import type { RunHolder } from './buffer-pressure.ts'
import type { BufferPool, PooledBuffer } from './buffer-pool.ts'
import { runEndBytes, SMALL_BUFFER_BYTES } from './buffers.ts'
import type { Run } from './buffers.ts'
import { EXTENT_PAGE_BYTES, FILE_BYTES_MAX } from './extent.ts'
import type { Extent } from './extent.ts'
import { FileRuns } from './file-runs.ts'
import { HoleCheck } from './hole-check.ts'
import { ABANDONED, FlushPipeline } from './flush-pipeline.ts'
import type { FlushOwner, FlushServices } from './flush-pipeline.ts'
import { ReadAhead } from './read-ahead.ts'
import type { ReadShare } from './read-share.ts'
import type { StoredReader } from './reader.ts'

/** Scattered writers may keep this many places open; then the oldest is flushed. */
const OPEN_RUNS_MAX = 32
/** What a search for data or holes looks through at once. */
const SEEK_BYTES = 64 * 2 ** 20
/** What a truncation looks through at once: a thousand extent pages, a few milliseconds. */
const CUT_BYTES_MAX = 4 * 2 ** 30

export interface FileStreamServices extends FlushServices {
  readonly reader: StoredReader
  readonly readShare: Pick<ReadShare, 'of'>
  /** @throws FilesystemError ENOKEY when the group's data may not be read or changed now */
  checkAccess(group: number): void
  /** a read begins; the returned function says that nothing more is looked up for it */
  beginRead(): () => void
  /**
   * Takes room for `lengthBytes` more; waits where room is being made.
   * @throws FilesystemError ENOSPC, EDQUOT, EROFS, at once or later
   */
  reserve(group: number, lengthBytes: number): void | Promise<void>
  /** as relieve in buffer-pressure, over all files */
  relieve(pool: BufferPool): void
  /** accepted data of a file could not be stored, whether or not somebody is left who would ask for the error */
  lost(inode: number, error: Error): void
}

/** Who has a file open: as ContentOwner. */
export interface StreamOwner {
  changed(): void
  failed(error: Error): void
}

export interface StreamRead {
  readonly pieces: readonly Uint8Array[]
  release(): void
}

export class FileStream implements FlushOwner, RunHolder {
  readonly inode: number
  readonly group: number
  readonly #services: FileStreamServices
  readonly #pipeline: FlushPipeline
  readonly #owner: StreamOwner
  #sizeBytes: number
  #mappedBytes: number
  /** everything below is stored; the size that a crash may show */
  #stableSizeBytes: number
  readonly #runs = new FileRuns()
  readonly #readAhead = new ReadAhead()
  #lastFailure: { readonly error: Error } | undefined
  #changeCount = 0
  readonly #holeCheck: HoleCheck

  constructor(
    inode: number,
    group: number,
    sizeBytes: number,
    mappedBytes: number,
    services: FileStreamServices,
    owner: StreamOwner,
  ) {
    this.inode = inode
    this.group = group
    this.#services = services
    this.#owner = owner
    this.#sizeBytes = sizeBytes
    this.#stableSizeBytes = sizeBytes
    this.#mappedBytes = mappedBytes
    this.#pipeline = new FlushPipeline(this, services)
    this.#holeCheck = new HoleCheck(services.extents)
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get mappedBytes(): number {
    return this.#mappedBytes
  }

  get isBlank(): boolean {
    return this.#mappedBytes === 0 && this.#stableSizeBytes === 0
  }

  /** How often extents have changed. */
  get changeCount(): number {
    return this.#changeCount
  }

  get hasUnflushedData(): boolean {
    return !this.#runs.isEmpty
  }

  get unflushedBytes(): number {
    return this.#runs.lengthBytes
  }

  get committableSizeBytes(): number {
    return this.hasUnflushedData
      ? Math.min(this.#sizeBytes, this.#stableSizeBytes)
      : this.#sizeBytes
  }

  /** As FileContent.write. */
  write(offsetBytes: number, data: Uint8Array): void | Promise<void> {
    if (offsetBytes + data.length > FILE_BYTES_MAX) throw new FilesystemError('EFBIG')
    this.#services.checkAccess(this.group)
    const reserving = this.#services.reserve(this.group, data.length)
    if (reserving !== undefined) return this.#writeWhenReserved(reserving, offsetBytes, data)
    return this.#write(offsetBytes, data)
  }

  async #writeWhenReserved(
    reserving: Promise<void>,
    offsetBytes: number,
    data: Uint8Array,
  ): Promise<void> {
    await reserving
    // The group may have been locked meanwhile.
    this.#services.checkAccess(this.group)
    await this.#write(offsetBytes, data)
  }

  #write(offsetBytes: number, data: Uint8Array): void | Promise<void> {
    const taken = this.#take(offsetBytes, data)
    if (taken < data.length) return this.#writeRest(offsetBytes + taken, data.subarray(taken))
  }

  async #writeRest(offsetBytes: number, data: Uint8Array): Promise<void> {
    const before = this.#lastFailure
    let at = 0
    while (at < data.length) {
      const isLarge = this.#wantsLarge(offsetBytes + at, data.length - at)
      const pool = isLarge ? this.#services.buffers.large : this.#services.buffers.small
      const buffer = await this.#waitFor(pool)
      if (this.#lastFailure !== undefined && this.#lastFailure !== before) {
        // The file may have been cut in front of the rest, which would leave zeros between.
        buffer.release()
        throw this.#lastFailure.error
      }
      // Another write may have made a run here in the meantime.
      if (this.#runs.at(offsetBytes + at) === undefined)
        this.#openRun(offsetBytes + at, buffer, isLarge)
      else buffer.release()
      at += this.#take(offsetBytes + at, data.subarray(at))
      // The buffer may have been what somebody counts on who has begun to wait since.
      this.#services.relieve(pool)
    }
  }

  /** Meanwhile nobody waits for company: what waits for it holds buffers. */
  async #waitFor(pool: BufferPool): Promise<PooledBuffer> {
    const waiting = pool.acquire()
    const calm = this.#services.hurry()
    try {
      this.#services.relieve(pool)
      return await waiting
    } finally {
      calm()
    }
  }

  /** As RunHolder.openRuns. */
  get openRuns(): readonly Run[] {
    return this.#runs.open
  }

  /** As RunHolder.yieldRun: without ending it, so that what follows is still cut together with it. */
  yieldRun(run: Run): void {
    this.#freeze(run, false)
  }

  /** Copies as much as there are buffers for. @returns bytes taken */
  #take(offsetBytes: number, data: Uint8Array): number {
    let at = 0
    while (at < data.length) {
      const position = offsetBytes + at
      let run = this.#runs.at(position)
      if (run === undefined) {
        const isLarge = this.#wantsLarge(position, data.length - at)
        const { large, small } = this.#services.buffers
        const buffer = isLarge ? large.tryAcquire() : small.tryAcquire()
        if (buffer === undefined) return at
        run = this.#openRun(position, buffer, isLarge)
      }
      const within = position - run.startBytes
      const next = this.#runs.nextStartBytes(position)
      const count = Math.min(data.length - at, run.capacityBytes - within, next - position)
      run.buffer.bytes.set(data.subarray(at, at + count), run.dataOffset + within)
      run.lengthBytes = Math.max(run.lengthBytes, within + count)
      at += count
      if (position + count > this.#sizeBytes) this.#sizeBytes = position + count
      if (run.lengthBytes === run.capacityBytes) this.#freeze(run, false)
    }
    this.#owner.changed()
    return at
  }

  #wantsLarge(position: number, lengthBytes: number): boolean {
    if (lengthBytes > SMALL_BUFFER_BYTES) return true
    return this.#runs.frozenEndBytes === position
  }

  #openRun(startBytes: number, buffer: Run['buffer'], isLarge: boolean): Run {
    const oldest = this.#runs.oldestOpen
    if (oldest !== undefined && this.#runs.openCount >= OPEN_RUNS_MAX) {
      this.#freeze(oldest, !this.#runs.isFollowed(oldest))
    }
    return this.#runs.add(startBytes, buffer, isLarge)
  }

  #freeze(run: Run, isEnd: boolean): void {
    this.#runs.freeze(run)
    this.#pipeline.push(run, isEnd)
  }

  /** As FileContent.drain: hands everything to the pipeline. */
  drain(): void {
    for (const run of this.#runs.openAscending()) {
      this.#freeze(run, !this.#runs.isFollowed(run))
    }
    this.#pipeline.end()
  }

  /** All data written so far is stored. @throws ENOSPC, EIO when some could not be */
  async flush(): Promise<void> {
    const before = this.#lastFailure
    await this.settle()
    if (this.#lastFailure !== undefined && this.#lastFailure !== before) {
      throw this.#lastFailure.error
    }
  }

  /** As FileContent.settle. */
  async settle(): Promise<void> {
    this.drain()
    await this.#pipeline.settled()
  }

  installed(endBytes: number, grownBytes: number, done: readonly Run[]): void {
    this.#mapped(grownBytes)
    this.#stableSizeBytes = Math.max(this.#stableSizeBytes, Math.min(endBytes, this.#sizeBytes))
    this.#letGo(done)
    this.#owner.changed()
  }

  carried(carry: Run, origin: Run): void {
    this.#runs.addCarry(carry, origin)
  }

  superseded(runs: readonly Run[]): void {
    this.#letGo(runs)
  }

  failed(error: Error, lost: readonly Run[]): void {
    if (error !== ABANDONED) {
      this.#lastFailure = { error }
      if (lost.some(run => runEndBytes(run) > this.#stableSizeBytes)) this.#giveUp()
      this.#owner.failed(error)
      this.#services.lost(this.inode, error)
    }
    this.#letGo(lost)
    this.#owner.changed()
  }

  /**
   * The file ends where it is stored. Keeping its size would show zeros that nobody wrote; and what comes behind the gap
   * goes with it, whether it could be stored or not. Whoever is told of the failure can't tell what of it was there.
   */
  #giveUp(): void {
    this.#sizeBytes = this.#stableSizeBytes
    this.#runs.abandon()
    this.#pipeline.abandon()
  }

  #letGo(runs: readonly Run[]): void {
    this.#runs.letGo(runs)
    if (!this.hasUnflushedData) this.#stableSizeBytes = this.#sizeBytes
  }

  /** As FileContent.truncate. Data that is on its way is stored first, unless the file is emptied. */
  truncate(sizeBytes: number): void | Promise<void> {
    if (sizeBytes > FILE_BYTES_MAX) throw new FilesystemError('EFBIG')
    this.#services.checkAccess(this.group)
    if (sizeBytes === 0) {
      this.#runs.abandon()
      this.#pipeline.abandon()
      return this.#setSize(0)
    }
    if (!this.hasUnflushedData) return this.#setSize(sizeBytes)
    return this.flush().then(() => this.#setSize(sizeBytes))
  }

  #setSize(sizeBytes: number): void | Promise<void> {
    const endBytes = Math.max(this.#sizeBytes, this.#stableSizeBytes)
    if (endBytes - sizeBytes > CUT_BYTES_MAX && this.#mappedBytes > 0) {
      return this.#cutFrom(sizeBytes + CUT_BYTES_MAX, endBytes).then(() => this.#cut(sizeBytes))
    }
    this.#cut(sizeBytes)
  }

  /** Removes what lies in a range of any size, passing over its holes. */
  async #cutFrom(startBytes: number, endBytes: number): Promise<void> {
    const { extents } = this.#services
    let at: number | undefined = startBytes
    while (at !== undefined && at < endBytes) {
      const from: number | undefined = await extents.nextOverlapBytes(this.inode, at, endBytes)
      if (from === undefined) return
      at = Math.min(from + CUT_BYTES_MAX, endBytes)
      this.#mapped(extents.replace(this.inode, this.group, from, at, []))
      this.#owner.changed()
    }
  }

  #cut(sizeBytes: number): void {
    const endBytes = Math.min(
      Math.max(this.#sizeBytes, this.#stableSizeBytes),
      sizeBytes + CUT_BYTES_MAX,
    )
    if (sizeBytes < endBytes) {
      this.#mapped(this.#services.extents.replace(this.inode, this.group, sizeBytes, endBytes, []))
    }
    this.#sizeBytes = sizeBytes
    this.#stableSizeBytes = sizeBytes
    this.#owner.changed()
  }

  /** As FileContent.punch. */
  async punch(offsetBytes: number, lengthBytes: number): Promise<void> {
    this.#services.checkAccess(this.group)
    await this.flush()
    const endBytes = Math.min(offsetBytes + lengthBytes, this.#sizeBytes)
    if (this.#mappedBytes > 0) await this.#cutFrom(offsetBytes, endBytes)
  }

  /**
   * The range, which may reach past the end, now consists of these extents of another place and of holes.
   * There must be no unflushed data. @throws EFBIG
   */
  adopt(startBytes: number, endBytes: number, extents: readonly Extent[]): void {
    if (endBytes > FILE_BYTES_MAX) throw new FilesystemError('EFBIG')
    this.#mapped(
      this.#services.extents.replace(this.inode, this.group, startBytes, endBytes, extents),
    )
    this.#sizeBytes = Math.max(this.#sizeBytes, endBytes)
    this.#stableSizeBytes = this.#sizeBytes
    this.#owner.changed()
  }

  /**
   * The same with all extents of whole pages of `source`, which come to lie `shiftPages` further on: as
   * ExtentMap.sharePages. There must be no unflushed data. @throws EFBIG
   */
  adoptPages(source: number, firstPage: number, endPage: number, shiftPages: number): void {
    const { extents } = this.#services
    const endBytes = extents.ownStartBytes(source, endPage) + shiftPages * EXTENT_PAGE_BYTES
    if (endBytes > FILE_BYTES_MAX) throw new FilesystemError('EFBIG')
    const range = { firstPage, endPage, group: this.group }
    this.#mapped(extents.sharePages(source, range, this.inode, shiftPages))
    this.#sizeBytes = Math.max(this.#sizeBytes, endBytes)
    this.#stableSizeBytes = this.#sizeBytes
    this.#owner.changed()
  }

  /** Before holes are passed on as such. @throws EIO when extents are missing */
  async checkWhole(): Promise<void> {
    if (!(await this.#holeCheck.isWhole(this))) this.#services.reader.refuseHoles(this.inode)
  }

  #mapped(grownBytes: number): void {
    this.#mappedBytes += grownBytes
    this.#changeCount++
  }

  /** As FileContent.seek; unflushed data is stored first. */
  async seek(offsetBytes: number, whence: number): Promise<number | undefined> {
    const SEEK_DATA = 3
    await this.flush()
    if (offsetBytes >= this.#sizeBytes) return undefined
    const { extents } = this.#services
    await this.checkWhole()
    const endBytes = this.#sizeBytes
    let at = offsetBytes
    // An extent may begin in the page before.
    let from = offsetBytes
    while (from < endBytes) {
      const windowEndBytes = Math.min(from + SEEK_BYTES, endBytes)
      for (const extent of extents.overlapping(this.inode, from, windowEndBytes)) {
        if (whence === SEEK_DATA) return Math.max(offsetBytes, extent.startBytes)
        if (extent.startBytes > at) return at
        at = Math.max(at, extent.startBytes + extent.lengthBytes)
      }
      if (at < windowEndBytes && whence !== SEEK_DATA) return at
      const next = await extents.nextOverlapBytes(this.inode, windowEndBytes, endBytes)
      if (next === undefined) break
      from = next
    }
    if (whence === SEEK_DATA) return undefined
    return Math.min(at, endBytes)
  }

  /** As FileContent.read. */
  async read(offsetBytes: number, lengthBytes: number): Promise<StreamRead> {
    this.#services.checkAccess(this.group)
    const endBytes = Math.min(offsetBytes + lengthBytes, this.#sizeBytes)
    if (endBytes <= offsetBytes) return { pieces: [], release() {} }
    const ended = this.#services.beginRead()
    const stored: StreamRead[] = []
    const held: Run[] = []
    const release = (): void => {
      for (const read of stored) read.release()
      for (const run of held) run.buffer.release()
    }
    try {
      const parts = this.#runs.overlay(offsetBytes, endBytes, held)
      const pieces: Uint8Array[] = []
      let at = offsetBytes
      for (const part of [...parts, { startBytes: endBytes, bytes: EMPTY }]) {
        if (part.startBytes > at) {
          const read = await this.#readStored(at, part.startBytes, parts.length > 0)
          stored.push(read)
          pieces.push(...read.pieces)
        }
        if (part.bytes.length > 0) pieces.push(part.bytes)
        at = part.startBytes + part.bytes.length
      }
      const shareBytes = this.#services.readShare.of(this.inode)
      const ahead = this.#readAhead.after(offsetBytes, endBytes, this.#sizeBytes, shareBytes)
      if (ahead !== undefined) {
        this.#services.reader.readAhead(this.inode, ahead.startBytes, ahead.lengthBytes)
      }
      return { pieces, release }
    } catch (error) {
      release()
      throw error
    } finally {
      ended()
    }
  }

  /** Beside unflushed data a read has several gaps: it copies, since it must not wait for permits while it holds some. */
  async #readStored(startBytes: number, endBytes: number, isGap: boolean): Promise<StreamRead> {
    if (!isGap) {
      return this.#services.reader.read(this.inode, startBytes, endBytes, () =>
        this.#holeCheck.passes(this),
      )
    }
    const bytes = new Uint8Array(endBytes - startBytes)
    await this.#services.reader.copy(this.inode, startBytes, bytes)
    return { pieces: [bytes], release() {} }
  }
}

const EMPTY = new Uint8Array(0)
