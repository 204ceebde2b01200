// coffer alerts show

import type { Argv } from 'yargs'

import type { Alert } from '../control/methods.ts'
import { print, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { formatTable } from './format.ts'
import type { CliIo } from './io.ts'

export function addAlertsCommands(io: CliIo, yargs: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return yargs.command('alerts', 'What needs attention', family =>
    family
      .command(
        'show',
        'Show what needs attention now',
        args =>
          args
            .option('summary', {
              type: 'boolean',
              default: false,
              describe: 'Without what to do',
            })
            .example('$0 alerts show', 'Alerts, and what to do about each kind'),
        async argv => {
          const reply = await withControl(io, argv, client => client.call('alerts.show', {}))
          print(io, argv, reply, ({ alerts }) =>
            alerts.length === 0
              ? 'There are no alerts.\n'
              : argv.summary
                ? listAlerts(alerts)
                : `${listAlerts(alerts)}\n${adviseAlerts(alerts)}`,
          )
        },
      )
      .example('$0 alerts show --summary', 'One line for each')
      .demandCommand(1, 1, 'Say what to do: alerts show.'),
  )
}

export function listAlerts(alerts: readonly Alert[]): string {
  return formatTable(
    ['Severity', 'Since', 'Code', 'Text'],
    alerts.map(({ severity, since, code, text }) => [severity, since, code, text]),
  )
}

/** What to do, once for each kind. */
function adviseAlerts(alerts: readonly Alert[]): string {
  const advice = new Map(alerts.map(({ code, whatToDo }) => [code, whatToDo]))
  return formatTable(['Code', 'What to do'], [...advice])
}
