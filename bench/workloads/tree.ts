// A tree of many small files, like the sources of a kernel, and what programs do that look through it.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Unit } from '../groups.ts'
import type { Sizes } from '../options.ts'
import { run as runProgram, shell } from '../processes.ts'
import { perSecond, targetGroup, work, type TargetRun, type Workload } from '../target-group.ts'

const SOURCE_BYTES = 256 * 1024 * 1024
const UNIT: Unit = 'files/s'

type Memory = Workload['memory']
type TreeTask = 'create-tree' | 'stat-tree' | 'read-tree' | 'delete-tree'

const treeOf = (run: TargetRun): string => join(run.target.directory, 'tree')

const sourceOf = ({ context }: TargetRun): Promise<string> =>
  context.sources.tar(SOURCE_BYTES, context.signal)

function doing(kind: TreeTask, label: string, memory: Memory, sizes: Sizes): Workload {
  return {
    id: `${kind}-${memory}`,
    label,
    unit: UNIT,
    memory,
    measure: async run => {
      const source = await sourceOf(run)
      return perSecond(await run.work({ kind, directory: treeOf(run), count: sizes.files, source }))
    },
  }
}

/** Times a program. @param isRight whether what it printed is */
async function timed(
  sizes: Sizes,
  act: () => Promise<string>,
  isRight: (output: string) => boolean,
): Promise<number> {
  const startedMs = performance.now()
  const output = await act()
  const seconds = (performance.now() - startedMs) / 1000
  if (!isRight(output)) throw new Error(`it printed ${JSON.stringify(output.slice(0, 500))}`)
  return sizes.files / seconds
}

function finding(memory: Memory, sizes: Sizes): Workload {
  return {
    id: `find-${memory}`,
    label: `find, ${memory}`,
    unit: UNIT,
    memory,
    measure: run =>
      timed(
        sizes,
        () => shell('find "$1" -type f | wc -l', [treeOf(run)], { signal: run.context.signal }),
        output => Number(output) === sizes.files,
      ),
  }
}

function listing(memory: Memory, sizes: Sizes): Workload {
  return {
    id: `ls-${memory}`,
    label: `ls -lR, ${memory}`,
    unit: UNIT,
    memory,
    measure: run =>
      timed(
        sizes,
        () =>
          shell('LC_ALL=C ls -lR "$1" | grep -c "^-.* Nov .*\\.c$"', [treeOf(run)], {
            signal: run.context.signal,
          }),
        output => Number(output) === sizes.files,
      ),
  }
}

/** The same tree in memory, which the target is compared with. */
async function referenceOf(run: TargetRun, sizes: Sizes): Promise<string> {
  const { sources, signal } = run.context
  const directory = join(sources.directory, 'tree')
  const source = await sourceOf(run)
  if (!existsSync(directory)) {
    await work({ kind: 'create-tree', directory, count: sizes.files, source }, signal)
  }
  return directory
}

function synchronizing(memory: Memory, sizes: Sizes): Workload {
  return {
    id: `rsync-${memory}`,
    label: `rsync -a --dry-run, ${memory}`,
    unit: UNIT,
    memory,
    measure: async run => {
      const reference = await referenceOf(run, sizes)
      const options = ['-a', '--omit-dir-times', '--dry-run', '--itemize-changes']
      return timed(
        sizes,
        () =>
          runProgram('rsync', [...options, `${treeOf(run)}/`, `${reference}/`], {
            signal: run.context.signal,
          }),
        // Nothing to do: names, sizes, times, modes and owners are those of the reference.
        output => output === '',
      )
    },
  }
}

export const tree = targetGroup({
  name: 'tree',
  title: 'A tree of small files',
  runSecondsMax: 250,
  columns: ['coffer', 'sealed', 'gocryptfs', 'cryfs', 'plain'],
  slowColumns: ['cryfs'],
  workloads: sizes => [
    doing('create-tree', 'create, with content and times', 'dropped', sizes),
    doing('stat-tree', 'stat, warm', 'warm', sizes),
    finding('warm', sizes),
    listing('warm', sizes),
    synchronizing('warm', sizes),
    finding('cold', sizes),
    listing('cold', sizes),
    synchronizing('cold', sizes),
    doing('stat-tree', 'stat, cold', 'cold', sizes),
    doing('read-tree', 'read, cold', 'cold', sizes),
    doing('read-tree', 'read again', 'warm', sizes),
    doing('delete-tree', 'delete', 'warm', sizes),
  ],
})
