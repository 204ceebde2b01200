// The daemon as the command line starts it: what the process inherits is replaced first, before the daemon's code is
// loaded, which takes more open files than a low limit allows.

import type { DaemonOptions, RunningDaemon } from './contract.ts'
import { resetProcessState } from './process-state.ts'

/**
 * Changes limits, working directory and umask of the process; paths in the options are absolute.
 * @throws CofferError LIMIT_TOO_LOW, and what the daemon's own start throws
 */
export async function startDaemon(options: DaemonOptions): Promise<RunningDaemon> {
  resetProcessState()
  const daemon = await import('./daemon.ts')
  return await daemon.startDaemon(options)
}
