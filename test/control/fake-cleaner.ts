// The cleaner of the control target in memory.

import type { JobBoard } from '../../src/daemon/job-board.ts'
import type { CleanerPass, CleanerPlan, CleanerStats } from '../../src/control/methods.ts'

const now = '2026-01-02T03:04:05.000Z'
const MIB = 1024 ** 2

const pass: CleanerPass = {
  id: 7,
  kind: 'manual',
  group: null,
  startedAt: now,
  endedAt: now,
  outcome: 'complete',
  text: '',
  plannedBytes: 96 * MIB,
  freedBytes: 128 * MIB,
  writtenBytes: 32 * MIB,
  compactedBytes: 40 * MIB,
  recompressedBytes: 0,
  encryptedBytes: 0,
  freedBlocks: 1,
  copiedBlocks: 1,
  damagedBlocks: 0,
  retiredKeys: 0,
}

const plan: CleanerPlan = {
  reclaimableBytes: 64 * MIB,
  blockCount: 1,
  blocks: [
    {
      block: 3,
      group: 'DefaultGroup',
      action: 'free',
      fileBytes: 64 * MIB,
      liveBytes: 0,
      gainBytes: 64 * MIB,
      reason: 'nothing refers to it',
    },
  ],
}

export function fakeCleaner(board: JobBoard) {
  return {
    'maintenance.reclaimSpace': async ({ wait }: { wait: boolean }) => {
      const job = board.begin('reclaim-space', 'Pass 7 of the cleaner')
      job.finish('Pass 7 is complete.')
      const shown: CleanerPass = wait ? pass : { ...pass, outcome: 'running', endedAt: null }
      return { ...shown, job: job.id }
    },
    'maintenance.planReclaimSpace': async (): Promise<CleanerPlan> => plan,
    'maintenance.stopReclaimSpace': async () => ({ pass: null }),
    'maintenance.rebuildIndex': async ({ dryRun }: { dryRun: boolean }) => {
      const job = board.begin('rebuild-index', 'Chunk index of all storage groups')
      job.finish(`2 block files were read; 26 entries ${dryRun ? 'would be' : 'were'} added.`)
      return { job: job.id }
    },
    'stats.cleaner': async (): Promise<CleanerStats> => ({
      running: null,
      lastFullAt: now,
      debtSince: null,
      history: [pass],
    }),
  }
}
