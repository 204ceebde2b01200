// All commands, and the options that each of them takes.

import type { Argv } from 'yargs'

import { addAlertsCommands } from './alerts.ts'
import type { GlobalArgs } from './common.ts'
import { addContainerCommands } from './container.ts'
import { addDaemonCommands } from './daemon.ts'
import { addJobsCommands } from './jobs.ts'
import { addMaintenanceCommands } from './maintenance.ts'
import { addRecoverCommand } from './recover.ts'
import { addScheduleCommands } from './schedule.ts'
import { addEmailAlertsCommands } from './email-alerts.ts'
import { addEventsCommands } from './events.ts'
import type { CliIo } from './io.ts'
import { outlineOf } from './outline.ts'
import type { CommandOutline } from './outline.ts'
import { addStatsCommands } from './stats.ts'
import { addStorageGroupCommands } from './storage-group.ts'

/** In the order in which help and manual name them. */
const families = [
  addDaemonCommands,
  addRecoverCommand,
  addStorageGroupCommands,
  addContainerCommands,
  addStatsCommands,
  addAlertsCommands,
  addEventsCommands,
  addEmailAlertsCommands,
  addMaintenanceCommands,
  addScheduleCommands,
  addJobsCommands,
] as const

/** Define everything on a parser. */
export function addCommands(io: CliIo, yargs: Argv): Argv<GlobalArgs> {
  const parser = yargs
    .option('socket', {
      type: 'string',
      requiresArg: true,
      global: true,
      describe: 'Control socket (env COFFER_SOCKET)',
    })
    .option('json', {
      type: 'boolean',
      default: false,
      global: true,
      describe: 'Print the reply as one JSON document',
    })
  return families
    .reduce<Argv<GlobalArgs>>((to, add) => add(io, to), parser)
    .completion('completion', 'Print a script for shell completion')
}

/** The same as data. */
export function outlineCommands(io: CliIo): CommandOutline {
  return outlineOf('coffer', yargs => addCommands(io, yargs))
}
