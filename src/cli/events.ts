// coffer events show

import type { Argv } from 'yargs'

import { print, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { UsageError } from './exit-codes.ts'
import { formatTable } from './format.ts'
import type { CliIo } from './io.ts'

/** As many as the daemon keeps. */
const EVENTS_MAX = 10_000
const COUNT_DEFAULT = 20

export function addEventsCommands(io: CliIo, yargs: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return yargs.command('events', 'What happened', family =>
    family
      .command(
        'show',
        'Show the newest events, or those from --index on',
        args =>
          args
            .option('index', {
              type: 'string',
              requiresArg: true,
              coerce: wholeNumber,
              describe: 'First event; -N begins N before the end',
            })
            .option('count', {
              type: 'string',
              requiresArg: true,
              coerce: wholeNumber,
              describe: `How many (default ${COUNT_DEFAULT})`,
            })
            .option('all', { type: 'boolean', default: false, describe: 'All that are kept' })
            .example('$0 events show --count 50', 'The newest 50')
            .example('$0 events show --index 100 --count 10', 'Events 100 to 109'),
        async argv => {
          const { index, all } = argv
          const count = argv.count ?? (all ? EVENTS_MAX : COUNT_DEFAULT)
          const from = index === undefined ? {} : { index }
          const reply = await withControl(io, argv, client =>
            client.call('events.show', { ...from, count }),
          )
          print(io, argv, reply, ({ events }) =>
            events.length === 0
              ? 'There are no events.\n'
              : formatTable(
                  ['Index', 'Time', 'Severity', 'Code', 'Text'],
                  events.map(event => [
                    event.index,
                    event.time,
                    event.severity,
                    event.code,
                    event.text,
                  ]),
                ),
          )
        },
      )
      .example('$0 events show', `The newest ${COUNT_DEFAULT}`)
      .demandCommand(1, 1, 'Say what to do: events show.'),
  )
}

function wholeNumber(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^-?\d{1,15}$/.test(text)) throw new UsageError(`"${text}" is not a whole number.`)
  return Number(text)
}
