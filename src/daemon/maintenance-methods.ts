// The control methods of the cleaner.

import type { PassReport } from '../cleaner/index.ts'
import type { CleanerPass, ControlTarget } from '../control/index.ts'
import { CofferError } from '../errors.ts'
import type { Job, JobBoard } from './job-board.ts'
import type { Storage } from './storage.ts'

type MaintenanceMethods = Pick<
  ControlTarget,
  | 'maintenance.reclaimSpace'
  | 'maintenance.planReclaimSpace'
  | 'maintenance.stopReclaimSpace'
  | 'stats.cleaner'
>

/** A plan of a large store is long: nobody reads more, and a reply has 1 MiB. */
const SHOWN_BLOCKS_MAX = 1000
const MS_PER_SECOND = 1000

export function maintenanceMethods(
  storage: Storage,
  jobs: JobBoard,
  now: () => Date,
): MaintenanceMethods {
  const { cleaner, groups } = storage
  const idOf = (name: string | undefined): number | undefined =>
    name === undefined ? undefined : groups.named(name).id
  const nameOf = (id: number): string =>
    groups.list().find(group => group.id === id)?.name ?? `deleted-${id}`
  const show = ({
    counts,
    startedSeconds,
    endedSeconds,
    group,
    ...rest
  }: PassReport): CleanerPass => ({
    ...rest,
    ...counts,
    group: group === null ? null : nameOf(group),
    startedAt: isoTime(startedSeconds),
    endedAt: endedSeconds === null ? null : isoTime(endedSeconds),
  })
  return {
    'maintenance.reclaimSpace': async ({ group, wait }) => {
      const id = idOf(group)
      const late: { job?: Job } = {}
      const { report, done } = cleaner.start('manual', id, progress => late.job?.report(progress))
      const job = jobs.begin('reclaim-space', `Pass ${report.id} of the cleaner`)
      late.job = job
      void done.then(({ outcome, text }) => {
        if (outcome === 'failed') job.fail(new CofferError('PASS_FAILED', text))
        else job.finish(`Pass ${report.id} is ${outcome}. ${text}`.trim())
      })
      return { ...show(wait ? await done : report), job: job.id }
    },
    'maintenance.planReclaimSpace': async ({ group }) => {
      const { blocks, reclaimableBytes } = await cleaner.plan(idOf(group))
      return {
        reclaimableBytes,
        blockCount: blocks.length,
        blocks: blocks
          .slice(0, SHOWN_BLOCKS_MAX)
          .map(planned => ({ ...planned, group: nameOf(planned.group) })),
      }
    },
    'maintenance.stopReclaimSpace': async () => {
      const report = await cleaner.stop()
      return { pass: report === undefined ? null : show(report) }
    },
    'stats.cleaner': async () => {
      const { running, passes, lastFullSeconds, debtSinceSeconds } = cleaner
      return {
        running: running === undefined ? null : showRunning(running.report, running.progress),
        lastFullAt: lastFullSeconds === 0 ? null : isoTime(lastFullSeconds),
        debtSince: debtSinceSeconds === 0 ? null : isoTime(debtSinceSeconds),
        history: passes.map(show).reverse(),
      }
    },
  }

  function showRunning(
    report: PassReport,
    progress: NonNullable<typeof cleaner.running>['progress'],
  ) {
    const { doneBytes, totalBytes } = progress
    const elapsedSeconds = now().getTime() / MS_PER_SECOND - report.startedSeconds
    const etaSeconds =
      doneBytes === 0 ? null : Math.max(0, (elapsedSeconds * (totalBytes - doneBytes)) / doneBytes)
    return { pass: show(report), ...progress, etaSeconds }
  }
}

function isoTime(seconds: number): string {
  return new Date(seconds * MS_PER_SECOND).toISOString()
}
