// coffer maintenance diagnostics collect | show | delete

import type { Argv } from 'yargs'

import { confirm, print, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { formatPairs, formatTable } from './format.ts'
import type { CliIo } from './io.ts'
import { formatSize } from './sizes.ts'

/** The sub-command of the family `maintenance`. */
export function addDiagnosticsCommands(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return family.command('diagnostics', 'Bundles for those who look for a fault', verbs =>
    verbs
      .command(
        'collect',
        'Make a bundle of logs, settings and statistics, without keys',
        args =>
          args
            .option('include-names', {
              type: 'boolean',
              default: false,
              describe: 'With the names of containers and files',
            })
            .example('$0 maintenance diagnostics collect', 'Names are replaced'),
        async argv => {
          const { includeNames } = argv
          const reply = await withControl(io, argv, client =>
            client.call('diagnostics.collect', { includeNames }),
          )
          print(io, argv, reply, ({ path, sizeBytes }) =>
            formatPairs([
              ['Bundle', path],
              ['Size', formatSize(sizeBytes)],
            ]),
          )
        },
      )
      .command(
        'show',
        'Show the bundles',
        args => args.example('$0 maintenance diagnostics show', 'Which bundles there are'),
        async argv => {
          const reply = await withControl(io, argv, client => client.call('diagnostics.show', {}))
          print(io, argv, reply, ({ bundles }) =>
            bundles.length === 0
              ? 'There are no bundles.\n'
              : formatTable(
                  ['Name', 'Size'],
                  bundles.map(({ name, sizeBytes }) => [name, formatSize(sizeBytes)]),
                ),
          )
        },
      )
      .command(
        'delete <name>',
        'Delete a bundle',
        args =>
          args
            .positional('name', { type: 'string', demandOption: true, describe: 'Bundle' })
            .option('yes', { type: 'boolean', default: false, describe: "Don't ask" })
            .example('$0 maintenance diagnostics delete coffer-1.tar.gz', 'One bundle'),
        async argv => {
          const { name } = argv
          await confirm(io, argv.yes, `The bundle ${name} will be deleted.`)
          const reply = await withControl(io, argv, client =>
            client.call('diagnostics.delete', { name }),
          )
          print(io, argv, reply, () => `Bundle ${name} is deleted.\n`)
        },
      )
      .example('$0 maintenance diagnostics collect', 'A bundle to send along with a question')
      .demandCommand(1, 1, 'Say what to do: maintenance diagnostics collect, show or delete.'),
  )
}
