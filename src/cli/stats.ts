// coffer stats system | storage-group | container

import type { Argv } from 'yargs'

import type { ContainerStats, GroupStats, SystemStats } from '../control/methods.ts'
import { print, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { formatPairs, formatPercent } from './format.ts'
import type { Pair } from './format.ts'
import type { CliIo } from './io.ts'
import { formatSize } from './sizes.ts'

export function addStatsCommands(io: CliIo, yargs: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return yargs.command('stats', 'What is stored, and how much was saved', family =>
    family
      .command(
        'system',
        'Of the whole store',
        args => args.example('$0 stats system --json', 'For a program that watches it'),
        async argv => {
          const reply = await withControl(io, argv, client => client.call('stats.system', {}))
          print(io, argv, reply, stats =>
            formatPairs([...savingsPairs(stats), ...storagePairs(stats), ...processPairs(stats)]),
          )
        },
      )
      .command(
        'storage-group <name>',
        'Of one storage group',
        args =>
          args
            .positional('name', { type: 'string', demandOption: true })
            .example('$0 stats storage-group DefaultGroup', 'Savings of one storage group'),
        async ({ name, ...argv }) => {
          const reply = await withControl(io, argv, client =>
            client.call('stats.storageGroup', { name }),
          )
          print(io, argv, reply, stats =>
            formatPairs([['Name', stats.name], ...savingsPairs(stats), ...storagePairs(stats)]),
          )
        },
      )
      .command(
        'container <name>',
        'Of one container',
        args =>
          args
            .positional('name', { type: 'string', demandOption: true })
            .example('$0 stats container backups', 'Files and bytes of one container'),
        async ({ name, ...argv }) => {
          const reply = await withControl(io, argv, client =>
            client.call('stats.container', { name }),
          )
          print(io, argv, reply, stats => formatPairs(containerPairs(stats)))
        },
      )
      .example('$0 stats system', 'Savings, space and throughput')
      .demandCommand(1, 1, 'Say of what: stats system, storage-group or container.'),
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
    ['Metadata Bytes', formatSize(stats.metadataBytes)],
  ]
}

function processPairs(stats: SystemStats): Pair[] {
  return [
    ['Memory', formatSize(stats.rssBytes)],
    ['Bytes Written', formatSize(stats.bytesWritten)],
    ['Bytes Read', formatSize(stats.bytesRead)],
    ['Write Throughput', `${formatSize(Math.round(stats.writeBytesPerSecond))}/s`],
    ['Read Throughput', `${formatSize(Math.round(stats.readBytesPerSecond))}/s`],
  ]
}
