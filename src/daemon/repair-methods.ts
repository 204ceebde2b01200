// The control methods of repairs and of the quarantine.

import type { ControlTarget, QuarantineInfo, RepairInfo } from '../control/index.ts'
import { CofferError } from '../errors.ts'
import { plural, pluralWith } from '../plural.ts'
import type { RepairReport } from '../repair/index.ts'
import { namesOf } from '../repair/index.ts'
import { isoTime } from './control-views.ts'
import type { Job, JobBoard } from './job-board.ts'
import type { Storage } from './storage.ts'

type RepairMethods = Pick<
  ControlTarget,
  | 'maintenance.repair'
  | 'maintenance.planRepair'
  | 'maintenance.repairHistory'
  | 'maintenance.clearQuarantine'
>

/** Lines that a plan shows of each kind. */
const SHOWN_MAX = 1000

export function repairMethods(storage: Storage, jobs: JobBoard): RepairMethods {
  const { repairer, repairBook, groups } = storage
  const idOf = (name: string | undefined): number | undefined =>
    name === undefined ? undefined : groups.named(name).id
  const nameOf = (id: number): string =>
    groups.list().find(group => group.id === id)?.name ?? `deleted-${id}`

  const show = ({ group, startedSeconds, endedSeconds, ...report }: RepairReport): RepairInfo => ({
    ...report,
    group: group === null ? null : nameOf(group),
    startedAt: isoTime(startedSeconds),
    endedAt: endedSeconds === null ? null : isoTime(endedSeconds),
  })

  return {
    'maintenance.repair': async ({ group, wait }) => {
      const late: { job?: Job } = {}
      const { report, done } = repairer.start(idOf(group), progress => late.job?.report(progress))
      const job = jobs.begin('repair', `Repair ${report.id}`)
      late.job = job
      void done.then(ended => {
        if (ended.outcome === 'failed') job.fail(new CofferError('REPAIR_FAILED', ended.text))
        else job.finish(describeRepair(ended))
      })
      if (wait) await done
      return { id: report.id, job: job.id }
    },
    'maintenance.planRepair': async ({ group }) => {
      const { actions, left } = await repairer.plan(idOf(group))
      return {
        actions: actions.slice(0, SHOWN_MAX).map(({ check, text }) => ({ check, text })),
        actionCount: actions.length,
        left: left.slice(0, SHOWN_MAX),
        leftCount: left.length,
      }
    },
    'maintenance.repairHistory': async () => ({
      repairs: [...repairBook.history].reverse().map(show),
    }),
    'maintenance.clearQuarantine': async ({ deleteFiles, dryRun }) => {
      const { quarantine } = repairBook
      if (dryRun) return { ...quarantine, deletedFileCount: 0 }
      return clearQuarantine(storage, deleteFiles)
    },
  }
}

/** What a repair did, in one line. */
function describeRepair(report: RepairReport): string {
  const { id, outcome, text, doneCount, leftCount, quarantinedFileCount } = report
  return (
    `Repair ${id} is ${outcome}: ${plural(doneCount, 'thing')} repaired, ${leftCount} left alone, ` +
    `${plural(quarantinedFileCount, 'file')} with losses. ${text}`
  ).trim()
}

/** Damaged block files keep their quarantine, and their alerts: both end when nothing refers to the block file any more. */
async function clearQuarantine(storage: Storage, deletesFiles: boolean): Promise<QuarantineInfo> {
  const { repairBook, repairer, damage, alerts, metadata, alerting } = storage
  if (repairer.isRunning) {
    throw new CofferError('REPAIR_BUSY', 'A repair is running; see "coffer jobs show".')
  }
  // A file that has been written again, or healed, since then is no quarantined one any more.
  await damage.look()
  const { quarantine } = repairBook
  const damaged = quarantine.files.filter(({ inode }) =>
    alerts.isRaised('DAMAGED_FILE', String(inode)),
  )
  const deletedFileCount = deletesFiles
    ? await deleteFiles(storage, new Set(damaged.map(({ inode }) => inode)))
    : 0
  for (const { inode } of damaged) alerts.clear('DAMAGED_FILE', String(inode))
  repairBook.quarantine = { files: [], fileCount: 0, blocks: [] }
  const text = `The quarantine was cleared: ${pluralWith(quarantine.fileCount, 'file', ['was', 'were'])} listed, ${pluralWith(deletedFileCount, 'name', ['was', 'were'])} deleted.`
  alerting.events.record('QUARANTINE_CLEARED', 'info', text)
  await metadata.commit()
  return { ...quarantine, deletedFileCount }
}

async function deleteFiles(
  { metadata, vfs }: Storage,
  inodes: ReadonlySet<number>,
): Promise<number> {
  await metadata.commit()
  const snapshot = metadata.snapshot()
  let deleted = 0
  try {
    for (const name of await namesOf(snapshot, inodes, async () => undefined)) {
      if (vfs.mending.unlink(name)) deleted++
    }
  } finally {
    await snapshot.close()
  }
  return deleted
}
