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
        args => args,
        async argv => {
          const reply = await withControl(io, argv, client => client.call('alerts.show', {}))
          print(io, argv, reply, ({ alerts }) =>
            alerts.length === 0 ? 'There are no alerts.\n' : listAlerts(alerts),
          )
        },
      )
      .demandCommand(1, 1, 'Say what to do: alerts show.'),
  )
}

export function listAlerts(alerts: readonly Alert[]): string {
  return formatTable(
    ['Severity', 'Since', 'Code', 'Text'],
    alerts.map(({ severity, since, code, text }) => [severity, since, code, text]),
  )
}
