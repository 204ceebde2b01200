// Control methods of the cleaner, and of the chunk index.

import { z } from 'zod'

import { bytes, count, groupName, isoTime, nothing } from './schemas.ts'

const kind = z.enum(['manual', 'idle', 'scheduled', 'forced'])
const phase = z.enum([
  'mark',
  'free',
  'compact',
  'recompress',
  'reseal',
  'relocate',
  'sweep',
  'retire',
])

const pass = z.object({
  id: count,
  kind,
  group: groupName.nullable().describe('null = all groups'),
  startedAt: isoTime,
  endedAt: isoTime.nullable(),
  outcome: z
    .enum(['running', 'complete', 'incomplete', 'stopped', 'failed'])
    .describe('incomplete: something was left undone, see text'),
  text: z.string(),
  plannedBytes: bytes.describe('by how much the plan said that the store would shrink'),
  freedBytes: bytes.describe('size of the block files that were freed: they are in the trash'),
  writtenBytes: bytes.describe('by which other block files have grown for it'),
  compactedBytes: bytes.describe('before compression, copied out of half-empty block files'),
  recompressedBytes: bytes.describe('before compression'),
  encryptedBytes: bytes.describe('before compression, sealed with another key than before'),
  freedBlocks: count,
  copiedBlocks: count,
  damagedBlocks: count.describe('left as they are'),
  retiredKeys: count,
})

const planned = z.object({
  block: z.int().positive(),
  group: groupName,
  action: z.enum(['free', 'compact', 'recompress', 'reseal']),
  fileBytes: bytes,
  liveBytes: bytes.describe('before compression'),
  gainBytes: bytes.describe('by how much the store shrinks; an estimate unless the action is free'),
  reason: z.string(),
})

const plan = z.object({
  reclaimableBytes: bytes.describe('by how much a pass would shrink the store now'),
  blocks: z.array(planned).describe('the first 1000, in the order in which they are done'),
  blockCount: count,
})

const cleaner = z.object({
  running: z
    .object({
      pass,
      phase,
      doneBytes: bytes.describe('of totalBytes, before compression'),
      totalBytes: bytes,
      etaSeconds: z.number().nonnegative().nullable(),
    })
    .nullable(),
  lastFullAt: isoTime.nullable().describe('end of the last pass that left nothing undone'),
  debtSince: isoTime.nullable().describe('there has been something to clean since then'),
  history: z.array(pass).describe('the latest first'),
})

const scope = { group: groupName.optional().describe('all groups without it') }

export const maintenanceMethods = {
  'maintenance.reclaimSpace': {
    summary:
      'Run the cleaner once. With wait, the answer comes when the pass has ended; else jobs.watch tells how far it is.',
    params: z.strictObject({ ...scope, wait: z.boolean().default(false) }),
    result: pass.extend({ job: z.int().positive().describe('for jobs.watch') }),
  },
  'maintenance.planReclaimSpace': {
    summary: 'What the cleaner would do now. Nothing is changed.',
    params: z.strictObject(scope),
    result: plan,
  },
  'maintenance.stopReclaimSpace': {
    summary: 'Stop the cleaner; what is half-way is finished first.',
    params: nothing,
    result: z.object({ pass: pass.nullable().describe('null when none was running') }),
  },
  'maintenance.rebuildIndex': {
    summary:
      'Make the chunk index again from the block files, beside clients. No pass of the cleaner runs meanwhile. jobs.watch tells how far it is, and what was found.',
    params: z.strictObject({
      ...scope,
      dryRun: z.boolean().default(false).describe('say what would be changed, and change nothing'),
    }),
    result: z.object({ job: z.int().positive().describe('for jobs.watch') }),
  },
  'stats.cleaner': { summary: 'The cleaner: now and before.', params: nothing, result: cleaner },
} as const

export type CleanerPass = z.output<typeof pass>
export type CleanerPlan = z.output<typeof plan>
export type CleanerStats = z.output<typeof cleaner>
