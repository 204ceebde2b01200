// Daily backups of one machine: each changes some of the data, and the last must be restored about as fast as the first,
// although its chunks lie where many days have left them.

import { join } from 'node:path'
import { CofferTarget } from '../coffer-target.ts'
import type { Generation } from '../io/generations.ts'
import type { Sizes } from '../options.ts'
import {
  megabytesPerSecond,
  ratioRemarks,
  targetGroup,
  type TargetRun,
  type Workload,
} from '../target-group.ts'

const CHANGED = 0.02
const MEGABYTE = 1e6
/** The middle one counts: reads take a second or so, and one disk is not as fast twice. */
const READS = 3

async function generationOf(run: TargetRun, sizes: Sizes, number: number): Promise<Generation> {
  const source = await run.context.sources.random(sizes.generationBytes, run.context.signal)
  return { source, lengthBytes: sizes.generationBytes, number, changed: CHANGED }
}

const pathOf = (run: TargetRun, number: number): string =>
  join(run.target.directory, `day-${number}`)

function writing(id: string, label: string, first: number, last: number, sizes: Sizes): Workload {
  return {
    id,
    label,
    unit: 'MB/s',
    memory: 'dropped',
    measure: async run => {
      let bytes = 0
      let seconds = 0
      for (let number = first; number <= last; number += 1) {
        const generation = await generationOf(run, sizes, number)
        const path = pathOf(run, number)
        const result = await run.work({ kind: 'write-generation', generation, path })
        bytes += result.bytes
        seconds += result.seconds
      }
      return bytes / MEGABYTE / seconds
    },
  }
}

function reading(id: string, number: number, sizes: Sizes): Workload {
  return {
    id,
    label: `read generation ${number}, cold`,
    unit: 'MB/s',
    memory: 'dropped',
    measure: async run => {
      const path = pathOf(run, number)
      const speeds: number[] = []
      for (let round = 0; round < READS; round += 1) {
        await run.restart()
        speeds.push(megabytesPerSecond(await run.work({ kind: 'read', path })))
      }
      const generation = await generationOf(run, sizes, number)
      await run.check({ kind: 'compare-generation', generation, path })
      return speeds.toSorted((a, b) => a - b)[Math.floor(READS / 2)] ?? Number.NaN
    },
  }
}

const storing = (sizes: Sizes): Workload => ({
  id: 'stored',
  label: `stored of ${((sizes.generations * sizes.generationBytes) / MEGABYTE).toFixed(0)} MB`,
  unit: 'MB',
  memory: 'dropped',
  measure: async ({ target }) => {
    if (!(target instanceof CofferTarget)) return Number.NaN
    return (await target.storedBytes()) / MEGABYTE
  },
})

export const generations = targetGroup({
  name: 'generations',
  title: 'Daily backups with 2 % change',
  runSecondsMax: 80,
  columns: ['coffer', 'sealed'],
  workloads: sizes => [
    writing('write-first', 'write generation 1', 1, 1, sizes),
    writing(
      'write-rest',
      `write generations 2 to ${sizes.generations}`,
      2,
      sizes.generations,
      sizes,
    ),
    storing(sizes),
    reading('read-first', 1, sizes),
    reading('read-last', sizes.generations, sizes),
  ],
  remarks: rows =>
    ratioRemarks(rows, 'read-last', 'read-first', 'cold read of the last / the first'),
})
