// Control methods of repairs and of the quarantine.

import { z } from 'zod'

import { bytes, count, groupName, isoTime, nothing } from './schemas.ts'

const action = z.object({
  check: z.string().describe('what was found, as a scan names it'),
  text: z.string().describe('what is done about it'),
})

const left = z.object({
  check: z.string(),
  text: z.string().describe('what was found'),
  why: z.string().describe('why nothing is done about it'),
})

const repair = z.object({
  id: count.describe('counted from 1 in the life of the store'),
  group: groupName.nullable().describe('null = all groups'),
  startedAt: isoTime,
  endedAt: isoTime.nullable().describe('null while it runs, and when it was interrupted'),
  outcome: z
    .enum(['running', 'clean', 'repaired', 'incomplete', 'stopped', 'failed', 'interrupted'])
    .describe('incomplete: something was left alone, or is lost'),
  text: z.string().describe('why it has failed'),
  rounds: count.describe('looks at all records'),
  doneCount: count,
  done: z.array(action).describe('the first 100'),
  leftCount: count,
  left: z.array(left).describe('the first 50'),
  quarantinedFileCount: count,
  backups: z.array(z.string()).describe('files in "repairs" of the store: records as they were'),
})

const quarantine = z.object({
  files: z
    .array(
      z.object({
        inode: count,
        path: z.string().nullable().describe('below the mount; null when it has no name'),
        ranges: z
          .array(z.object({ startBytes: bytes, lengthBytes: bytes }))
          .describe('the first 8, ascending'),
        rangeCount: count,
        lostBytes: bytes,
      }),
    )
    .describe('the first 500'),
  fileCount: count,
  blocks: z.array(z.object({ block: count, reason: z.string() })).describe('the first 200'),
})

const scope = { group: groupName.optional().describe('only its block files; all without it') }

export const repairMethods = {
  'maintenance.repair': {
    summary:
      'Repair what a scan of the metadata finds, beside clients. With wait, the answer comes when it has ended; else jobs.watch tells how far it is.',
    params: z.strictObject({ ...scope, wait: z.boolean().default(false) }),
    result: z.object({ id: count, job: z.int().positive().describe('for jobs.watch') }),
  },
  'maintenance.planRepair': {
    summary: 'What a repair would do now. Nothing is changed.',
    params: z.strictObject(scope),
    result: z.object({
      actions: z.array(action).describe('the first 1000, in the order in which they are done'),
      actionCount: count,
      left: z.array(left).describe('the first 1000'),
      leftCount: count,
    }),
  },
  'maintenance.repairHistory': {
    summary: 'What the latest repairs did.',
    params: nothing,
    result: z.object({ repairs: z.array(repair).describe('the latest first; at most 30') }),
  },
  'maintenance.clearQuarantine': {
    summary:
      'Forget what repairs have quarantined, and the alerts of it; with deleteFiles, delete these files too.',
    params: z.strictObject({
      deleteFiles: z.boolean().default(false),
      dryRun: z.boolean().default(false).describe('say what is quarantined, and forget nothing'),
    }),
    result: quarantine.extend({
      deletedFileCount: count.describe('names that were removed'),
    }),
  },
} as const

export type RepairInfo = z.output<typeof repair>
export type RepairPlanInfo = z.output<(typeof repairMethods)['maintenance.planRepair']['result']>
export type QuarantineInfo = z.output<
  (typeof repairMethods)['maintenance.clearQuarantine']['result']
>
