// Puts the commands together, runs one, and turns whatever went wrong into a sentence and a status.

import createDebug from 'debug'
import createYargs from 'yargs'

import { addAlertsCommands } from './alerts.ts'
import { rewriteArgv } from './argv.ts'
import { addContainerCommands } from './container.ts'
import { addDaemonCommands } from './daemon.ts'
import { addEmailAlertsCommands, joinRecipients } from './email-alerts.ts'
import { addEventsCommands } from './events.ts'
import { exitCodeOf, exitCodes, UsageError } from './exit-codes.ts'
import type { CliIo } from './io.ts'
import { addMaintenanceCommands } from './maintenance.ts'
import { addScheduleCommands } from './schedule.ts'
import { addJobsCommands } from './jobs.ts'
import { addStatsCommands } from './stats.ts'
import { addStorageGroupCommands } from './storage-group.ts'

const debug = createDebug('coffer:cli')

/** Wider lines are hard to read, whatever the terminal's width. */
const HELP_COLUMNS = 100

/** Run one command line; returns the exit status and never throws. */
export async function runCli(args: readonly string[], io: CliIo): Promise<number> {
  try {
    await buildParser(joinRecipients(rewriteArgv(args)), io).parseAsync()
    return exitCodes.ok
  } catch (error) {
    debug('%O', error)
    const message = error instanceof Error ? error.message : String(error)
    io.err(`coffer: ${message}\n`)
    return exitCodeOf(error)
  }
}

function buildParser(args: string[], io: CliIo) {
  const yargs = createYargs(args)
    .scriptName('coffer')
    // Help in one language: messages of our own have no other.
    .detectLocale(false)
    .parserConfiguration({ 'duplicate-arguments-array': false, 'dot-notation': false })
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
  const commands = [
    addDaemonCommands,
    addStorageGroupCommands,
    addContainerCommands,
    addStatsCommands,
    addAlertsCommands,
    addEventsCommands,
    addEmailAlertsCommands,
    addMaintenanceCommands,
    addScheduleCommands,
    addJobsCommands,
  ]
  return commands
    .reduce<typeof yargs>((parser, add) => add(io, parser), yargs)
    .completion('completion', 'Print a script for shell completion')
    .demandCommand(1, 'Say what to do.')
    .strict()
    .wrap(HELP_COLUMNS)
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      // yargs marks its own complaints by their name, or by passing no error at all.
      if (error !== undefined && error.name !== 'YError') throw error
      const text = message ?? error?.message ?? 'The command line is not understood'
      const clause = text.split('\n').join(' ').replace(/\.$/, '')
      throw new UsageError(`${clause}; see "coffer --help".`)
    })
}
