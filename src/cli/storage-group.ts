// coffer storage-group show | add

import type { Argv } from 'yargs'

import type { GroupInfo } from '../control/methods.ts'
import { print, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { formatPairs, formatTable } from './format.ts'
import type { CliIo } from './io.ts'
import { formatSize, parseSize } from './sizes.ts'

export function addStorageGroupCommands(io: CliIo, yargs: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return yargs.command('storage-group', 'Storage groups: what is deduplicated together', family =>
    family
      .command(
        'show [name]',
        'Show one storage group, or all',
        args => args.positional('name', { type: 'string', describe: 'Storage group' }),
        async argv => {
          const params = argv.name === undefined ? {} : { name: argv.name }
          const reply = await withControl(io, argv, client =>
            client.call('storageGroup.show', params),
          )
          print(io, argv, reply, ({ groups }) =>
            argv.name === undefined ? listGroups(groups) : groups.map(describe).join('\n'),
          )
        },
      )
      .command(
        'add <name>',
        'Create a storage group',
        args =>
          args
            .positional('name', { type: 'string', demandOption: true, describe: 'Storage group' })
            .option('compression', {
              choices: ['none', 'fast', 'best'] as const,
              requiresArg: true,
              describe: 'How hard to compress (default: fast)',
            })
            .option('chunk-size', {
              type: 'string',
              requiresArg: true,
              coerce: parseSize,
              describe: 'Average chunk size, for example 64KiB',
            }),
        async argv => {
          const { name, compression, chunkSize } = argv
          const params = {
            name,
            ...(compression !== undefined && { compression }),
            ...(chunkSize !== undefined && { chunkSizeBytes: chunkSize }),
          }
          const reply = await withControl(io, argv, client =>
            client.call('storageGroup.add', params),
          )
          print(io, argv, reply, describe)
        },
      )
      .demandCommand(1, 1, 'Say what to do: storage-group show or add.'),
  )
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
    ['Encryption', encryptionState(group)],
    ['Containers', group.containers],
  ])
}

function encryptionState({ isEncrypted, isLocked }: GroupInfo): string {
  if (!isEncrypted) return 'off'
  return isLocked ? 'on, locked' : 'on'
}
