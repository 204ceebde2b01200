// The memory that file data waits in, by purpose, and its layout.
//
//   large   [ headroom | data … | tailroom ]   sequential writers; cut in place
//   small   [ data ]                           small files and scattered writes; cut on a workbench
//   bench   [ headroom | data | tailroom ]     only held while one flush step runs, so it always comes free
//
// Headroom takes what must be cut together with the data but lies before it (the undecided tail of the last buffer, or
// the start of a chunk that is overwritten in its middle), tailroom the rest of the chunk that the data ends in.

import { CHUNK_BYTES_MAX } from '../blocks/block-store.ts'
import { BufferPool, type PooledBuffer } from './buffer-pool.ts'
import { CopyMemory } from './copy-memory.ts'

export const LARGE_BUFFER_BYTES = 4 * 1024 * 1024
export const SMALL_BUFFER_BYTES = 64 * 1024
export const ROOM_BYTES = CHUNK_BYTES_MAX
export const LARGE_DATA_BYTES = LARGE_BUFFER_BYTES - 2 * ROOM_BYTES
export const BENCH_BUFFER_BYTES = 2 * ROOM_BYTES + CHUNK_BYTES_MAX

const LARGE_SHARE = 0.75
/** One a flush step; more would only wait for the two or so native threads. */
const BENCH_COUNT = 8

if (SMALL_BUFFER_BYTES > CHUNK_BYTES_MAX) throw new RangeError('a small buffer must fit on a bench')

/** A contiguous piece of unflushed data. */
export interface Run {
  readonly startBytes: number
  lengthBytes: number
  readonly capacityBytes: number
  readonly buffer: PooledBuffer
  /** where byte `startBytes` of the file lies in the buffer */
  readonly dataOffset: number
}

export class StreamBuffers {
  readonly large: BufferPool
  readonly small: BufferPool
  readonly bench: BufferPool
  /** of what was on a bench */
  readonly copies = new CopyMemory(BENCH_BUFFER_BYTES)

  /** @param arena native memory; at least 16 MiB */
  constructor(arena: Uint8Array) {
    const benchBytes = BENCH_COUNT * BENCH_BUFFER_BYTES
    const largeBytes =
      Math.floor(((arena.length - benchBytes) * LARGE_SHARE) / LARGE_BUFFER_BYTES) *
      LARGE_BUFFER_BYTES
    this.bench = new BufferPool(arena.subarray(0, benchBytes), BENCH_BUFFER_BYTES)
    this.large = new BufferPool(
      arena.subarray(benchBytes, benchBytes + largeBytes),
      LARGE_BUFFER_BYTES,
    )
    this.small = new BufferPool(arena.subarray(benchBytes + largeBytes), SMALL_BUFFER_BYTES)
  }
}

export function runEndBytes(run: Run): number {
  return run.startBytes + run.lengthBytes
}

/** The run's bytes from `startBytes` to `endBytes` of the file. */
export function runSlice(run: Run, startBytes: number, endBytes: number): Uint8Array {
  const from = run.dataOffset + startBytes - run.startBytes
  return run.buffer.bytes.subarray(from, from + endBytes - startBytes)
}
