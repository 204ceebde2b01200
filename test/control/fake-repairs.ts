// A repair that has mended something and left something, for tests of commands and of the protocol.

import type { ControlTarget } from '../../src/control/index.ts'
import type { JobBoard } from '../../src/daemon/job-board.ts'

const done = [
  {
    check: 'inode-links',
    text: 'Correct what inode 7 counts by -1 links. (backups/monday.tar)',
  },
]
const left = [
  {
    check: 'extent-block',
    text: 'Inode 9, page 0 of 4 MiB, refers to block file 42, which has no record.',
    why: 'The data is not there; reading it gives EIO, and the file is quarantined.',
  },
]

const repair = {
  id: 3,
  group: null,
  startedAt: '2026-01-02T03:04:05.000Z',
  endedAt: '2026-01-02T03:05:05.000Z',
  outcome: 'incomplete' as const,
  text: '',
  rounds: 2,
  doneCount: 1,
  done,
  leftCount: 1,
  left,
  quarantinedFileCount: 1,
  backups: ['20260102T030405Z-3-1.backup'],
}

const quarantine = {
  files: [
    {
      inode: 9,
      path: 'backups/tuesday.tar',
      ranges: [{ startBytes: 4096, lengthBytes: 262_144 }],
      rangeCount: 1,
      lostBytes: 262_144,
    },
  ],
  fileCount: 1,
  blocks: [{ block: 42, reason: 'the file is missing' }],
}

type RepairMethods = Pick<
  ControlTarget,
  | 'maintenance.repair'
  | 'maintenance.planRepair'
  | 'maintenance.repairHistory'
  | 'maintenance.clearQuarantine'
>

export function fakeRepairs(board: JobBoard): RepairMethods {
  return {
    'maintenance.repair': async () => {
      const job = board.begin('repair', 'Repair 3')
      job.report({ phase: 'names', doneBytes: 0, totalBytes: 0 })
      job.finish('Repair 3 is incomplete.')
      return { id: 3, job: job.id }
    },
    'maintenance.planRepair': async () => ({ actions: done, actionCount: 1, left, leftCount: 1 }),
    'maintenance.repairHistory': async () => ({ repairs: [repair] }),
    'maintenance.clearQuarantine': async ({ deleteFiles, dryRun }) => ({
      ...quarantine,
      deletedFileCount: deleteFiles && !dryRun ? 1 : 0,
    }),
  }
}
