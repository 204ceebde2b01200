// One regular file's bytes: what is stored (extents), what is being stored (frozen runs), what was written last (open
// runs). Readers see the newest of the three at every offset.

import { FilesystemError } from '../errors.ts'
import {
  LARGE_DATA_BYTES,
  ROOM_BYTES,
  runEndBytes,
  runSlice,
  SMALL_BUFFER_BYTES,
} from './buffers.ts'
import type { Run } from './buffers.ts'
import { ABANDONED, FlushPipeline } from './flush-pipeline.ts'
import type { FlushOwner, FlushServices } from './flush-pipeline.ts'
import type { StoredReader } from './reader.ts'

/** Scattered writers may keep this many places open; then the oldest is flushed. */
const OPEN_RUNS_MAX = 32
const READ_AHEAD_BYTES_FIRST = 512 * 1024
const READ_AHEAD_BYTES_MAX = 4 * 1024 * 1024
/** As ext4's order of magnitude; far below what a double counts exactly. */
export const FILE_BYTES_MAX = 8 * 2 ** 40

export interface FileStreamServices extends FlushServices {
  readonly reader: StoredReader
  /** @throws FilesystemError ENOSPC, EROFS when `lengthBytes` more can't be taken */
  reserve(group: number, lengthBytes: number): void
  /** somebody waits for buffers: flush what lies around */
  relievePressure(): void
}

export interface StreamRead {
  readonly pieces: readonly Uint8Array[]
  release(): void
}

export class FileStream implements FlushOwner {
  readonly inode: number
  readonly group: number
  readonly #services: FileStreamServices
  readonly #pipeline: FlushPipeline
  readonly #changed: () => void
  #sizeBytes: number
  #mappedBytes: number
  /** everything below is stored; the size that a crash may show */
  #stableSizeBytes: number
  #openRuns: Run[] = []
  #frozenRuns: Run[] = []
  /** frozen before the file was emptied: nobody may see them any more, but the pipeline still holds them */
  #abandonedRuns: Run[] = []
  #error: Error | undefined
  #sequentialEndBytes = 0
  #readAheadBytes = 0
  #readAheadEndBytes = 0

  constructor(
    inode: number,
    group: number,
    sizeBytes: number,
    mappedBytes: number,
    services: FileStreamServices,
    changed: () => void,
  ) {
    this.inode = inode
    this.group = group
    this.#services = services
    this.#changed = changed
    this.#sizeBytes = sizeBytes
    this.#stableSizeBytes = sizeBytes
    this.#mappedBytes = mappedBytes
    this.#pipeline = new FlushPipeline(this, services)
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get mappedBytes(): number {
    return this.#mappedBytes
  }

  get hasUnflushedData(): boolean {
    return this.#openRuns.length + this.#frozenRuns.length + this.#abandonedRuns.length > 0
  }

  get committableSizeBytes(): number {
    return this.hasUnflushedData
      ? Math.min(this.#sizeBytes, this.#stableSizeBytes)
      : this.#sizeBytes
  }

  takeError(): Error | undefined {
    const error = this.#error
    this.#error = undefined
    return error
  }

  /** As FileContent.write. */
  write(offsetBytes: number, data: Uint8Array): void | Promise<void> {
    const error = this.takeError()
    if (error !== undefined) throw error
    if (offsetBytes + data.length > FILE_BYTES_MAX) throw new FilesystemError('EFBIG')
    this.#services.reserve(this.group, data.length)
    const taken = this.#take(offsetBytes, data)
    if (taken < data.length) return this.#writeRest(offsetBytes + taken, data.subarray(taken))
    this.#yieldIfContended()
  }

  async #writeRest(offsetBytes: number, data: Uint8Array): Promise<void> {
    let at = 0
    while (at < data.length) {
      const isLarge = this.#wantsLarge(offsetBytes + at, data.length - at)
      const pool = isLarge ? this.#services.buffers.large : this.#services.buffers.small
      const waiting = pool.acquire()
      this.#services.relievePressure()
      const buffer = await waiting
      // Another write may have made a run here in the meantime.
      if (this.#runFor(offsetBytes + at) === undefined)
        this.#openRun(offsetBytes + at, buffer, isLarge)
      else buffer.release()
      at += this.#take(offsetBytes + at, data.subarray(at))
    }
    this.#yieldIfContended()
  }

  /** Nobody holds on to a half-filled buffer while somebody waits for one. */
  #yieldIfContended(): void {
    const { large, small } = this.#services.buffers
    if (large.isContended || small.isContended) this.yieldBuffers()
  }

  /** Hands open runs to the pipeline without ending them: what follows is still cut together with them. */
  yieldBuffers(): void {
    for (const run of this.#openRuns.toSorted((a, b) => a.startBytes - b.startBytes)) {
      this.#freeze(run, false)
    }
  }

  /** Copies as much as there are buffers for. @returns bytes taken */
  #take(offsetBytes: number, data: Uint8Array): number {
    let at = 0
    while (at < data.length) {
      const position = offsetBytes + at
      let run = this.#runFor(position)
      if (run === undefined) {
        const isLarge = this.#wantsLarge(position, data.length - at)
        const { large, small } = this.#services.buffers
        const buffer = isLarge ? large.tryAcquire() : small.tryAcquire()
        if (buffer === undefined) return at
        run = this.#openRun(position, buffer, isLarge)
      }
      const within = position - run.startBytes
      const next = this.#nextRunStartBytes(position)
      const count = Math.min(data.length - at, run.capacityBytes - within, next - position)
      run.buffer.bytes.set(data.subarray(at, at + count), run.dataOffset + within)
      run.lengthBytes = Math.max(run.lengthBytes, within + count)
      at += count
      if (position + count > this.#sizeBytes) this.#sizeBytes = position + count
      if (run.lengthBytes === run.capacityBytes) this.#freeze(run, false)
    }
    this.#changed()
    return at
  }

  /** The open run that the position lies in, else one with room that ends there: open runs never overlap. */
  #runFor(position: number): Run | undefined {
    let before: Run | undefined
    for (const run of this.#openRuns) {
      if (position >= run.startBytes && position < Math.max(runEndBytes(run), run.startBytes + 1)) {
        return run
      }
      if (position === runEndBytes(run)) before = run
    }
    return before
  }

  #nextRunStartBytes(position: number): number {
    let next = Infinity
    for (const run of this.#openRuns) {
      if (run.startBytes > position && run.startBytes < next) next = run.startBytes
    }
    return next
  }

  #wantsLarge(position: number, lengthBytes: number): boolean {
    if (lengthBytes > SMALL_BUFFER_BYTES) return true
    const last = this.#frozenRuns.at(-1)
    return last !== undefined && runEndBytes(last) === position
  }

  #openRun(startBytes: number, buffer: Run['buffer'], isLarge: boolean): Run {
    if (this.#openRuns.length >= OPEN_RUNS_MAX) {
      const oldest = this.#openRuns[0]
      if (oldest !== undefined) this.#freeze(oldest, !this.#isFollowed(oldest))
    }
    const run: Run = {
      startBytes,
      lengthBytes: 0,
      capacityBytes: isLarge ? LARGE_DATA_BYTES : SMALL_BUFFER_BYTES,
      buffer,
      dataOffset: isLarge ? ROOM_BYTES : 0,
    }
    this.#openRuns.push(run)
    return run
  }

  #isFollowed(run: Run): boolean {
    return this.#openRuns.some(other => other.startBytes === runEndBytes(run))
  }

  #freeze(run: Run, isEnd: boolean): void {
    this.#openRuns = this.#openRuns.filter(other => other !== run)
    this.#frozenRuns.push(run)
    this.#pipeline.push(run, isEnd)
  }

  /** As FileContent.drain: hands everything to the pipeline. */
  drain(): void {
    const runs = this.#openRuns.toSorted((a, b) => a.startBytes - b.startBytes)
    for (const [index, run] of runs.entries()) {
      this.#freeze(run, runs[index + 1]?.startBytes !== runEndBytes(run))
    }
    this.#pipeline.end()
  }

  /** As FileContent.flush. */
  async flush(): Promise<void> {
    await this.settle()
    const error = this.takeError()
    if (error !== undefined) throw error
  }

  /** The same, leaving an error for whoever asks the file next. */
  async settle(): Promise<void> {
    this.drain()
    await this.#pipeline.settled()
  }

  installed(endBytes: number, grownBytes: number, done: readonly Run[]): void {
    this.#mappedBytes += grownBytes
    this.#stableSizeBytes = Math.max(this.#stableSizeBytes, Math.min(endBytes, this.#sizeBytes))
    this.#letGo(done)
    this.#changed()
  }

  carried(carry: Run, origin: Run): void {
    const place = this.#frozenRuns.indexOf(origin)
    // An abandoned origin's tail is abandoned too.
    if (place < 0) this.#abandonedRuns.push(carry)
    else this.#frozenRuns.splice(place + 1, 0, carry)
  }

  superseded(runs: readonly Run[]): void {
    this.#letGo(runs)
  }

  failed(error: Error, lost: readonly Run[]): void {
    if (error !== ABANDONED) this.#error ??= error
    this.#letGo(lost)
    this.#changed()
  }

  #letGo(runs: readonly Run[]): void {
    const gone = new Set(runs)
    const isHeld = (run: Run): boolean => {
      if (!gone.has(run)) return true
      run.buffer.release()
      return false
    }
    this.#frozenRuns = this.#frozenRuns.filter(isHeld)
    this.#abandonedRuns = this.#abandonedRuns.filter(isHeld)
    if (!this.hasUnflushedData) this.#stableSizeBytes = this.#sizeBytes
  }

  /** As FileContent.truncate. Data that is on its way is stored first, unless the file is emptied. */
  truncate(sizeBytes: number): void | Promise<void> {
    if (sizeBytes > FILE_BYTES_MAX) throw new FilesystemError('EFBIG')
    if (sizeBytes === 0) {
      this.#abandonedRuns.push(...this.#frozenRuns)
      this.#frozenRuns = []
      this.#pipeline.abandon()
      for (const run of this.#openRuns) run.buffer.release()
      this.#openRuns = []
      this.#setSize(0)
      return
    }
    if (!this.hasUnflushedData) {
      this.#setSize(sizeBytes)
      return
    }
    return this.flush().then(() => this.#setSize(sizeBytes))
  }

  #setSize(sizeBytes: number): void {
    const endBytes = Math.max(this.#sizeBytes, this.#stableSizeBytes)
    if (sizeBytes < endBytes) {
      this.#mappedBytes += this.#services.extents.replace(this.inode, sizeBytes, endBytes, [])
    }
    this.#sizeBytes = sizeBytes
    this.#stableSizeBytes = sizeBytes
    this.#changed()
  }

  /** As FileContent.punch. */
  async punch(offsetBytes: number, lengthBytes: number): Promise<void> {
    await this.flush()
    const endBytes = Math.min(offsetBytes + lengthBytes, this.#sizeBytes)
    this.#mappedBytes += this.#services.extents.replace(this.inode, offsetBytes, endBytes, [])
    this.#changed()
  }

  /** As FileContent.seek; unflushed data is stored first. */
  async seek(offsetBytes: number, whence: number): Promise<number | undefined> {
    const SEEK_DATA = 3
    await this.flush()
    if (offsetBytes >= this.#sizeBytes) return undefined
    let at = offsetBytes
    for (const extent of this.#services.extents.overlapping(
      this.inode,
      offsetBytes,
      this.#sizeBytes,
    )) {
      if (whence === SEEK_DATA) return Math.max(offsetBytes, extent.startBytes)
      if (extent.startBytes > at) return at
      at = extent.startBytes + extent.lengthBytes
    }
    if (whence === SEEK_DATA) return undefined
    return Math.min(at, this.#sizeBytes)
  }

  /** As FileContent.read. */
  async read(offsetBytes: number, lengthBytes: number): Promise<StreamRead> {
    const endBytes = Math.min(offsetBytes + lengthBytes, this.#sizeBytes)
    if (endBytes <= offsetBytes) return { pieces: [], release() {} }
    const stored: StreamRead[] = []
    const held: Run[] = []
    const release = (): void => {
      for (const read of stored) read.release()
      for (const run of held) run.buffer.release()
    }
    try {
      const parts = this.#overlay(offsetBytes, endBytes, held)
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
      this.#readAhead(offsetBytes, endBytes)
      return { pieces, release }
    } catch (error) {
      release()
      throw error
    }
  }

  /** Beside unflushed data a read has several gaps: it copies, since it must not wait for permits while it holds some. */
  async #readStored(startBytes: number, endBytes: number, isGap: boolean): Promise<StreamRead> {
    if (!isGap) return this.#services.reader.read(this.inode, startBytes, endBytes)
    const bytes = new Uint8Array(endBytes - startBytes)
    await this.#services.reader.copy(this.inode, startBytes, bytes)
    return { pieces: [bytes], release() {} }
  }

  /** The parts of the range that unflushed runs cover, ascending; the newest wins. Their buffers are retained. */
  #overlay(
    startBytes: number,
    endBytes: number,
    held: Run[],
  ): { startBytes: number; bytes: Uint8Array }[] {
    const parts: { startBytes: number; bytes: Uint8Array }[] = []
    if (!this.hasUnflushedData) return parts
    let gaps: [from: number, to: number][] = [[startBytes, endBytes]]
    for (const run of [...this.#openRuns, ...this.#frozenRuns.toReversed()]) {
      const left: [from: number, to: number][] = []
      let isUsed = false
      for (const [from, to] of gaps) {
        const low = Math.max(from, run.startBytes)
        const high = Math.min(to, runEndBytes(run))
        if (low >= high) {
          left.push([from, to])
          continue
        }
        parts.push({ startBytes: low, bytes: runSlice(run, low, high) })
        isUsed = true
        if (from < low) left.push([from, low])
        if (high < to) left.push([high, to])
      }
      if (isUsed) {
        run.buffer.retain()
        held.push(run)
      }
      gaps = left
    }
    return parts.sort((a, b) => a.startBytes - b.startBytes)
  }

  /** A window that doubles as long as reads follow each other. */
  #readAhead(startBytes: number, endBytes: number): void {
    if (startBytes !== this.#sequentialEndBytes) {
      this.#readAheadBytes = 0
      this.#readAheadEndBytes = endBytes
    } else {
      this.#readAheadBytes = Math.min(
        Math.max(this.#readAheadBytes * 2, READ_AHEAD_BYTES_FIRST),
        READ_AHEAD_BYTES_MAX,
      )
    }
    this.#sequentialEndBytes = endBytes
    const targetBytes = Math.min(endBytes + this.#readAheadBytes, this.#sizeBytes)
    const fromBytes = Math.max(this.#readAheadEndBytes, endBytes)
    if (this.#readAheadBytes === 0 || targetBytes - fromBytes < this.#readAheadBytes / 2) return
    this.#services.reader.readAhead(this.inode, fromBytes, targetBytes - fromBytes)
    this.#readAheadEndBytes = targetBytes
  }
}

const EMPTY = new Uint8Array(0)
