// The control methods of scans.

import type { ControlTarget, ScanReport as ShownReport } from '../control/index.ts'
import { CofferError } from '../errors.ts'
import { CHECKS } from '../scan/index.ts'
import type { ScanReport } from '../scan/index.ts'
import { isoTime } from './control-views.ts'
import type { Job, JobBoard } from './job-board.ts'
import type { Storage } from './storage.ts'

type ScanMethods = Pick<
  ControlTarget,
  'maintenance.scan' | 'maintenance.scanStatus' | 'maintenance.scanReport' | 'maintenance.stopScan'
>

export function scanMethods({ scanner, groups }: Storage, jobs: JobBoard): ScanMethods {
  const nameOf = (id: number): string =>
    groups.list().find(group => group.id === id)?.name ?? `deleted-${id}`

  const show = (report: ScanReport): ShownReport => {
    const { group, startedSeconds, endedSeconds, checks, damagedBlocks, lockedGroups } = report
    return {
      ...report,
      group: group === null ? null : nameOf(group),
      startedAt: isoTime(startedSeconds),
      endedAt: isoTime(endedSeconds),
      findingCount: checks.reduce((sum, { count }) => sum + count, 0),
      checks: checks.map(({ check, count }) => ({ check, count, holds: CHECKS[check] })),
      damagedBlocks: damagedBlocks.map(each => ({ ...each, group: nameOf(each.group) })),
      lockedGroups: lockedGroups.map(nameOf),
    }
  }

  const lockedNames = (ids: readonly number[]): string =>
    ids.length === 0 ? '' : ` Locked: ${ids.map(nameOf).join(', ')}.`

  return {
    'maintenance.scan': async ({ group, data, wait }) => {
      const id = group === undefined ? undefined : groups.named(group).id
      const late: { job?: Job } = {}
      const { scan, done } = scanner.start({ readsData: data, group: id }, progress =>
        late.job?.report(progress),
      )
      const job = jobs.begin(
        'scan',
        `Scan ${scan.id} of ${data ? 'metadata and data' : 'metadata'}`,
      )
      late.job = job
      void done.then(({ outcome, text, lockedGroups }) => {
        if (outcome === 'failed') job.fail(new CofferError('SCAN_FAILED', text))
        else job.finish(`Scan ${scan.id} is ${outcome}. ${text}${lockedNames(lockedGroups)}`.trim())
      })
      if (wait) await done
      return { id: scan.id, job: job.id }
    },
    'maintenance.scanStatus': async () => {
      const { running, report } = scanner
      return {
        running:
          running === undefined
            ? null
            : {
                id: running.scan.id,
                readsData: running.scan.readsData,
                group: running.scan.group === null ? null : nameOf(running.scan.group),
                startedAt: isoTime(running.scan.startedSeconds),
                readBlocks: running.scan.readBlocks,
                findingCount: running.findingCount,
                ...running.progress,
              },
        last: report === undefined ? null : show(report),
      }
    },
    'maintenance.scanReport': async () => {
      const { report } = scanner
      return { report: report === undefined ? null : show(report) }
    },
    'maintenance.stopScan': async () => {
      const report = await scanner.stop()
      return { last: report === undefined ? null : show(report) }
    },
  }
}
