// Where the processors' time goes while something is measured, by kind of thread: the daemon's own code and the kernel's on
// its behalf.

import { readdir, readFile } from 'node:fs/promises'

/** sysconf(_SC_CLK_TCK), which is 100 on every Linux. */
const TICKS_PER_SECOND = 100
/** In /proc/PID/task/TID/stat behind the name: own code and the kernel's. */
const USER_FIELD = 11
const KERNEL_FIELD = 12

export const THREAD_KINDS = ['JavaScript', 'device', 'data path', 'syncs', 'others'] as const
export type ThreadKind = (typeof THREAD_KINDS)[number]

/** Of one processor, so that all of them together may be more than 1. */
export type ProcessorShares = Readonly<Record<ThreadKind, number>>

/** The threads that the addon names; all others are V8's, libuv's and LevelDB's. */
const NAMES: Readonly<Record<string, ThreadKind>> = {
  'coffer-fuse': 'device',
  'coffer-work': 'data path',
  'coffer-sync': 'syncs',
}

/** Seconds since each thread began. */
async function threadSeconds(pid: number): Promise<Map<string, [ThreadKind, number]>> {
  const threads = new Map<string, [ThreadKind, number]>()
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    // One that ends meanwhile is left out.
    const stat = await readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8').catch(() => undefined)
    if (stat === undefined) continue
    const end = stat.lastIndexOf(')')
    const fields = stat.slice(end + 2).split(' ')
    const ticks = Number(fields[USER_FIELD]) + Number(fields[KERNEL_FIELD])
    const name = stat.slice(stat.indexOf('(') + 1, end)
    const kind = Number(thread) === pid ? 'JavaScript' : (NAMES[name] ?? 'others')
    threads.set(thread, [kind, ticks / TICKS_PER_SECOND])
  }
  return threads
}

export class ProcessorClock {
  readonly #pid: number
  readonly #before: Map<string, [ThreadKind, number]>
  readonly #startedMs = performance.now()
  #window: { startedMs: number; endedMs: number } | undefined
  #stopping: Promise<ProcessorShares | undefined> | undefined
  #hasMissed = false

  private constructor(pid: number, before: Map<string, [ThreadKind, number]>) {
    this.#pid = pid
    this.#before = before
  }

  static async start(pid: number): Promise<ProcessorClock> {
    return new ProcessorClock(pid, await threadSeconds(pid))
  }

  /**
   * What is measured took place from one moment to another; without it, from the start to the stop. After the stop it is known
   * that the clock didn't see all.
   */
  worked(startedMs: number, endedMs: number): void {
    if (this.#stopping !== undefined) this.#hasMissed = true
    const window = (this.#window ??= { startedMs, endedMs })
    window.startedMs = Math.min(window.startedMs, startedMs)
    window.endedMs = Math.max(window.endedMs, endedMs)
  }

  /** What was measured is over. The first stop counts. @returns undefined when it has ended before, or gone on since */
  async stop(): Promise<ProcessorShares | undefined> {
    this.#stopping ??= this.#stop()
    const shares = await this.#stopping
    return this.#hasMissed ? undefined : shares
  }

  async #stop(): Promise<ProcessorShares | undefined> {
    const endedMs = performance.now()
    const after = await threadSeconds(this.#pid).catch(() => undefined)
    if (after === undefined) return undefined
    const window = this.#window ?? { startedMs: this.#startedMs, endedMs }
    const seconds = (window.endedMs - window.startedMs) / 1000
    const shares = Object.fromEntries(THREAD_KINDS.map(kind => [kind, 0])) as Record<
      ThreadKind,
      number
    >
    for (const [thread, [kind, total]] of after) {
      shares[kind] += (total - (this.#before.get(thread)?.[1] ?? 0)) / seconds
    }
    return shares
  }
}
