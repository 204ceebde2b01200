// Turns the unflushed runs of one file into chunks and extents. Steps begin strictly in order, since a
// buffer's undecided tail (the carry) is cut together with what follows; what has an end leaves none, so that the next step
// begins meanwhile; storing overlaps with what comes next; extents are installed in order again, so that older data never
// replaces newer.

import type { ChunkLocation, NewChunk } from '../blocks/block-store.ts'
import { runEndBytes, SMALL_BUFFER_BYTES } from './buffers.ts'
import type { Run, StreamBuffers } from './buffers.ts'
import { PooledBuffer } from './buffer-pool.ts'
import { chunksOf, extentsOf, type CutResult } from './cut-chunks.ts'
import { endOf, type Extent } from './extent.ts'
import type { ExtentMap } from './extent-map.ts'
import { rangeToCut, type ByteRange, type NewData } from './overwrite.ts'
import type { Copy } from './copy-memory.ts'
import type { RecentChunks } from './recent-chunks.ts'
import {
  continued,
  dataOf,
  isOnBench,
  roomBehind,
  roomInFront,
  stretchOf,
  type Stretch,
} from './stretch.ts'

/** What the stream layer needs of the layers below. */
export interface FlushServices {
  readonly buffers: StreamBuffers
  readonly extents: ExtentMap
  cut(group: number, data: Uint8Array, isEnd: boolean): CutResult | Promise<CutResult>
  store(group: number, chunks: readonly NewChunk[]): Promise<readonly ChunkLocation[]>
  /** a store begins; the returned function says that its extents are in place, or never will be */
  beginStore(): () => void
  /** until the returned function is called, stores don't wait for company */
  hurry(): () => void
  readonly recent: Pick<RecentChunks, 'add'>
  /** Copies stored bytes of the file to `target`. @throws EIO */
  readStored(inode: number, startBytes: number, target: Uint8Array): Promise<void>
}

/** The file whose data is flushed. */
export interface FlushOwner {
  readonly inode: number
  readonly group: number
  /** in extents */
  readonly mappedBytes: number
  /** it has no extents, and no size that was not written just now */
  readonly isBlank: boolean
  /** extents up to `endBytes` are installed; these runs are not needed any more */
  installed(endBytes: number, grownBytes: number, done: readonly Run[]): void
  /** the last bytes of `origin` are in `carry` as well from now on, and stay there until it is done */
  carried(carry: Run, origin: Run): void
  /** these runs are in the carry whole */
  superseded(runs: readonly Run[]): void
  failed(error: Error, lost: readonly Run[]): void
}

export class FlushPipeline {
  readonly #owner: FlushOwner
  readonly #services: FlushServices
  #cutting: Promise<void> = Promise.resolve()
  #installing: Promise<void> = Promise.resolve()
  /** what is being stored, and will replace the extents that are there now */
  readonly #pending = new Set<ByteRange>()
  /** what steps are still to come; undefined for an end */
  readonly #ahead: (Run | undefined)[] = []
  /** the undecided tail of the last buffer, in memory of its own, so that waiting for more data holds no pooled buffer */
  #carry: Run | undefined
  #epoch = 0
  /** steps that were not through yet when last looked */
  #stepCount = 0
  /** who waits until all is stored: they may go on where the file ends now, and wait again */
  #waiterCount = 0

  constructor(owner: FlushOwner, services: FlushServices) {
    this.#owner = owner
    this.#services = services
  }

  /**
   * Takes over a frozen run.
   * @param isEnd nothing adjacent follows: the last chunk ends here
   */
  push(run: Run, isEnd: boolean): void {
    if (isEnd && this.#isAlone(run)) this.#storeWhole(run)
    else this.#enqueue(run, isEnd)
  }

  /** Cuts what is still undecided. */
  end(): void {
    if (this.#stepCount > 0 || this.#carry !== undefined) this.#enqueue(undefined, true)
  }

  /** Nothing of the file is stored or on its way, and the run is small: what most files of a backup are. */
  #isAlone(run: Run): boolean {
    return (
      this.#stepCount === 0 &&
      this.#carry === undefined &&
      this.#pending.size === 0 &&
      this.#owner.mappedBytes === 0 &&
      run.capacityBytes <= SMALL_BUFFER_BYTES
    )
  }

  /** What needs no step: it stays where it is, since nothing can come in front of it or behind it. */
  #storeWhole(run: Run): void {
    run.buffer.retain()
    const { startBytes, lengthBytes, buffer, dataOffset: offset } = run
    const stretch = { startBytes, offset, lengthBytes, buffer, runs: [run], isContinued: false }
    const range = { startBytes, endBytes: runEndBytes(run) }
    const cut = (): CutResult | Promise<CutResult> =>
      this.#services.cut(this.#owner.group, dataOf(stretch), true)
    this.#storeAndInstall(this.#epoch, range, stretch, cut, true)
  }

  #enqueue(run: Run | undefined, isEnd: boolean): void {
    const epoch = this.#epoch
    this.#ahead.push(run)
    this.#stepCount++
    this.#cutting = this.#cutting.then(async () => {
      this.#ahead.shift()
      await this.#step(epoch, run, isEnd || (run !== undefined && this.#isLeft(run)))
      this.#stepCount--
    })
  }

  /** Whether it is known by now that nothing adjacent follows, which spares a step for its undecided tail. */
  #isLeft(run: Run): boolean {
    return this.#ahead.length > 0 && this.#ahead[0]?.startBytes !== runEndBytes(run)
  }

  /** Forgets all that is under way: the file was truncated to nothing. */
  abandon(): void {
    this.#epoch++
    this.#dropCarry()
  }

  /** Everything pushed so far is installed or has failed. */
  async settled(): Promise<void> {
    const calm = this.#services.hurry()
    this.#waiterCount++
    try {
      await this.#cutting
      await this.#installing
    } finally {
      this.#waiterCount--
      calm()
    }
  }

  async #step(epoch: number, run: Run | undefined, isEnd: boolean): Promise<void> {
    const runs = [this.#carry, run].filter(each => each !== undefined)
    try {
      if (epoch !== this.#epoch) {
        if (run !== undefined) this.#owner.failed(ABANDONED, [run])
        return
      }
      if (this.#carry !== undefined && run !== undefined) {
        if (runEndBytes(this.#carry) !== run.startBytes) {
          await this.#cutStretch(epoch, await this.#stretchOfCarry(this.#carry), true)
        }
      }
      if (epoch !== this.#epoch) {
        if (run !== undefined) this.#owner.failed(ABANDONED, [run])
        return
      }
      if (run !== undefined) await this.#cutStretch(epoch, await this.#stretchOfRun(run), isEnd)
      else if (this.#carry !== undefined) {
        await this.#cutStretch(epoch, await this.#stretchOfCarry(this.#carry), true)
      }
    } catch (error) {
      this.#fail(epoch, error, runs)
      this.#dropCarry()
    }
  }

  /** With the carry in front. */
  async #stretchOfRun(run: Run): Promise<Stretch> {
    const stretch = await stretchOf(run, this.#services.buffers)
    const carry = this.#carry
    this.#carry = undefined
    return carry === undefined ? stretch : continued(stretch, carry)
  }

  async #stretchOfCarry(carry: Run): Promise<Stretch> {
    const stretch = await stretchOf(carry, this.#services.buffers)
    if (this.#carry === carry) this.#carry = undefined
    return { ...stretch, isContinued: true }
  }

  /**
   * Decided by the extents of all that was cut before. Only neighbours are waited for, since a store of little data waits
   * for company; and meanwhile nobody waits for company, since what comes next waits here.
   */
  async #rangeToCut(data: NewData): Promise<ByteRange> {
    // A new file: nothing is to be looked up.
    if (this.#owner.mappedBytes === 0 && this.#pending.size === 0) return data
    for (;;) {
      let [low, high] = [Infinity, 0]
      const wanted = rangeToCut(data, at => {
        const extent = this.#services.extents.overlapping(this.#owner.inode, at, at + 1).at(0)
        low = Math.min(low, extent?.startBytes ?? at)
        high = Math.max(high, extent === undefined ? at + 1 : endOf(extent))
        return extent
      })
      const isReplaced = (range: ByteRange): boolean =>
        range.startBytes < high && range.endBytes > low
      if (![...this.#pending].some(isReplaced)) return wanted
      const calm = this.#services.hurry()
      try {
        await this.#installing
      } finally {
        calm()
      }
    }
  }

  /** A stretch with an end leaves nothing undecided: the next one is begun without waiting for it. */
  async #cutStretch(epoch: number, stretch: Stretch, isEnd: boolean): Promise<void> {
    const { startBytes, isContinued } = stretch
    const endBytes = startBytes + stretch.lengthBytes
    const data = { startBytes, endBytes, isStart: !isContinued, isEnd }
    let isHandedOn = false
    try {
      const wanted = isContinued && !isEnd ? data : await this.#rangeToCut(data)
      if (isEnd) {
        isHandedOn = true
        this.#storeAndInstall(epoch, wanted, stretch, () => this.#cut(stretch, wanted, true), true)
        return
      }
      const cut = await this.#cut(stretch, wanted, isEnd)
      if (cut.consumedBytes < stretch.lengthBytes) this.#carryOver(epoch, stretch, cut)
      if (cut.consumedBytes === 0) return
      isHandedOn = true
      const range = {
        startBytes: stretch.startBytes,
        endBytes: stretch.startBytes + cut.consumedBytes,
      }
      this.#storeAndInstall(epoch, range, stretch, () => cut, isEnd)
    } finally {
      if (!isHandedOn) stretch.buffer.release()
    }
  }

  /** What is stored around the data is cut again with it, where it must be. */
  async #cut(stretch: Stretch, wanted: ByteRange, isEnd: boolean): Promise<CutResult> {
    const { inode, group } = this.#owner
    const services = this.#services
    const { startBytes } = stretch
    const endBytes = startBytes + stretch.lengthBytes
    if (wanted.startBytes < startBytes) {
      const room = roomInFront(stretch, startBytes - wanted.startBytes)
      await services.readStored(inode, wanted.startBytes, room)
    }
    if (wanted.endBytes > endBytes) {
      await services.readStored(inode, endBytes, roomBehind(stretch, wanted.endBytes - endBytes))
    }
    return await services.cut(group, dataOf(stretch), isEnd)
  }

  /** Keeps the undecided tail for the next step. */
  #carryOver(epoch: number, stretch: Stretch, cut: CutResult): void {
    const bytes = dataOf(stretch).slice(cut.consumedBytes)
    const carry: Run = {
      startBytes: stretch.startBytes + cut.consumedBytes,
      lengthBytes: bytes.length,
      capacityBytes: bytes.length,
      buffer: new PooledBuffer(bytes),
      dataOffset: 0,
    }
    const origin = stretch.runs.at(-1)
    if (origin === undefined) throw new Error('a stretch without a run')
    this.#carry = carry
    this.#owner.carried(carry, origin)
    if (cut.consumedBytes === 0) this.#owner.superseded(stretch.runs)
    if (epoch !== this.#epoch) this.#dropCarry()
  }

  /** Stores without waiting; installs after everything before it. */
  #storeAndInstall(
    epoch: number,
    range: ByteRange,
    stretch: Stretch,
    cutIt: () => CutResult | Promise<CutResult>,
    isEnd: boolean,
  ): void {
    const done = stretch.runs
    this.#pending.add(range)
    const ended = this.#services.beginStore()
    const storing = this.#store(stretch, cutIt, isEnd)
    // Its failure is handled where it is awaited below; until then it is nobody's unhandled rejection.
    storing.catch(() => {})
    const before = this.#installing
    this.#installing = (async () => {
      await before
      try {
        const extents = await storing
        if (epoch !== this.#epoch) {
          this.#owner.failed(ABANDONED, done)
          return
        }
        const { startBytes, endBytes } = range
        const { inode, group } = this.#owner
        const map = this.#services.extents
        const grownBytes = this.#owner.isBlank
          ? map.place(inode, group, extents)
          : map.replace(inode, group, startBytes, endBytes, extents)
        this.#owner.installed(endBytes, grownBytes, done)
      } catch (error) {
        this.#fail(epoch, error, done)
      } finally {
        this.#pending.delete(range)
        ended()
      }
    })()
  }

  /** @returns the extents of what has been cut; the stretch's buffer is given back */
  async #store(
    stretch: Stretch,
    cutIt: () => CutResult | Promise<CutResult>,
    isEnd: boolean,
  ): Promise<Extent[]> {
    let copy: Copy | undefined
    try {
      const cutting = cutIt()
      const cut = cutting instanceof Promise ? await cutting : cutting
      let data = dataOf(stretch)
      if (isOnBench(stretch)) {
        // A small store may wait for others to share a region with; meanwhile the bench must be free for them.
        copy = this.#services.buffers.copies.copy(data)
        data = copy.bytes
        stretch.buffer.release()
      }
      const chunks = chunksOf(data, cut)
      const locations = await this.#services.store(this.#owner.group, chunks)
      const last = chunks.at(-1)
      if (isEnd && last !== undefined && this.#waiterCount > 0) {
        this.#services.recent.add(last.fingerprint, last.data)
      }
      return extentsOf(stretch.startBytes, chunks, locations)
    } finally {
      if (copy === undefined) stretch.buffer.release()
      else copy.release()
    }
  }

  /** What is not wanted any more has not failed. */
  #fail(epoch: number, error: unknown, lost: readonly Run[]): void {
    if (epoch !== this.#epoch) this.#owner.failed(ABANDONED, lost)
    else this.#owner.failed(error instanceof Error ? error : new Error(String(error)), lost)
  }

  #dropCarry(): void {
    const carry = this.#carry
    this.#carry = undefined
    if (carry !== undefined) this.#owner.failed(ABANDONED, [carry])
  }
}

/** Not a failure: the data isn't wanted any more. */
export const ABANDONED = new Error('the data was abandoned')
