// Big files and small ones: later workloads read what earlier ones wrote.

import { join } from 'node:path'
import { megabytesPerSecond, perSecond, targetGroup, type Workload } from '../target-group.ts'
import type { TargetRun } from '../target-group.ts'
import type { Content } from '../io/pieces.ts'
import type { Sizes } from '../options.ts'

/** Small files as mail folders and sources have them. The first ones show what a program takes that has just begun, */
const FIRST_FILES = 2000
/** and these what it takes otherwise. */
const MORE_FILES = 20_000
const SMALL_FILE_BYTES = 5000

type Kind = 'random' | 'tar'

async function contentOf(
  kind: Kind,
  { context }: TargetRun,
  sizes: Sizes,
  stamp = 0,
): Promise<Content> {
  const { sources, signal } = context
  const source = await sources[kind](sizes.dataBytes, signal)
  return { source, startBytes: 0, lengthBytes: sizes.dataBytes, stamp }
}

/** @param stamp another one makes other data of it */
function writing(id: string, label: string, kind: Kind, sizes: Sizes, stamp = 0): Workload {
  return {
    id,
    label,
    unit: 'MB/s',
    memory: 'dropped',
    measure: async run => {
      const content = await contentOf(kind, run, sizes, stamp)
      return megabytesPerSecond(
        await run.work({ kind: 'write', content, path: join(run.target.directory, id) }),
      )
    },
  }
}

/** @param written by which workload, with that stamp. It must not have been read since. */
function reading(
  id: string,
  label: string,
  written: string,
  kind: Kind,
  sizes: Sizes,
  { stamp = 0, memory = 'cold' }: { stamp?: number; memory?: Workload['memory'] } = {},
): Workload {
  return {
    id,
    label,
    unit: 'MB/s',
    memory,
    measure: async run => {
      const path = join(run.target.directory, written)
      const result = await run.work({ kind: 'read', path })
      await run.check({ kind: 'compare', content: await contentOf(kind, run, sizes, stamp), path })
      return megabytesPerSecond(result)
    },
  }
}

function creating(id: string, label: string, count: number): Workload {
  return {
    id,
    label: `${label} of ${SMALL_FILE_BYTES / 1000} KB`,
    unit: 'files/s',
    memory: 'dropped',
    measure: async run => {
      const { directory } = run.target
      const prefix = join(directory, id)
      return perSecond(await run.work({ kind: 'small', prefix, count, bytes: SMALL_FILE_BYTES }))
    },
  }
}

const workloads = (sizes: Sizes): readonly Workload[] => [
  writing('write-random', 'write random data', 'random', sizes),
  writing('write-more', 'write other random data', 'random', sizes, 1),
  writing('write-tar', 'write a tar', 'tar', sizes),
  writing('write-again', 'write the tar again', 'tar', sizes),
  reading('read-random', 'read random data, cold', 'write-random', 'random', sizes),
  // Nothing of it is in anybody's memory either; but the daemon has been at work since the last workload.
  reading('read-more', 'then the other, cold too', 'write-more', 'random', sizes, {
    stamp: 1,
    memory: 'dropped',
  }),
  reading('read-tar', 'read the tar, cold', 'write-tar', 'tar', sizes),
  creating('first-files', `create ${FIRST_FILES} files`, FIRST_FILES),
  creating('small-files', `create ${MORE_FILES} more`, MORE_FILES),
]

export const basic = targetGroup({
  name: 'basic',
  title: 'Big files and small ones',
  runSecondsMax: 110,
  columns: ['coffer', 'sealed', 'gocryptfs', 'cryfs', 'nothing', 'plain'],
  slowColumns: ['cryfs'],
  workloads,
})

/** Its 16 KiB files would make the others wait for minutes. */
const CRYFS_SHARE = 8

export const basicWithCryfs = targetGroup({
  name: 'cryfs',
  title: 'The same beside cryfs, with an eighth of the data',
  runSecondsMax: 80,
  columns: ['sealed', 'gocryptfs', 'cryfs'],
  workloads: sizes => workloads({ ...sizes, dataBytes: sizes.dataBytes / CRYFS_SHARE }),
})
