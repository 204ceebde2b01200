// Several streams at once, as many clients write and restore: together they move the same amount, however many they are.

import { join } from 'node:path'
import type { Content } from '../io/pieces.ts'
import type { Sizes } from '../options.ts'
import { targetGroup, type TargetRun, type Workload } from '../target-group.ts'
import type { Task } from '../tasks.ts'

const COUNTS = [1, 2, 4, 8]
const MEGABYTE = 1e6
/** Until then all workers have started, also on a busy machine. */
const START_MS = 800

/** Each stream of each count has data of its own. */
async function contentOf(
  run: TargetRun,
  sizes: Sizes,
  count: number,
  index: number,
): Promise<Content> {
  const source = await run.context.sources.random(sizes.streamsBytes, run.context.signal)
  const lengthBytes = sizes.streamsBytes / count
  return { source, startBytes: index * lengthBytes, lengthBytes, stamp: count * 16 + index }
}

const pathOf = (run: TargetRun, count: number, index: number): string =>
  join(run.target.directory, `stream-${count}-${index}`)

/** Returns the throughput of all of them, from the first one's beginning to the last one's end. */
async function together(run: TargetRun, tasks: readonly Task[]): Promise<number> {
  const options = { startAtMs: Date.now() + START_MS }
  const results = await Promise.all(tasks.map(task => run.work(task, options)))
  const bytes = results.reduce((sum, result) => sum + result.bytes, 0)
  const startedMs = Math.min(...results.map(result => result.startedMs))
  const endedMs = Math.max(...results.map(result => result.endedMs))
  return bytes / MEGABYTE / ((endedMs - startedMs) / 1000)
}

const nameOf = (count: number): string => (count === 1 ? '1 stream' : `${count} streams`)

function writing(count: number, sizes: Sizes): Workload {
  return {
    id: `write-${count}`,
    label: `write ${nameOf(count)}`,
    unit: 'MB/s',
    memory: 'dropped',
    measure: async run => {
      const tasks: Task[] = []
      for (let index = 0; index < count; index += 1) {
        const content = await contentOf(run, sizes, count, index)
        tasks.push({ kind: 'write', content, path: pathOf(run, count, index) })
      }
      return together(run, tasks)
    },
  }
}

function reading(count: number, sizes: Sizes): Workload {
  return {
    id: `read-${count}`,
    label: `read ${nameOf(count)}, cold`,
    unit: 'MB/s',
    memory: 'cold',
    measure: async run => {
      const paths = Array.from({ length: count }, (_, index) => pathOf(run, count, index))
      const speed = await together(
        run,
        paths.map(path => ({ kind: 'read', path })),
      )
      for (const [index, path] of paths.entries()) {
        await run.check({
          kind: 'compare',
          content: await contentOf(run, sizes, count, index),
          path,
        })
      }
      return speed
    },
  }
}

export const streams = targetGroup({
  name: 'streams',
  title: 'Parallel streams',
  runSecondsMax: 100,
  columns: ['coffer', 'sealed', 'gocryptfs', 'cryfs', 'plain'],
  slowColumns: ['cryfs'],
  workloads: sizes => [
    ...COUNTS.map(count => writing(count, sizes)),
    ...COUNTS.map(count => reading(count, sizes)),
  ],
})
