// How much memory the daemon takes while a lot is copied into it.

import { readFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { run } from './processes.ts'
import type { Sources } from './sources.ts'
import type { CofferTarget } from './targets.ts'
import { work } from './workloads.ts'

/** Longer than the daemon lets anything wait to be committed, so it has come to rest. */
const REST_MILLISECONDS = 10_000
const BYTES_PER_KIB = 1024

export interface MemoryResult {
  readonly writtenBytes: number
  readonly files: number
  readonly seconds: number
  readonly peakBytes: number
  readonly afterBytes: number
}

async function statusBytes(pid: number, field: 'VmHWM' | 'VmRSS'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]
  if (kibibytes === undefined) throw new Error(`process ${pid} has no ${field}`)
  return Number(kibibytes) * BYTES_PER_KIB
}

export async function measureMemory(
  coffer: CofferTarget,
  sources: Sources,
  bytes: number,
  signal: AbortSignal,
): Promise<MemoryResult> {
  await coffer.start()
  const result = await work(['mixed', sources.tar, coffer.directory, String(bytes)], signal)
  await run('sync', ['-f', coffer.directory], signal)
  await setTimeout(REST_MILLISECONDS, undefined, { signal })
  const pid = await coffer.daemonPid()
  return {
    writtenBytes: result.bytes,
    files: result.files,
    seconds: result.seconds,
    peakBytes: await statusBytes(pid, 'VmHWM'),
    afterBytes: await statusBytes(pid, 'VmRSS'),
  }
}
