// What is measured on every target, in this order: later workloads read what earlier ones wrote.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { WorkerResult } from './io-worker.ts'
import { run, script } from './processes.ts'
import type { Sources } from './sources.ts'
import type { Target } from './targets.ts'

/** Small files as mail folders and sources have them; enough of them to take about a second. */
const SMALL_FILES = 2000
const SMALL_FILE_BYTES = 5000

/** Megabytes as disks and networks count them. */
const MEGABYTE = 1e6

export type Unit = 'MB/s' | 'files/s'

export interface Workload {
  readonly id: string
  readonly label: string
  readonly unit: Unit
  /** nothing of it may be in memory */
  readonly isCold: boolean
  /** arguments of the worker */
  command(sources: Sources, directory: string): string[]
}

function writing(id: string, label: string, source: 'random' | 'tar'): Workload {
  const command = (sources: Sources, directory: string): string[] => [
    'write',
    sources[source],
    join(directory, id),
  ]
  return { id, label, unit: 'MB/s', isCold: false, command }
}

function reading(id: string, label: string, written: string): Workload {
  const command = (_: Sources, directory: string): string[] => ['read', join(directory, written)]
  return { id, label, unit: 'MB/s', isCold: true, command }
}

export const WORKLOADS: readonly Workload[] = [
  writing('write-random', 'write random data', 'random'),
  writing('write-tar', 'write a tar', 'tar'),
  writing('write-again', 'write the tar again', 'tar'),
  reading('read-random', 'read random data, cold', 'write-random'),
  reading('read-tar', 'read the tar, cold', 'write-tar'),
  {
    id: 'small-files',
    label: `${SMALL_FILES} files of ${SMALL_FILE_BYTES / 1000} KB`,
    unit: 'files/s',
    isCold: false,
    command: (_, directory) => ['small', directory, String(SMALL_FILES), String(SMALL_FILE_BYTES)],
  },
]

export async function work(args: string[], signal: AbortSignal): Promise<WorkerResult> {
  const output = await run(process.execPath, [script('io-worker.js'), ...args], signal)
  return JSON.parse(output) as WorkerResult
}

/** Runs a workload on a target; returns how fast it was, in the workload's unit. */
export async function measure(
  workload: Workload,
  target: Target,
  sources: Sources,
  signal: AbortSignal,
): Promise<number> {
  // What others left to be written must not be written meanwhile.
  await run('sync', [], signal)
  if (workload.isCold) await target.restart()
  // Also before writing: a cache full of what others wrote would slow down those that use it.
  await writeFile('/proc/sys/vm/drop_caches', '3')
  const result = await work(workload.command(sources, target.directory), signal)
  const amount = workload.unit === 'MB/s' ? result.bytes / MEGABYTE : result.files
  return amount / result.seconds
}
