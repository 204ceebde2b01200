// coffer recover

import { resolve } from 'node:path'

import type { Argv } from 'yargs'

import type { RecoveryReport } from '../daemon/contract.ts'
import { print } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { formatPairs, formatRest, formatTable, printable } from './format.ts'
import type { Pair } from './format.ts'
import type { CliIo } from './io.ts'
import { formatSize } from './sizes.ts'

/** Of the files that have lost something, so many are shown; --json has more. */
const SHOWN_FILES_MAX = 20

export function addRecoverCommand(io: CliIo, yargs: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return yargs.command(
    'recover',
    'Make the metadata of a store again from its copies; no daemon may have it open',
    args =>
      args
        .option('store', {
          type: 'string',
          demandOption: true,
          requiresArg: true,
          describe: 'Directory that holds all data',
        })
        .option('dry-run', {
          type: 'boolean',
          default: false,
          describe: 'Say what would be recovered and what is lost, and change nothing',
        })
        .option('force', {
          type: 'boolean',
          default: false,
          describe: 'Also when the metadata looks whole',
        })
        .example('$0 recover --store /srv/store --dry-run', 'What can be had back, up to when')
        .example('$0 recover --store /srv/store', 'The old metadata is kept beside the new'),
    async argv => {
      const { recoverStore } = await io.loadRecovery()
      const report = await recoverStore({
        store: resolve(argv.store),
        isDryRun: argv.dryRun,
        isForced: argv.force,
        now: () => new Date(),
        progress: text => {
          if (!argv.json) io.err(`${printable(text)} ...\n`)
        },
      })
      print(io, argv, report, formatReport)
    },
  )
}

function formatReport(report: RecoveryReport): string {
  const { isDryRun, lostFiles, lostFileCount } = report
  const lostCommits = Math.max(0, report.lastSequence - report.sequence)
  const pairs: Pair[] = [
    [isDryRun ? 'Can Be Recovered' : 'Recovered', stateOf(report)],
    ['Commits Lost', lostCommits],
    ['Old Metadata', report.metadataTrouble ?? 'readable'],
    ...(report.keptAside === null ? [] : ([['Kept As', report.keptAside]] satisfies Pair[])),
    ['Block Files', report.blockFiles],
    ['Unreadable', report.unreadableBlockFiles.length],
    ['Extents', report.extents],
    ['Damaged Files', `${lostFileCount} (${formatSize(report.lostBytes)})`],
  ]
  const shown = lostFiles.slice(0, SHOWN_FILES_MAX)
  const table =
    shown.length === 0
      ? ''
      : `\n${formatTable(
          ['Inode', 'Missing'],
          shown.map(({ inode, bytes }) => [String(inode), formatSize(bytes)]),
        )}` +
        formatRest(lostFileCount - shown.length) +
        'Reading them there fails. Their paths: "find MOUNT -inum NUMBER" once it is mounted.\n'
  const strangers = report.unreadableBlockFiles.map(path => `Unreadable: ${printable(path)}\n`)
  const next = isDryRun
    ? 'Nothing was changed; the same without --dry-run does it.\n'
    : 'Start the daemon; "coffer maintenance rebuild-index" then finds what no file refers to.\n'
  return `${formatPairs(pairs)}${table}${strangers.join('')}\n${next}`
}

function stateOf({ source, sequence, writtenAt }: RecoveryReport): string {
  if (source === 'metadata') return `commit ${sequence}, from the old metadata itself`
  return `commit ${sequence}, from the copy of ${writtenAt ?? 'an unknown time'}`
}
