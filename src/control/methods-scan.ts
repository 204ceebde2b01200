// Control methods of scans.

import { z } from 'zod'

import { bytes, count, groupName, isoTime, nothing } from './schemas.ts'

const scope = groupName.nullable().describe('null = all groups')

const summary = z.object({
  id: count.describe('counted from 1 in the life of the store'),
  readsData: z.boolean().describe('block files were read too'),
  group: scope,
  startedAt: isoTime,
  endedAt: isoTime,
  outcome: z
    .enum(['running', 'clean', 'incomplete', 'damaged', 'stopped', 'failed'])
    .describe(
      'clean: nothing that does harm was found; incomplete: the same, without the data of lockedGroups',
    ),
  text: z.string().describe('why it has failed, or what it could not look at'),
  recordCount: count.describe('metadata records that were looked at, some of them several times'),
  readBytes: bytes.describe('of block files'),
  readBlocks: count,
  findingCount: count.describe('in the metadata, all of them'),
  damagedBlockCount: count,
  lostFileCount: count,
  lostBytes: bytes.describe('of files, before dedupe'),
  lockedGroups: z.array(groupName).describe('whose block files were not read'),
})

const report = summary.extend({
  checks: z
    .array(
      z.object({
        check: z.string().describe('stable'),
        holds: z.string().describe('how it is in a whole store'),
        count,
      }),
    )
    .describe('those that found something'),
  findings: z.array(z.object({ check: z.string(), text: z.string() })).describe('20 of each check'),
  damagedBlocks: z
    .array(z.object({ block: count, group: groupName, reason: z.string() }))
    .describe('the first 200'),
  lostFiles: z
    .array(
      z.object({
        inode: count,
        path: z.string().nullable().describe('below the mount; null when it has no name'),
        ranges: z
          .array(z.object({ startBytes: bytes, lengthBytes: bytes }))
          .describe('the first 8, ascending'),
        rangeCount: count,
        lostBytes: bytes,
        block: count.describe('a block file that is to blame; 0 when the extents are'),
      }),
    )
    .describe('the first 500'),
})

export const scanMethods = {
  'maintenance.scan': {
    summary:
      'Check the metadata and, with data, read every block file. With wait, the answer comes when it has ended; else jobs.watch tells how far it is.',
    params: z.strictObject({
      group: groupName.optional().describe('only its block files; all without it'),
      data: z.boolean().default(false),
      wait: z.boolean().default(false),
    }),
    result: z.object({ id: count, job: z.int().positive().describe('for jobs.watch') }),
  },
  'maintenance.scanStatus': {
    summary: 'The scan that runs, and how the last one ended.',
    params: nothing,
    result: z.object({
      running: z
        .object({
          id: count,
          readsData: z.boolean(),
          group: scope,
          startedAt: isoTime,
          phase: z.string(),
          doneBytes: bytes.describe('of this phase'),
          totalBytes: bytes.describe('of this phase; 0 when unknown'),
          readBlocks: count,
          findingCount: count.describe('so far'),
        })
        .nullable(),
      last: summary.nullable(),
    }),
  },
  'maintenance.scanReport': {
    summary: 'What the last scan found: damage, and the files and ranges that are lost by it.',
    params: nothing,
    result: z.object({ report: report.nullable().describe('null before the first scan') }),
  },
  'maintenance.stopScan': {
    summary: 'Stop the scan. A new one begins from the start.',
    params: nothing,
    result: z.object({ last: summary.nullable().describe('null when none was running') }),
  },
} as const

export type ScanReport = z.output<typeof report>
export type ScanSummary = z.output<typeof summary>
export type ScanState = z.output<(typeof scanMethods)['maintenance.scanStatus']['result']>
