// The image of a virtual machine: written, overwritten in random places with an fsync now and then, read.

import { join } from 'node:path'
import type { Content } from '../io/pieces.ts'
import type { Sizes } from '../options.ts'
import { megabytesPerSecond, perSecond, targetGroup, type Workload } from '../target-group.ts'
import type { TargetRun } from '../target-group.ts'

const KIBIBYTE = 1024
/** Repeated with stamps it gives an image of any size. */
const SOURCE_BYTES = 256 * KIBIBYTE * KIBIBYTE
const FSYNC_EVERY = 1000
/** Some seconds for each target. */
const SECONDS_MAX = 8
const IMAGE = 'image'
const JOURNAL = 'journal'

async function contentOf(run: TargetRun, sizes: Sizes): Promise<Content> {
  const bytes = Math.min(SOURCE_BYTES, sizes.imageBytes)
  const source = await run.context.sources.random(bytes, run.context.signal)
  return { source, startBytes: 0, lengthBytes: sizes.imageBytes, stamp: 1 }
}

const imageOf = (run: TargetRun): string => join(run.target.directory, IMAGE)
/** Each run has an image of its own, and so a journal. */
const journalOf = (run: TargetRun): string =>
  join(run.scratch, `${JOURNAL}-${run.context.runIndex}`)

function overwriting(kibibytes: number, count: number, seed: number, sizes: Sizes): Workload {
  return {
    id: `overwrite-${kibibytes}`,
    label: `overwrite ${kibibytes} KiB in random places, fsync every ${FSYNC_EVERY}`,
    unit: 'writes/s',
    memory: 'dropped',
    measure: async run => {
      const { source } = await contentOf(run, sizes)
      return perSecond(
        await run.work({
          kind: 'overwrite',
          path: imageOf(run),
          source,
          journal: journalOf(run),
          writeBytes: kibibytes * KIBIBYTE,
          count,
          fsyncEvery: FSYNC_EVERY,
          secondsMax: SECONDS_MAX,
          seed,
        }),
      )
    },
  }
}

const writing = (sizes: Sizes): Workload => ({
  id: 'write-image',
  label: 'write the image',
  unit: 'MB/s',
  memory: 'dropped',
  measure: async run => {
    const content = await contentOf(run, sizes)
    return megabytesPerSecond(await run.work({ kind: 'write', content, path: imageOf(run) }))
  },
})

const reading = (sizes: Sizes): Workload => ({
  id: 'read-image',
  label: 'read the overwritten image, cold',
  unit: 'MB/s',
  memory: 'cold',
  measure: async run => {
    const path = imageOf(run)
    const result = await run.work({ kind: 'read', path })
    const content = await contentOf(run, sizes)
    await run.check({ kind: 'compare-image', content, path, journal: journalOf(run) })
    return megabytesPerSecond(result)
  },
})

export const image = targetGroup({
  name: 'image',
  title: 'The image of a virtual machine',
  runSecondsMax: 170,
  columns: ['coffer', 'sealed', 'gocryptfs', 'cryfs', 'plain'],
  slowColumns: ['cryfs'],
  workloads: sizes => [
    writing(sizes),
    overwriting(4, 10_000, 1, sizes),
    overwriting(64, 4000, 2, sizes),
    reading(sizes),
  ],
})
