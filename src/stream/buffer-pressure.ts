// Writers that wait for memory: whose is taken back for them, and how much of it.

import { REGION_RAW_BYTES_MAX } from '../blocks/block-store.ts'
import type { BufferPool } from './buffer-pool.ts'
import type { Run } from './buffers.ts'

/** A file with open runs, which keep their buffers until they are full or given up. */
export interface RunHolder {
  readonly openRuns: readonly Run[]
  /** Hands an open run to the pipeline, which gives its buffer back. */
  yieldRun(run: Run): void
}

/**
 * Gives every writer that waits for a buffer of the pool one to wait for. Those in the pipeline come back by
 * themselves; only what is lacking beyond them is taken from open runs, the fullest first, since a run costs the pipeline
 * nearly as much when it is half full, and as many as may fill a region, since small ones share one. To be called
 * whenever a writer has begun to wait, or has opened a run with what it waited for.
 */
export function relieve(pool: BufferPool, holders: Iterable<RunHolder>): void {
  if (pool.waitingCount === 0) return
  const open: { readonly run: Run; readonly holder: RunHolder }[] = []
  for (const holder of holders) {
    for (const run of holder.openRuns) {
      if (run.buffer.pool === pool) open.push({ run, holder })
    }
  }
  const comingCount = pool.bufferCount - pool.freeCount - open.length
  const lackingCount = pool.waitingCount - comingCount
  if (lackingCount <= 0) return
  open.sort((a, b) => b.run.lengthBytes - a.run.lengthBytes)
  let takenCount = 0
  let takenBytes = 0
  for (const { run, holder } of open) {
    if (takenCount >= lackingCount && takenBytes >= REGION_RAW_BYTES_MAX) return
    takenCount += 1
    takenBytes += run.lengthBytes
    holder.yieldRun(run)
  }
}
