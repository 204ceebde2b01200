// coffer storage-group show | add | update | delete; the commands of encryption are in encryption.ts

import type { Argv } from 'yargs'

import type { GroupInfo } from '../control/methods.ts'
import { confirm, print, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { addEncryptionCommands, encryptionPairs, nameOption } from './encryption.ts'
import { formatPairs, formatTable } from './format.ts'
import type { CliIo } from './io.ts'
import { formatSize, parseSize } from './sizes.ts'

export function addStorageGroupCommands(io: CliIo, yargs: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return yargs.command('storage-group', 'Storage groups: what is deduplicated together', family =>
    addEncryptionCommands(
      io,
      addDeleteCommand(io, addSettingCommands(io, addShowCommand(io, family))),
    )
      .example('$0 storage-group add office --compression best', 'Slower and smaller')
      .demandCommand(1, 1, 'Say what to do, for example: storage-group show.'),
  )
}

const compressionOption = {
  choices: ['none', 'fast', 'best'] as const,
  requiresArg: true,
  describe: 'How hard to compress',
} as const
const quotaOption = {
  type: 'string',
  requiresArg: true,
  coerce: parseQuota,
  describe: 'Most bytes that its block files may take, or unlimited',
} as const

function addShowCommand(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return family.command(
    'show [name]',
    'Show one storage group, or all',
    args =>
      args
        .positional('name', { type: 'string', describe: 'Storage group' })
        .option('verbose', { type: 'boolean', default: false, describe: 'All settings of each' })
        .example('$0 storage-group show', 'All, one line each')
        .example('$0 storage-group show office', 'All settings of one'),
    async argv => {
      const params = argv.name === undefined ? {} : { name: argv.name }
      const reply = await withControl(io, argv, client => client.call('storageGroup.show', params))
      print(io, argv, reply, ({ groups }) =>
        argv.name === undefined && !argv.verbose
          ? listGroups(groups)
          : groups.map(describe).join('\n'),
      )
    },
  )
}

function addSettingCommands(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return family
    .command(
      'add <name>',
      'Create a storage group',
      args =>
        args
          .positional('name', nameOption)
          .option('compression', compressionOption)
          .option('quota', quotaOption)
          .option('chunk-size', {
            type: 'string',
            requiresArg: true,
            coerce: parseSize,
            describe: 'Average chunk size, for example 64KiB',
          })
          .example('$0 storage-group add office', 'With the usual settings')
          .example(
            '$0 storage-group add archive --compression best --quota 2TB',
            'Small, and bounded',
          ),
      async argv => {
        const { name, compression, chunkSize, quota } = argv
        const params = {
          name,
          ...(compression !== undefined && { compression }),
          ...(chunkSize !== undefined && { chunkSizeBytes: chunkSize }),
          ...(quota !== undefined && { quotaBytes: quota }),
        }
        const reply = await withControl(io, argv, client => client.call('storageGroup.add', params))
        print(io, argv, reply, describe)
      },
    )
    .command(
      'update <name>',
      'Change compression or quota',
      args =>
        args
          .positional('name', nameOption)
          .option('compression', compressionOption)
          .option('quota', quotaOption)
          .example('$0 storage-group update archive --quota unlimited', 'Without a bound again')
          .example('$0 storage-group update office --compression none', 'For data to come'),
      async argv => {
        const { name, compression, quota } = argv
        const params = {
          name,
          ...(compression !== undefined && { compression }),
          ...(quota !== undefined && { quotaBytes: quota }),
        }
        const reply = await withControl(io, argv, client =>
          client.call('storageGroup.update', params),
        )
        print(io, argv, reply, describe)
      },
    )
}

function addDeleteCommand(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return family.command(
    'delete <name>',
    'Delete a storage group that has no containers',
    args =>
      args
        .positional('name', nameOption)
        .option('yes', { type: 'boolean', default: false, describe: "Don't ask" })
        .example('$0 storage-group delete office', 'When it has no containers'),
    async argv => {
      const { name } = argv
      await confirm(io, argv.yes, `The storage group ${name} will be deleted.`)
      await withControl(io, argv, client => client.call('storageGroup.delete', { name }))
      print(io, argv, {}, () => `The storage group ${name} is deleted.\n`)
    },
  )
}

/** null = unlimited. @throws UsageError as parseSize */
function parseQuota(text: string): number | null {
  return text === 'unlimited' ? null : parseSize(text)
}

function listGroups(groups: readonly GroupInfo[]): string {
  return formatTable(
    ['Name', 'Compression', 'Chunk Size', 'Encryption', 'Containers'],
    groups.map(group => [
      group.name,
      group.compression,
      formatSize(group.chunkSizeBytes),
      encryptionState(group),
      group.containers,
    ]),
  )
}

function describe(group: GroupInfo): string {
  return formatPairs([
    ['Name', group.name],
    ['Compression', group.compression],
    ['Chunk Size', formatSize(group.chunkSizeBytes)],
    ['Quota', group.quotaBytes === null ? 'unlimited' : formatSize(group.quotaBytes)],
    ...encryptionPairs(group),
    ['Containers', group.containers],
  ])
}

function encryptionState({ isEncrypted, isLocked }: GroupInfo): string {
  if (!isEncrypted) return 'off'
  return isLocked ? 'on, locked' : 'on'
}
