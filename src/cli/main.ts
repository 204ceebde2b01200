// The program behind scripts/coffer.

import { runCli } from './cli.ts'
import { processIo } from './io.ts'

// Not process.exit: what was printed into a pipe must get there first.
process.exitCode = await runCli(process.argv.slice(2), processIo())
