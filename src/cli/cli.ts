// Runs one command line, and turns whatever went wrong into a sentence and a status.

import { rewriteArgv } from './argv.ts'
import { exitCodeOf, exitCodes } from './exit-codes.ts'
import type { CliIo } from './io.ts'
import { asksForOverview, printOverview } from './overview.ts'
import { joinRepeated } from './repeated-options.ts'

/** Run one command line; returns the exit status and never throws. */
export async function runCli(args: readonly string[], io: CliIo): Promise<number> {
  try {
    if (asksForOverview(args)) {
      printOverview(io)
    } else {
      // yargs alone takes as long to load as everything else that help needs.
      const { runCommand } = await import('./parser.ts')
      await runCommand(joinRepeated(rewriteArgv(args)), io)
    }
    return exitCodes.ok
  } catch (error) {
    // Loaded here, since most commands have nothing to tell it.
    const { default: createDebug } = await import('debug')
    createDebug('coffer:cli')('%O', error)
    const { printableLines } = await import('./format.ts')
    const message = error instanceof Error ? error.message : String(error)
    // Some of it may come from files that were planted: no escape sequence reaches the terminal.
    io.err(`coffer: ${printableLines(message)}\n`)
    return exitCodeOf(error)
  }
}
