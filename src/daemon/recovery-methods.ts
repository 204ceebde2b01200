// The control method that makes the chunk index again.

import { PassStopped } from '../cleaner/index.ts'
import { plural, pluralWith } from '../plural.ts'
import type { ControlTarget } from '../control/index.ts'
import { CofferError } from '../errors.ts'
import { rebuildIndex } from '../recovery/index.ts'
import type { RebuildCounts } from '../recovery/index.ts'
import type { JobBoard } from './job-board.ts'
import type { Storage } from './storage.ts'

type RecoveryMethods = Pick<ControlTarget, 'maintenance.rebuildIndex'>

export function recoveryMethods(storage: Storage, jobs: JobBoard): RecoveryMethods {
  const { cleaner, groups, encryption, alerting } = storage
  return {
    'maintenance.rebuildIndex': async ({ group, dryRun }) => {
      const chosen = group === undefined ? groups.list() : [groups.named(group)]
      for (const { id, name } of chosen) {
        if (!encryption.isLocked(id)) continue
        const text = `The storage group ${name} is locked: "coffer storage-group unlock ${name}" first, or name another one with --group.`
        throw new CofferError('GROUP_LOCKED', text)
      }
      cleaner.checkFree()
      const title = `Chunk index of ${group ?? 'all storage groups'}${dryRun ? ' (dry run)' : ''}`
      const job = jobs.begin('rebuild-index', title)
      const rebuilding = cleaner.exclusively(pace =>
        rebuildIndex(storage.rebuildParts, {
          groups: chosen.map(({ id }) => id),
          isDryRun: dryRun,
          pace,
          progress: (phase, doneBytes, totalBytes) => job.report({ phase, doneBytes, totalBytes }),
        }),
      )
      rebuilding.then(
        counts => {
          const text = describe(counts, dryRun)
          if (!dryRun) alerting.events.record('INDEX_REBUILT', 'info', `${title}. ${text}`)
          job.finish(text)
        },
        (error: unknown) => job.fail(error instanceof PassStopped ? stopped() : error),
      )
      return { job: job.id }
    },
  }
}

function stopped(): CofferError {
  const text =
    'The rebuild was stopped: the daemon ends, or the cleaner has to make room. Run it again.'
  return new CofferError('REBUILD_STOPPED', text)
}

function describe(counts: RebuildCounts, isDryRun: boolean): string {
  const { blocks, chunks, added, corrected, removed, correctedRecords, damagedRegions } = counts
  const changed = isDryRun ? 'would be' : added === 1 ? 'was' : 'were'
  return (
    `${plural(blocks, 'block file')} with ${plural(chunks, 'chunk')} ${blocks === 1 ? 'was' : 'were'} read; ` +
    `${plural(added, 'entry', 'entries')} ${changed} added, ${corrected} corrected, ` +
    `${removed} removed, ${plural(correctedRecords, 'block record')} corrected; ` +
    `${pluralWith(damagedRegions, 'region', ['is', 'are'])} damaged.`
  )
}
