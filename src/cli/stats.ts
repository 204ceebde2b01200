// coffer stats system | storage-group | container | clients | cleaner

import type { Argv } from 'yargs'

import type {
  CleanerStats,
  ClientInfo,
  ContainerStats,
  GroupStats,
  SystemStats,
} from '../control/methods.ts'
import type { GlobalArgs } from './common.ts'
import { formatPairs, formatPercent, formatTable } from './format.ts'
import type { Pair } from './format.ts'
import type { CliIo } from './io.ts'
import { passPairs } from './maintenance.ts'
import { formatSize } from './sizes.ts'
import { printOrWatch } from './watch.ts'

export function addStatsCommands(io: CliIo, yargs: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return yargs.command('stats', 'What is stored, and how much was saved', family =>
    family
      .command(
        'system',
        'Of the whole store',
        args =>
          withWatch(args)
            .option('prometheus', {
              type: 'boolean',
              default: false,
              describe: "In Prometheus' exposition format",
            })
            .example('$0 stats system --watch', 'Again every two seconds'),
        async argv => {
          if (argv.prometheus) {
            await printOrWatch(io, argv, {
              call: client => client.call('stats.prometheus', {}),
              write: ({ text }) => text,
            })
            return
          }
          await printOrWatch(io, argv, {
            call: client => client.call('stats.system', {}),
            write: writeSystem,
          })
        },
      )
      .command(
        'storage-group <name>',
        'Of one storage group',
        args =>
          withName(args).example(
            '$0 stats storage-group DefaultGroup',
            'Savings of one storage group',
          ),
        async argv => {
          await printOrWatch(io, argv, {
            call: client => client.call('stats.storageGroup', { name: argv.name }),
            write: stats =>
              formatPairs([['Name', stats.name], ...savingsPairs(stats), ...storagePairs(stats)]),
          })
        },
      )
      .command(
        'container <name>',
        'Of one container',
        args =>
          withName(args).example('$0 stats container backups', 'Files and bytes of one container'),
        async argv => {
          await printOrWatch(io, argv, {
            call: client => client.call('stats.container', { name: argv.name }),
            write: stats => formatPairs(containerPairs(stats)),
          })
        },
      )
      .command(
        'clients',
        'Of the processes that use the mount',
        args => withWatch(args).example('$0 stats clients', 'Who writes, and how much'),
        async argv => {
          await printOrWatch(io, argv, {
            call: client => client.call('stats.clients', {}),
            write: ({ clients }) => clientsTable(clients),
          })
        },
      )
      .command(
        'cleaner',
        'Of the cleaner: what it does and did',
        args => withWatch(args).example('$0 stats cleaner --watch', 'How far a pass is'),
        async argv => {
          await printOrWatch(io, argv, {
            call: client => client.call('stats.cleaner', {}),
            write: formatCleaner,
          })
        },
      )
      .example('$0 stats system', 'Savings, space and throughput')
      .demandCommand(
        1,
        1,
        'Say of what: stats system, storage-group, container, clients or cleaner.',
      ),
  )
}

function withWatch(args: Argv<GlobalArgs>) {
  return args.option('watch', {
    type: 'boolean',
    default: false,
    describe: 'Again every two seconds, until interrupted',
  })
}

function withName(args: Argv<GlobalArgs>) {
  return withWatch(args).positional('name', { type: 'string', demandOption: true })
}

function writeSystem(stats: SystemStats): string {
  const pairs = [...savingsPairs(stats), ...storagePairs(stats), ...processPairs(stats)]
  return [
    formatPairs(pairs),
    countersTable(stats),
    throughputTable(stats),
    latencyTable(stats),
  ].join('\n')
}

function formatCleaner({ running, lastFullAt, debtSince, history }: CleanerStats): string {
  const now: Pair[] =
    running === null
      ? [['State', 'not running']]
      : [
          ['State', `running: ${running.phase}`],
          ['Progress', `${formatSize(running.doneBytes)} of ${formatSize(running.totalBytes)}`],
          ['Time Left', running.etaSeconds === null ? '?' : `${Math.ceil(running.etaSeconds)} s`],
        ]
  const general: Pair[] = [
    ['Last Full Pass', lastFullAt ?? 'never'],
    ['To Clean Since', debtSince ?? '-'],
  ]
  const [latest] = history
  const last = running?.pass ?? latest
  const pairs = formatPairs([...now, ...general])
  return last === undefined ? pairs : `${pairs}\n${formatPairs(passPairs(last))}`
}

function clientsTable(clients: readonly ClientInfo[]): string {
  if (clients.length === 0) return 'Nobody has used the mount.\n'
  return formatTable(
    ['Process', 'User', 'Command', 'Written', 'Read', 'Operations', 'Last Active'],
    clients.map(({ pid, uid, command, bytesWritten, bytesRead, operations, lastActiveAt }) => [
      pid,
      uid,
      command ?? (pid === 0 ? '(kernel)' : '(ended)'),
      formatSize(bytesWritten),
      formatSize(bytesRead),
      operations,
      lastActiveAt,
    ]),
  )
}

function containerPairs(stats: ContainerStats): Pair[] {
  return [
    ['Name', stats.name],
    ['Group', stats.group],
    ['Files', stats.files],
    ['Current Bytes', formatSize(stats.currentBytes)],
  ]
}

function savingsPairs(stats: SystemStats | GroupStats): Pair[] {
  return [
    ['Current Bytes', formatSize(stats.currentBytes)],
    ['Post Dedupe Bytes', formatSize(stats.postDedupeBytes)],
    ['Post Compression Bytes', formatSize(stats.postCompressionBytes)],
    ['Post Encryption Bytes', formatSize(stats.postEncryptionBytes)],
    ['Dedupe Savings', formatPercent(stats.dedupePercent)],
    ['Compression Savings', formatPercent(stats.compressionPercent)],
    ['Total Savings', formatPercent(stats.totalPercent)],
    ['Files', stats.files],
    ['Chunks', stats.chunks],
  ]
}

function storagePairs(stats: SystemStats | GroupStats): Pair[] {
  return [
    ['Blocks', stats.blocks],
    ['Physical Bytes', formatSize(stats.physicalBytes)],
    ['Trash Bytes', formatSize(stats.trashBytes)],
    ['Metadata Bytes', formatSize(stats.metadataBytes)],
    ['Keys', keysText(stats.keys)],
  ]
}

function keysText({ active, decryptOnly, retired }: GroupStats['keys']): string {
  return `${active} active, ${decryptOnly} decrypt-only, ${retired} retired`
}

function processPairs(stats: SystemStats): Pair[] {
  return [
    ['Memory', formatSize(stats.rssBytes)],
    ['Index Entries', stats.indexEntries],
    ['Index Size', formatSize(stats.indexBytes)],
    ['Index Entries Added', stats.indexEntriesAdded],
    ['Event Loop Delay p99', milliseconds(stats.eventLoopDelayP99Microseconds)],
    ['Event Loop Delay Max', milliseconds(stats.eventLoopDelayMaxMicroseconds)],
  ]
}

function countersTable({ sinceStart, lifetime }: SystemStats): string {
  const columns = [sinceStart, lifetime]
  return formatTable(
    ['', 'Since Start', `Since ${lifetime.since.slice(0, 10)}`],
    [
      ['Bytes Written', ...columns.map(({ bytesWritten }) => formatSize(bytesWritten))],
      ['Bytes Read', ...columns.map(({ bytesRead }) => formatSize(bytesRead))],
      ['Operations', ...columns.map(({ operations }) => operations)],
      ['Chunks Looked Up', ...columns.map(({ lookups }) => lookups)],
      ['Chunks Found', ...columns.map(({ hits }) => hits)],
      ['Hit Rate', ...columns.map(({ hitPercent }) => formatPercent(hitPercent))],
      ['Chunks Stored', ...columns.map(({ chunksStored }) => chunksStored)],
    ],
  )
}

function throughputTable({ throughput }: SystemStats): string {
  const { now, minute, hour } = throughput
  const spans = [now, minute, hour]
  const speed = (bytes: number): string => `${formatSize(Math.round(bytes))}/s`
  return formatTable(
    ['Throughput', 'Now', 'Last Minute', 'Last Hour'],
    [
      ['Write', ...spans.map(({ writeBytesPerSecond }) => speed(writeBytesPerSecond))],
      ['Read', ...spans.map(({ readBytesPerSecond }) => speed(readBytesPerSecond))],
    ],
  )
}

function latencyTable({ operations }: SystemStats): string {
  return formatTable(
    ['Operation', 'Count', 'p50 µs', 'p95 µs', 'p99 µs', 'Max µs'],
    Object.entries(operations).map(([name, latency]) => [
      name,
      latency.count,
      latency.p50Microseconds,
      latency.p95Microseconds,
      latency.p99Microseconds,
      latency.maxMicroseconds,
    ]),
  )
}

function milliseconds(microseconds: number): string {
  return `${(microseconds / 1000).toFixed(1)} ms`
}
