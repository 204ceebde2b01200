// coffer maintenance scan | scan-status | scan-report | stop-scan

import type { Argv } from 'yargs'

import type { ScanReport, ScanState, ScanSummary } from '../control/methods.ts'
import { CofferError } from '../errors.ts'
import { plural } from '../plural.ts'
import { print, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { formatPairs, formatRest, formatTable } from './format.ts'
import type { Pair } from './format.ts'
import type { CliIo } from './io.ts'
import { formatLostFiles, groupOption, scopeOf, WAIT } from './long-work.ts'
import { followJob } from './progress.ts'
import { formatSize } from './sizes.ts'

export function addScanCommands(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return addScan(io, family)
    .command(
      'scan-status',
      'The scan that runs, and how the last one ended',
      args => args.example('$0 maintenance scan-status', 'How far it is'),
      async argv => {
        const state = await withControl(io, argv, client =>
          client.call('maintenance.scanStatus', {}),
        )
        print(io, argv, state, formatState)
      },
    )
    .command(
      'scan-report',
      'What the last scan found, and which files have lost something',
      args => args.example('$0 maintenance scan-report', 'Files and ranges that are lost'),
      async argv => {
        const reply = await withControl(io, argv, client =>
          client.call('maintenance.scanReport', {}),
        )
        print(io, argv, reply, formatReport)
      },
    )
    .command(
      'stop-scan',
      'Stop the scan',
      args => args.example('$0 maintenance stop-scan', 'The next one begins from the start'),
      async argv => {
        const reply = await withControl(io, argv, client => client.call('maintenance.stopScan', {}))
        print(io, argv, reply, ({ last }) =>
          last === null ? 'No scan is running.\n' : formatPairs(summaryPairs(last)),
        )
      },
    )
}

function addScan(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return family.command(
    'scan',
    'Check the metadata and, with --data, every byte of the block files; nothing is changed',
    args =>
      args
        .option('group', groupOption("Only this group's data"))
        .option('data', { type: 'boolean', default: false, describe: 'Read all block files too' })
        .option('wait', WAIT)
        .example('$0 maintenance scan --wait', 'Whether the metadata is whole')
        .example('$0 maintenance scan --data --wait', 'Whether everything can be read'),
    async argv => {
      const { data, wait } = argv
      const params = { data, ...scopeOf(argv) }
      if (!wait) {
        const begun = await withControl(io, argv, client => client.call('maintenance.scan', params))
        print(
          io,
          argv,
          begun,
          ({ id }) => `Scan ${id} has begun; see "coffer maintenance scan-status".\n`,
        )
        return
      }
      const reply = await withControl(io, argv, async client => {
        const { job } = await client.call('maintenance.scan', params)
        await followJob(io, argv, client, job)
        return client.call('maintenance.scanReport', {})
      })
      print(io, argv, reply, formatReport)
      const outcome = reply.report?.outcome
      if (outcome === 'failed') throw new CofferError('SCAN_FAILED', reply.report?.text ?? '')
      if (outcome === 'damaged') {
        throw new CofferError('SCAN_FOUND_DAMAGE', 'The scan found damage; see its report.')
      }
      if (outcome === 'incomplete') {
        const names = reply.report?.lockedGroups.join(', ') ?? ''
        const message = `The scan read no data of ${names}: locked. Open with "coffer storage-group unlock NAME", then scan again.`
        throw new CofferError('SCAN_INCOMPLETE', message)
      }
    },
  )
}

function formatState({ running, last }: ScanState): string {
  const parts: string[] = []
  if (running !== null) {
    const { id, readsData, group, startedAt, phase, doneBytes, totalBytes } = running
    const total = totalBytes === 0 ? '' : ` of ${formatSize(totalBytes)}`
    parts.push(
      formatPairs([
        ['Running', `scan ${id} (${what(readsData)})`],
        ['Group', group ?? 'all'],
        ['Started', startedAt],
        ['Phase', `${phase}, ${formatSize(doneBytes)}${total}`],
        ['Blocks Read', running.readBlocks],
        ['Findings', running.findingCount],
      ]),
    )
  }
  if (last !== null) parts.push(formatPairs(summaryPairs(last)))
  return parts.length === 0 ? 'There has been no scan yet.\n' : parts.join('\n')
}

function what(readsData: boolean): string {
  return readsData ? 'metadata and data' : 'metadata'
}

function summaryPairs(scan: ScanSummary): Pair[] {
  return [
    ['Scan', `${scan.id} (${what(scan.readsData)})`],
    ['Group', scan.group ?? 'all'],
    ['Outcome', scan.text === '' ? scan.outcome : `${scan.outcome}: ${scan.text}`],
    ['Started', scan.startedAt],
    ['Ended', scan.endedAt],
    ['Data Read', `${formatSize(scan.readBytes)} in ${plural(scan.readBlocks, 'block file')}`],
    ...(scan.lockedGroups.length === 0
      ? []
      : ([['Not Read (locked)', scan.lockedGroups.join(', ')]] satisfies Pair[])),
    ['Findings', scan.findingCount],
    ['Blocks Damaged', scan.damagedBlockCount],
    ['Files with Losses', scan.lostFileCount],
    ['Lost', `${formatSize(scan.lostBytes)} of files`],
  ]
}

function formatReport({ report }: { report: ScanReport | null }): string {
  if (report === null) return 'There has been no scan yet.\n'
  const { checks, findings, damagedBlocks, lostFiles } = report
  const parts = [formatPairs(summaryPairs(report))]
  if (checks.length > 0) {
    const rows = checks.map(({ check, count, holds }) => [check, count, holds])
    parts.push(formatTable(['Check', 'Findings', 'In a whole store'], rows))
    parts.push(
      formatTable(
        ['Check', 'Finding'],
        findings.map(each => [each.check, each.text]),
      ),
    )
  }
  if (damagedBlocks.length > 0) {
    const rows = damagedBlocks.map(({ block, group, reason }) => [String(block), group, reason])
    const rest = report.damagedBlockCount - rows.length
    parts.push(`${formatTable(['Block', 'Group', 'Damage'], rows)}${formatRest(rest)}`)
  }
  if (lostFiles.length > 0) {
    parts.push(formatLostFiles(lostFiles, report.lostFileCount))
  }
  return parts.join('\n')
}
