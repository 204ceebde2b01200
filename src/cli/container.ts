// coffer container show | add | rename | delete

import type { Argv } from 'yargs'

import type { ContainerInfo } from '../control/methods.ts'
import { confirm, print, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { formatPairs, formatTable } from './format.ts'
import type { Pair } from './format.ts'
import type { CliIo } from './io.ts'
import { formatSize } from './sizes.ts'

export function addContainerCommands(io: CliIo, yargs: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return yargs.command('container', 'Containers: the directories that clients write to', family =>
    addChangeCommands(io, addShowCommand(io, family))
      .example('$0 container add backups', 'A directory to back up to')
      .demandCommand(1, 1, 'Say what to do: container show, add, rename or delete.'),
  )
}

function addShowCommand(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return family.command(
    'show [name]',
    'Show one container, or all',
    args =>
      args
        .positional('name', { type: 'string', describe: 'Container' })
        .option('verbose', { type: 'boolean', default: false, describe: 'All about each' })
        .example('$0 container show', 'All, one line each')
        .example('$0 container show backups --verbose', 'Everything about one'),
    async argv => {
      const params = argv.name === undefined ? {} : { name: argv.name }
      const reply = await withControl(io, argv, client => client.call('container.show', params))
      print(io, argv, reply, ({ containers }) =>
        argv.name === undefined && !argv.verbose
          ? listContainers(containers)
          : containers.map(argv.verbose ? describeFully : describe).join('\n'),
      )
    },
  )
}

function addChangeCommands(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return family
    .command(
      'add <name>',
      'Create a container',
      args =>
        args
          .positional('name', { type: 'string', demandOption: true, describe: 'Container' })
          .option('group', { type: 'string', requiresArg: true, describe: 'Storage group' })
          .example('$0 container add backups', 'In the default storage group')
          .example('$0 container add mail --group office', 'In another one'),
      async argv => {
        const group = argv.group === undefined ? {} : { group: argv.group }
        const reply = await withControl(io, argv, client =>
          client.call('container.add', { name: argv.name, ...group }),
        )
        print(io, argv, reply, describe)
      },
    )
    .command(
      'rename <name> <new-name>',
      'Give a container another name; files that are open in it stay open',
      args =>
        args
          .positional('name', { type: 'string', demandOption: true, describe: 'Container' })
          .positional('new-name', { type: 'string', demandOption: true, describe: 'New name' })
          .example('$0 container rename backups archive', 'While clients use it, too'),
      async argv => {
        const { name, newName } = argv
        const reply = await withControl(io, argv, client =>
          client.call('container.rename', { name, newName }),
        )
        print(io, argv, reply, describe)
      },
    )
    .command(
      'delete <name>',
      'Delete a container',
      args =>
        args
          .positional('name', { type: 'string', demandOption: true, describe: 'Container' })
          .option('delete-files', {
            type: 'boolean',
            default: false,
            describe: 'Delete the files in it too',
          })
          .option('yes', { type: 'boolean', default: false, describe: "Don't ask" })
          .example('$0 container delete backups', 'When it is empty')
          .example('$0 container delete backups --delete-files', 'With all files in it'),
      async argv => {
        const { name, deleteFiles } = argv
        if (deleteFiles) {
          await confirm(io, argv.yes, `All files in container ${name} will be deleted for good.`)
        }
        const reply = await withControl(io, argv, client =>
          client.call('container.delete', { name, deleteFiles }),
        )
        print(io, argv, reply, () => `Container ${name} is deleted.\n`)
      },
    )
}

function listContainers(containers: readonly ContainerInfo[]): string {
  if (containers.length === 0)
    return 'There are no containers; add one with "coffer container add NAME".\n'
  return formatTable(
    ['Name', 'Group', 'Files', 'Current'],
    containers.map(({ name, group, files, currentBytes }) => [
      name,
      group,
      files,
      formatSize(currentBytes),
    ]),
  )
}

function describe(container: ContainerInfo): string {
  return formatPairs(pairsOf(container))
}

function describeFully(container: ContainerInfo): string {
  const { id, uid, gid, mode } = container
  return formatPairs([
    ...pairsOf(container),
    ['Id', id],
    ['Owner (uid)', uid],
    ['Group (gid)', gid],
    ['Mode', mode],
  ])
}

function pairsOf(container: ContainerInfo): Pair[] {
  return [
    ['Name', container.name],
    ['Group', container.group],
    ['Created', container.createdAt],
    ['Files', container.files],
    ['Current Bytes', formatSize(container.currentBytes)],
  ]
}
