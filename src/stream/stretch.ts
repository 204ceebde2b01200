// Contiguous bytes of a file in memory with room to grow on either side: what is about to be cut.

import { ROOM_BYTES, runEndBytes, runSlice } from './buffers.ts'
import type { Run, StreamBuffers } from './buffers.ts'
import type { PooledBuffer } from './buffer-pool.ts'

export interface Stretch {
  startBytes: number
  /** where byte `startBytes` of the file lies in the buffer */
  offset: number
  lengthBytes: number
  readonly buffer: PooledBuffer
  /** what was written; the rest had been stored before */
  readonly runs: readonly Run[]
  /** begins with what was cut before and left undecided: it begins where a chunk does */
  readonly isContinued: boolean
}

/** The run in its own large buffer, or copied to a bench. The stretch holds its buffer until that is released. */
export async function stretchOf(run: Run, { bench }: StreamBuffers): Promise<Stretch> {
  const { startBytes, lengthBytes } = run
  const hasRoom = run.dataOffset >= ROOM_BYTES
  const buffer = hasRoom ? run.buffer : await bench.acquire()
  if (hasRoom) buffer.retain()
  else buffer.bytes.set(runSlice(run, startBytes, runEndBytes(run)), ROOM_BYTES)
  const offset = hasRoom ? run.dataOffset : ROOM_BYTES
  return { startBytes, offset, lengthBytes, buffer, runs: [run], isContinued: false }
}

/** The same behind a carry, which ends where it begins. */
export function continued(stretch: Stretch, carry: Run): Stretch {
  roomInFront(stretch, carry.lengthBytes).set(carry.buffer.bytes)
  return { ...stretch, runs: [carry, ...stretch.runs], isContinued: true }
}

/** In memory that is wanted by others too, not in the run's own. */
export function isOnBench(stretch: Stretch): boolean {
  return stretch.buffer !== stretch.runs.at(-1)?.buffer
}

export function dataOf({ buffer, offset, lengthBytes }: Stretch): Uint8Array {
  return buffer.bytes.subarray(offset, offset + lengthBytes)
}

/** Lets the stretch begin earlier. @returns the memory of what is in front now */
export function roomInFront(stretch: Stretch, lengthBytes: number): Uint8Array {
  if (lengthBytes > stretch.offset) throw new RangeError('the headroom is too small')
  const { offset } = stretch
  stretch.offset -= lengthBytes
  stretch.startBytes -= lengthBytes
  stretch.lengthBytes += lengthBytes
  return stretch.buffer.bytes.subarray(offset - lengthBytes, offset)
}

/** Lets the stretch end later. @returns the memory of what is behind now */
export function roomBehind(stretch: Stretch, lengthBytes: number): Uint8Array {
  const from = stretch.offset + stretch.lengthBytes
  const to = from + lengthBytes
  if (to > stretch.buffer.bytes.length) throw new RangeError('the tailroom is too small')
  stretch.lengthBytes += lengthBytes
  return stretch.buffer.bytes.subarray(from, to)
}
