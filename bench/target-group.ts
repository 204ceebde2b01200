// Groups whose columns are mounted filesystems: every workload is measured on each of them in turn, within one run, because
// the disks and processors of a machine differ from hour to hour more than what is compared here.

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CofferTarget } from './coffer-target.ts'
import type { Group, Row, RowHead, RunContext } from './groups.ts'
import type { Sizes } from './options.ts'
import { run, script } from './processes.ts'
import { medianRatio } from './medians.ts'
import { ProcessorClock } from './processor-clock.ts'
import {
  CryfsTarget,
  GocryptfsTarget,
  NothingTarget,
  PlainTarget,
  type Target,
  type TargetName,
} from './targets.ts'
import type { Task, TaskOptions, TaskResult } from './tasks.ts'

const MEGABYTE = 1e6

/** What a workload finds: one target, in the state in which the workloads before left it. */
export interface TargetRun {
  readonly target: Target
  readonly context: RunContext
  /** in memory, of this target alone */
  readonly scratch: string
  readonly work: (task: Task, options?: TaskOptions) => Promise<TaskResult>
  /** as `work`, when the target keeps what is written */
  readonly check: (task: Task) => Promise<void>
  /** The target's process begins again, and the kernel has forgotten everything. */
  readonly restart: () => Promise<void>
}

export interface Workload extends RowHead {
  /**
   * what is in memory before: `cold` nothing, and the target's process has begun again; `dropped` nothing of the kernel's,
   * so that a cache full of what others wrote doesn't slow down those that use it; `warm` what the workload before left
   */
  readonly memory: 'cold' | 'dropped' | 'warm'
  /** Returns how it went, in the row's unit. @throws also when what was read isn't what was written */
  readonly measure: (targetRun: TargetRun) => Promise<number>
}

interface TargetGroup extends Pick<
  Group,
  'name' | 'title' | 'runSecondsMax' | 'slowColumns' | 'remarks'
> {
  readonly columns: readonly TargetName[]
  readonly workloads: (sizes: Sizes) => readonly Workload[]
}

export function targetGroup({ workloads, ...group }: TargetGroup): Group {
  const rows = (sizes: Sizes): readonly RowHead[] =>
    workloads(sizes).map(({ id, label, unit }) => ({ id, label, unit }))
  return { ...group, rows, run: context => measureTargets(workloads(context.sizes), context) }
}

export const megabytesPerSecond = ({ bytes, seconds }: TaskResult): number =>
  bytes / MEGABYTE / seconds

export const perSecond = ({ count, seconds }: TaskResult): number => count / seconds

/** Does I/O in a process of its own. */
export async function work(
  task: Task,
  signal: AbortSignal,
  options: TaskOptions = {},
): Promise<TaskResult> {
  const args = [script('io-worker.js'), JSON.stringify(task), JSON.stringify(options)]
  return JSON.parse(await run(process.execPath, args, { signal })) as TaskResult
}

/** What is dirty is written first, or it would stay. */
export async function dropCaches(): Promise<void> {
  await run('sync', [])
  await writeFile('/proc/sys/vm/drop_caches', '3')
}

export async function restart(target: Target): Promise<void> {
  await target.stop()
  await target.resume()
  await dropCaches()
}

function makeTarget(name: string, base: string): Target {
  const directory = join(base, name)
  switch (name) {
    case 'coffer':
    case 'sealed':
      return new CofferTarget(directory, name)
    case 'gocryptfs':
      return new GocryptfsTarget(directory)
    case 'cryfs':
      return new CryfsTarget(directory)
    case 'nothing':
      return new NothingTarget(directory)
    case 'plain':
      return new PlainTarget(directory)
    default:
      throw new Error(`there is no target ${name}`)
  }
}

/** @param clock runs until something is checked, or the target begins again */
function targetRun(target: Target, context: RunContext, clock?: ProcessorClock): TargetRun {
  const { signal, sources } = context
  const perform = async (task: Task, options?: TaskOptions): Promise<TaskResult> => {
    const result = await work(task, signal, options)
    clock?.worked(result.startedMs, result.endedMs)
    return result
  }
  return {
    target,
    context,
    scratch: join(sources.directory, target.name),
    work: perform,
    check: async task => {
      await clock?.stop()
      if (target.keepsData) await work(task, signal)
    },
    restart: async () => {
      await clock?.stop()
      await restart(target)
    },
  }
}

async function measureTargets(workloads: readonly Workload[], context: RunContext): Promise<void> {
  const targets = context.columns.map(name => makeTarget(name, context.base))
  try {
    for (const target of targets) {
      context.signal.throwIfAborted()
      await target.start()
      await mkdir(join(context.sources.directory, target.name), { recursive: true })
    }
    const first = context.runIndex % Math.max(1, targets.length)
    const order = [...targets.slice(first), ...targets.slice(0, first)]
    for (const workload of workloads) {
      for (const target of order) {
        context.signal.throwIfAborted()
        await measureOne(workload, target, context)
      }
    }
  } finally {
    // What one of them can't remove must not keep the others.
    await Promise.allSettled(targets.map(target => target.remove()))
  }
}

async function measureOne(workload: Workload, target: Target, context: RunContext): Promise<void> {
  const place = { row: workload.id, column: target.name }
  try {
    if (workload.memory === 'cold') await restart(target)
    else if (workload.memory === 'dropped') await dropCaches()
    // What others left to be written must not be written meanwhile.
    else await run('sync', [])
    await target.forgetPeakMemory?.()
    const pid = await target.daemonPid?.()
    const clock = pid === undefined ? undefined : await ProcessorClock.start(pid)
    const value = await workload.measure(targetRun(target, context, clock))
    const processors = await clock?.stop()
    context.record({ ...place, value, peakBytes: await target.peakMemoryBytes?.(), processors })
  } catch (error) {
    if (context.signal.aborted) throw error
    context.fail({ ...place, message: error instanceof Error ? error.message : String(error) })
  }
}

/** The middle of the ratios of two rows within each run, as a remark for each of coffer's columns. */
export function ratioRemarks(
  rows: readonly Row[],
  above: string,
  below: string,
  what: string,
): string[] {
  const find = (id: string): Row | undefined => rows.find(row => row.id === id)
  return ['coffer', 'sealed'].flatMap(column => {
    const top = find(above)?.samples[column] ?? []
    const bottom = find(below)?.samples[column] ?? []
    const ratio = medianRatio(top, bottom)
    if (Number.isNaN(ratio)) return []
    return [`${what}, ${column === 'sealed' ? 'encrypted' : 'clear'}: ${ratio.toFixed(2)}`]
  })
}
