// The unflushed runs of one file, newest data first: open ones that take writes, frozen ones on their way through the
// pipeline, and abandoned ones that nobody may see any more but whose buffers the pipeline still holds.

import {
  LARGE_DATA_BYTES,
  ROOM_BYTES,
  runEndBytes,
  runSlice,
  SMALL_BUFFER_BYTES,
} from './buffers.ts'
import type { Run } from './buffers.ts'

/** A part of a read that a run covers. */
export interface RunPart {
  readonly startBytes: number
  readonly bytes: Uint8Array
}

export class FileRuns {
  /** never overlap each other */
  #open: Run[] = []
  /** oldest first; a later one may cover an earlier one */
  #frozen: Run[] = []
  #abandoned: Run[] = []

  get isEmpty(): boolean {
    return this.#open.length + this.#frozen.length + this.#abandoned.length === 0
  }

  get open(): readonly Run[] {
    return this.#open
  }

  get openCount(): number {
    return this.#open.length
  }

  /** Bytes in all of them. */
  get lengthBytes(): number {
    let bytes = 0
    for (const runs of [this.#open, this.#frozen, this.#abandoned]) {
      for (const run of runs) bytes += run.lengthBytes
    }
    return bytes
  }

  get oldestOpen(): Run | undefined {
    return this.#open[0]
  }

  /** Where the data ends that was frozen last. */
  get frozenEndBytes(): number | undefined {
    const last = this.#frozen.at(-1)
    return last === undefined ? undefined : runEndBytes(last)
  }

  openAscending(): Run[] {
    return this.#open.toSorted((a, b) => a.startBytes - b.startBytes)
  }

  /** The open run that the position lies in, else one with room that ends there. */
  at(position: number): Run | undefined {
    let before: Run | undefined
    for (const run of this.#open) {
      const endBytes = runEndBytes(run)
      if (position >= run.startBytes && position < Math.max(endBytes, run.startBytes + 1))
        return run
      if (position === endBytes) before = run
    }
    return before
  }

  /** Where the next open run behind the position begins. */
  nextStartBytes(position: number): number {
    let next = Infinity
    for (const run of this.#open) {
      if (run.startBytes > position && run.startBytes < next) next = run.startBytes
    }
    return next
  }

  isFollowed(run: Run): boolean {
    return this.#open.some(other => other.startBytes === runEndBytes(run))
  }

  /** A new open run over a buffer of its kind. */
  add(startBytes: number, buffer: Run['buffer'], isLarge: boolean): Run {
    const run: Run = {
      startBytes,
      lengthBytes: 0,
      capacityBytes: isLarge ? LARGE_DATA_BYTES : SMALL_BUFFER_BYTES,
      buffer,
      dataOffset: isLarge ? ROOM_BYTES : 0,
    }
    this.#open.push(run)
    return run
  }

  freeze(run: Run): void {
    this.#open = this.#open.filter(other => other !== run)
    this.#frozen.push(run)
  }

  /** The carry is as old as its origin: what was frozen since covers both. */
  addCarry(carry: Run, origin: Run): void {
    const place = this.#frozen.indexOf(origin)
    // An abandoned origin's tail is abandoned too.
    if (place < 0) this.#abandoned.push(carry)
    else this.#frozen.splice(place + 1, 0, carry)
  }

  /** Open runs go at once, frozen ones when the pipeline lets go of them. */
  abandon(): void {
    this.#abandoned.push(...this.#frozen)
    this.#frozen = []
    for (const run of this.#open) run.buffer.release()
    this.#open = []
  }

  letGo(runs: readonly Run[]): void {
    const gone = new Set(runs)
    const isHeld = (run: Run): boolean => {
      if (!gone.has(run)) return true
      run.buffer.release()
      return false
    }
    this.#frozen = this.#frozen.filter(isHeld)
    this.#abandoned = this.#abandoned.filter(isHeld)
  }

  /** The parts of the range that runs cover, ascending; the newest wins. Retains their buffers, and names them in `held`. */
  overlay(startBytes: number, endBytes: number, held: Run[]): RunPart[] {
    const parts: RunPart[] = []
    let gaps: [from: number, to: number][] = [[startBytes, endBytes]]
    for (const run of [...this.#open, ...this.#frozen.toReversed()]) {
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
}
