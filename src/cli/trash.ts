// coffer maintenance trash | empty-trash | undo-free

import type { Argv } from 'yargs'

import type { TrashInfo, TrashOutcome } from '../control/methods.ts'
import { plural } from '../plural.ts'
import { confirm, print, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { formatDuration, formatPairs } from './format.ts'
import type { Pair } from './format.ts'
import type { CliIo } from './io.ts'
import { DRY_RUN, groupOption, scopeOf } from './long-work.ts'
import { formatSize } from './sizes.ts'

export function addTrashCommands(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return family
    .command(
      'trash',
      'Show the trash: block files that were freed and are kept for a time',
      args => args.example('$0 maintenance trash', 'Show how much can be brought back'),
      async argv => {
        const trash = await withControl(io, argv, client => client.call('maintenance.trash', {}))
        print(io, argv, trash, formatTrash)
      },
    )
    .command(
      'empty-trash',
      'Delete the block files in the trash for good',
      args =>
        args
          .option('group', groupOption('Only this group'))
          .option('dry-run', DRY_RUN)
          .option('yes', { type: 'boolean', default: false, describe: "Don't ask" })
          .example('$0 maintenance empty-trash', 'Give their space back now'),
      async argv => {
        const call = (dryRun: boolean): Promise<TrashOutcome> =>
          withControl(io, argv, client =>
            client.call('maintenance.emptyTrash', { ...scopeOf(argv), dryRun }),
          )
        const listed = await call(true)
        if (argv.dryRun || listed.files === 0) {
          return print(io, argv, listed, reply => formatListed(reply, 'delete for good'))
        }
        const size = formatSize(listed.bytes)
        await confirm(
          io,
          argv.yes,
          `${plural(listed.files, 'block file')} (${size}) will be deleted for good.`,
        )
        print(io, argv, await call(false), ({ files, bytes }) => {
          return `${plural(files, 'block file')} (${formatSize(bytes)}) ${files === 1 ? 'was' : 'were'} deleted.\n`
        })
      },
    )
    .command(
      'undo-free',
      'Bring freed block files back into the store; deleted files do not come back',
      args =>
        args
          .option('group', groupOption('Only this group'))
          .option('dry-run', DRY_RUN)
          .example('$0 maintenance undo-free', 'After a pass freed what is still needed'),
      async argv => {
        const { dryRun } = argv
        const outcome = await withControl(io, argv, client =>
          client.call('maintenance.undoFree', { ...scopeOf(argv), dryRun }),
        )
        print(io, argv, outcome, reply =>
          dryRun || reply.files === 0 ? formatListed(reply, 'bring back') : formatUndone(reply),
        )
      },
    )
}

function formatTrash(trash: TrashInfo): string {
  const { files, bytes, oldestAt, keepSeconds, keyRetirement, heldBecause } = trash
  return formatPairs([
    ['Block Files', String(files)],
    ['Size', formatSize(bytes)],
    ['Oldest', oldestAt ?? 'none'],
    ['Kept for', formatDuration(keepSeconds)],
    ['Key Retirement', keyRetirement],
    ...(heldBecause === null ? [] : ([['Held Because', heldBecause]] satisfies Pair[])),
  ])
}

function formatListed({ files, bytes }: TrashOutcome, what: string): string {
  if (files === 0) return 'The trash is empty.\n'
  return `It would ${what}: ${plural(files, 'block file')} (${formatSize(bytes)}).\n`
}

function formatUndone({ files, bytes }: TrashOutcome): string {
  return (
    `${plural(files, 'block file')} (${formatSize(bytes)}) ${files === 1 ? 'is' : 'are'} part of the store again. ` +
    'Deleted files do not come back: this is for block files that files still refer to. ' +
    'The next pass of the cleaner frees the others again.\n'
  )
}
