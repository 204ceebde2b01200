// Has yargs run a command line, and says in our words what is wrong with one that it refuses.

import createYargs from 'yargs'

import { VERSION } from '../version.ts'
import { addCommands, outlineCommands } from './commands.ts'
import { UsageError } from './exit-codes.ts'
import type { CliIo } from './io.ts'
import { explainMistake } from './mistakes.ts'

/** Wider lines are hard to read, whatever the terminal's width. */
const HELP_COLUMNS = 100

/**
 * Run one command line in our spelling.
 * @throws UsageError when it is not understood, else what its command throws
 */
export async function runCommand(args: string[], io: CliIo): Promise<void> {
  const parser = createYargs()
    .scriptName('coffer')
    .version(VERSION)
    // Help in one language: messages of our own have no other.
    .detectLocale(false)
    .parserConfiguration({ 'duplicate-arguments-array': false, 'dot-notation': false })
  await addCommands(io, parser)
    .demandCommand(1, 'Say what to do.')
    .strict()
    .wrap(HELP_COLUMNS)
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      // yargs marks its own complaints by their name, or by passing no error at all.
      if (error !== undefined && error.name !== 'YError') throw error
      const complaint = message ?? error?.message ?? 'The command line is not understood'
      throw new UsageError(explainMistake(outlineCommands(io), args, complaint))
    })
    .parseAsync(args, {}, (_error, _argv, output) => {
      if (output !== '') io.out(`${output}\n`)
    })
}
