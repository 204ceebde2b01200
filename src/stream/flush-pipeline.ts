// Turns the unflushed runs of one file into chunks and extents. Cutting is strictly in order, since each buffer's
// undecided tail (the carry) is cut together with what follows; storing overlaps with the next cut; extents are
// installed in order again, so that older data never replaces newer.

import { FINGERPRINT_BYTES } from '../blocks/block-store.ts'
import type { ChunkLocation, NewChunk } from '../blocks/block-store.ts'
import { ROOM_BYTES, runEndBytes, runSlice } from './buffers.ts'
import type { Run, StreamBuffers } from './buffers.ts'
import { PooledBuffer } from './buffer-pool.ts'
import type { Extent } from './extent.ts'
import type { ExtentMap } from './extent-map.ts'
import { endOf, rangeToCut, type ByteRange, type NewData } from './overwrite.ts'

export interface CutResult {
  readonly lengths: Uint32Array
  readonly fingerprints: Uint8Array
  readonly consumedBytes: number
}

/** What the stream layer needs of the layers below. */
export interface FlushServices {
  readonly buffers: StreamBuffers
  readonly extents: ExtentMap
  cut(group: number, data: Uint8Array, isEnd: boolean): CutResult | Promise<CutResult>
  store(group: number, chunks: readonly NewChunk[]): Promise<ChunkLocation[]>
  /** a store begins; the returned function says that its extents are in place, or never will be */
  beginStore(): () => void
  /** until the returned function is called, stores don't wait for company */
  hurry(): () => void
  /** Copies stored bytes of the file to `target`. @throws EIO */
  readStored(inode: number, startBytes: number, target: Uint8Array): Promise<void>
}

/** The file whose data is flushed. */
export interface FlushOwner {
  readonly inode: number
  readonly group: number
  /** extents up to `endBytes` are installed; these runs are not needed any more */
  installed(endBytes: number, grownBytes: number, done: readonly Run[]): void
  /** the last bytes of `origin` are in `carry` as well from now on, and stay there until it is done */
  carried(carry: Run, origin: Run): void
  /** these runs are in the carry whole */
  superseded(runs: readonly Run[]): void
  failed(error: Error, lost: readonly Run[]): void
}

/** A contiguous stretch that is about to be cut. */
interface Stretch {
  startBytes: number
  offset: number
  lengthBytes: number
  readonly buffer: PooledBuffer
  readonly runs: Run[]
  /** begins with what was cut before and left undecided: it begins where a chunk does */
  readonly isContinued: boolean
}

export class FlushPipeline {
  readonly #owner: FlushOwner
  readonly #services: FlushServices
  #cutting: Promise<void> = Promise.resolve()
  #installing: Promise<void> = Promise.resolve()
  /** what is being stored, and will replace the extents that are there now */
  readonly #pending = new Set<ByteRange>()
  /** the undecided tail of the last buffer, in memory of its own, so that waiting for more data holds no pooled buffer */
  #carry: Run | undefined
  #epoch = 0

  constructor(owner: FlushOwner, services: FlushServices) {
    this.#owner = owner
    this.#services = services
  }

  /**
   * Takes over a frozen run.
   * @param isEnd nothing adjacent follows: the last chunk ends here
   */
  push(run: Run, isEnd: boolean): void {
    const epoch = this.#epoch
    this.#cutting = this.#cutting.then(() => this.#step(epoch, run, isEnd))
  }

  /** Cuts what is still undecided. */
  end(): void {
    const epoch = this.#epoch
    this.#cutting = this.#cutting.then(() => this.#step(epoch, undefined, true))
  }

  /** Forgets all that is under way: the file was truncated to nothing. */
  abandon(): void {
    this.#epoch++
    this.#dropCarry()
  }

  /** Everything pushed so far is installed or has failed. */
  async settled(): Promise<void> {
    const calm = this.#services.hurry()
    try {
      await this.#cutting
      await this.#installing
    } finally {
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
      this.#dropCarry()
      this.#owner.failed(error instanceof Error ? error : new Error(String(error)), runs)
    }
  }

  /** The run in its own large buffer, or copied to a bench, with the carry in front. */
  async #stretchOfRun(run: Run): Promise<Stretch> {
    const isInPlace = run.dataOffset >= ROOM_BYTES
    const buffer = isInPlace ? run.buffer : await this.#services.buffers.bench.acquire()
    if (isInPlace) buffer.retain()
    else buffer.bytes.set(runSlice(run, run.startBytes, runEndBytes(run)), ROOM_BYTES)
    const carry = this.#carry
    this.#carry = undefined
    const stretch: Stretch = {
      startBytes: run.startBytes,
      offset: isInPlace ? run.dataOffset : ROOM_BYTES,
      lengthBytes: run.lengthBytes,
      buffer,
      runs: carry === undefined ? [run] : [carry, run],
      isContinued: carry !== undefined,
    }
    if (carry !== undefined) {
      roomInFront(stretch, carry.lengthBytes).set(carry.buffer.bytes)
    }
    return stretch
  }

  async #stretchOfCarry(carry: Run): Promise<Stretch> {
    const buffer = await this.#services.buffers.bench.acquire()
    buffer.bytes.set(carry.buffer.bytes, ROOM_BYTES)
    if (this.#carry === carry) this.#carry = undefined
    return {
      startBytes: carry.startBytes,
      offset: ROOM_BYTES,
      lengthBytes: carry.lengthBytes,
      buffer,
      runs: [carry],
      isContinued: true,
    }
  }

  /** What is stored around the data is cut again with it, where it must be. */
  async #widen(stretch: Stretch, isEnd: boolean): Promise<void> {
    const { startBytes, isContinued } = stretch
    if (isContinued && !isEnd) return
    const endBytes = startBytes + stretch.lengthBytes
    const wanted = await this.#rangeToCut({ startBytes, endBytes, isStart: !isContinued, isEnd })
    const { inode } = this.#owner
    const { readStored } = this.#services
    if (wanted.startBytes < startBytes) {
      const room = roomInFront(stretch, startBytes - wanted.startBytes)
      await readStored(inode, wanted.startBytes, room)
    }
    if (wanted.endBytes > endBytes) {
      await readStored(inode, endBytes, roomBehind(stretch, wanted.endBytes - endBytes))
    }
  }

  /**
   * Decided by the extents of all that was cut before. Only neighbours are waited for, since a store of little data waits
   * for company; and meanwhile nobody waits for company, since what comes next waits here.
   */
  async #rangeToCut(data: NewData): Promise<ByteRange> {
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

  async #cutStretch(epoch: number, stretch: Stretch, isEnd: boolean): Promise<void> {
    let isHandedOn = false
    try {
      await this.#widen(stretch, isEnd)
      const { bytes } = stretch.buffer
      const data = bytes.subarray(stretch.offset, stretch.offset + stretch.lengthBytes)
      const cut = await this.#services.cut(this.#owner.group, data, isEnd)
      if (cut.consumedBytes < stretch.lengthBytes) this.#carryOver(epoch, stretch, data, cut)
      if (cut.consumedBytes > 0) {
        isHandedOn = true
        this.#storeAndInstall(epoch, stretch, data, cut)
      }
    } finally {
      if (!isHandedOn) stretch.buffer.release()
    }
  }

  /** Keeps the undecided tail for the next step. */
  #carryOver(epoch: number, stretch: Stretch, data: Uint8Array, cut: CutResult): void {
    const bytes = data.slice(cut.consumedBytes)
    const carry: Run = {
      startBytes: stretch.startBytes + cut.consumedBytes,
      lengthBytes: bytes.length,
      capacityBytes: bytes.length,
      buffer: new PooledBuffer(bytes, () => {}),
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
  #storeAndInstall(epoch: number, stretch: Stretch, data: Uint8Array, cut: CutResult): void {
    const done = stretch.runs
    const chunks: NewChunk[] = []
    // Small stores may wait for others to share a region with; meanwhile the bench must be free for them.
    const isOnBench = stretch.buffer !== done.at(-1)?.buffer
    if (isOnBench) {
      data = data.slice()
      stretch.buffer.release()
    }
    let at = 0
    for (const [index, lengthBytes] of cut.lengths.entries()) {
      chunks.push({
        fingerprint: cut.fingerprints.slice(
          index * FINGERPRINT_BYTES,
          (index + 1) * FINGERPRINT_BYTES,
        ),
        data: data.subarray(at, at + lengthBytes),
      })
      at += lengthBytes
    }
    const range = {
      startBytes: stretch.startBytes,
      endBytes: stretch.startBytes + cut.consumedBytes,
    }
    this.#pending.add(range)
    const ended = this.#services.beginStore()
    const stored = this.#services.store(this.#owner.group, chunks)
    // Its failure is handled where it is awaited below; until then it is nobody's unhandled rejection.
    stored.catch(() => {})
    const before = this.#installing
    this.#installing = (async () => {
      await before
      try {
        const locations = await stored
        if (epoch !== this.#epoch) {
          this.#owner.failed(ABANDONED, done)
          return
        }
        const { startBytes, endBytes } = range
        const extents = extentsOf(startBytes, chunks, locations)
        const { inode, group } = this.#owner
        const grownBytes = this.#services.extents.replace(
          inode,
          group,
          startBytes,
          endBytes,
          extents,
        )
        this.#owner.installed(endBytes, grownBytes, done)
      } catch (error) {
        this.#owner.failed(error instanceof Error ? error : new Error(String(error)), done)
      } finally {
        this.#pending.delete(range)
        ended()
        if (!isOnBench) stretch.buffer.release()
      }
    })()
  }

  #dropCarry(): void {
    const carry = this.#carry
    this.#carry = undefined
    if (carry !== undefined) this.#owner.failed(ABANDONED, [carry])
  }
}

/** Lets the stretch begin earlier. @returns the memory of what is in front now */
function roomInFront(stretch: Stretch, lengthBytes: number): Uint8Array {
  if (lengthBytes > stretch.offset) throw new RangeError('the headroom is too small')
  const { offset } = stretch
  stretch.offset -= lengthBytes
  stretch.startBytes -= lengthBytes
  stretch.lengthBytes += lengthBytes
  return stretch.buffer.bytes.subarray(offset - lengthBytes, offset)
}

/** Lets the stretch end later. @returns the memory of what is behind now */
function roomBehind(stretch: Stretch, lengthBytes: number): Uint8Array {
  const from = stretch.offset + stretch.lengthBytes
  const to = from + lengthBytes
  if (to > stretch.buffer.bytes.length) throw new RangeError('the tailroom is too small')
  stretch.lengthBytes += lengthBytes
  return stretch.buffer.bytes.subarray(from, to)
}

/** Not a failure: the data isn't wanted any more. */
export const ABANDONED = new Error('the data was abandoned')

function extentsOf(
  startBytes: number,
  chunks: readonly NewChunk[],
  locations: readonly ChunkLocation[],
): Extent[] {
  let at = startBytes
  return chunks.map((chunk, index) => {
    const location = locations[index]
    if (location === undefined) throw new Error('a chunk has no location')
    const extent = {
      startBytes: at,
      lengthBytes: chunk.data.length,
      chunkOffsetBytes: 0,
      chunkLengthBytes: chunk.data.length,
      fingerprint: chunk.fingerprint,
      location,
    }
    at += chunk.data.length
    return extent
  })
}
