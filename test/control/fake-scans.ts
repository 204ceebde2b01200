// Scans that have found something, for tests of commands and of the protocol.

import type { ControlTarget } from '../../src/control/index.ts'
import type { JobBoard } from '../../src/daemon/job-board.ts'

const summary = {
  id: 1,
  readsData: true,
  group: null,
  startedAt: '2026-01-02T03:04:05.000Z',
  endedAt: '2026-01-02T03:05:05.000Z',
  outcome: 'damaged' as const,
  text: 'Block files of locked storage groups were not read.',
  recordCount: 1234,
  readBytes: 67_108_864,
  readBlocks: 2,
  findingCount: 1,
  damagedBlockCount: 1,
  lostFileCount: 1,
  lostBytes: 262_144,
  lockedGroups: ['vault'],
}

const report = {
  ...summary,
  checks: [{ check: 'inode-links', holds: 'an inode counts its names', count: 1 }],
  findings: [{ check: 'inode-links', text: 'Inode 7 counts 2 links, and has 1.' }],
  damagedBlocks: [{ block: 42, group: 'DefaultGroup', reason: 'the file is missing' }],
  lostFiles: [
    {
      inode: 9,
      path: 'backups/monday.tar',
      ranges: [{ startBytes: 4096, lengthBytes: 262_144 }],
      rangeCount: 1,
      lostBytes: 262_144,
      block: 42,
    },
  ],
}

const running = {
  id: 2,
  readsData: true,
  group: 'DefaultGroup',
  startedAt: '2026-01-02T03:06:05.000Z',
  phase: 'data',
  doneBytes: 1_048_576,
  totalBytes: 67_108_864,
  readBlocks: 1,
  findingCount: 0,
}

type ScanMethods = Pick<
  ControlTarget,
  'maintenance.scan' | 'maintenance.scanStatus' | 'maintenance.scanReport' | 'maintenance.stopScan'
>

export function fakeScans(board: JobBoard): ScanMethods {
  return {
    'maintenance.scan': async () => {
      const job = board.begin('scan', 'Scan 1 of metadata')
      job.report({ phase: 'names', doneBytes: 4096, totalBytes: 0 })
      job.finish('Scan 1 is damaged.')
      return { id: 1, job: job.id }
    },
    'maintenance.scanStatus': async () => ({ running, last: summary }),
    'maintenance.scanReport': async () => ({ report }),
    'maintenance.stopScan': async () => ({ last: summary }),
  }
}
