// How much memory the daemon takes while a lot is copied into it.

import { setTimeout } from 'node:timers/promises'
import type { CofferTarget } from './coffer-target.ts'
import { statusBytes } from './peak-memory.ts'
import { run } from './processes.ts'
import { work } from './target-group.ts'

/** Longer than the daemon lets anything wait to be committed, so it has come to rest. */
const REST_MILLISECONDS = 10_000

export interface MemoryResult {
  readonly writtenBytes: number
  readonly files: number
  readonly seconds: number
  readonly peakBytes: number
  readonly afterBytes: number
}

export async function measureMemory(
  coffer: CofferTarget,
  tar: string,
  bytes: number,
  signal: AbortSignal,
): Promise<MemoryResult> {
  await coffer.start()
  const result = await work({ kind: 'mixed', tar, directory: coffer.directory, bytes }, signal)
  await run('sync', ['-f', coffer.directory], { signal })
  await setTimeout(REST_MILLISECONDS, undefined, { signal })
  return {
    writtenBytes: result.bytes,
    files: result.count,
    seconds: result.seconds,
    peakBytes: await coffer.peakMemoryBytes(),
    afterBytes: await statusBytes(await coffer.daemonPid(), 'VmRSS'),
  }
}
