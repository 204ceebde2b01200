// What the command's exit status says, in one place: scripts branch on it.

import { CofferError } from '../errors.ts'

export const exitCodes = {
  ok: 0,
  failed: 1,
  /** The command line itself is wrong; sysexits and GNU tools agree on 2 for it. */
  usage: 2,
  noDaemon: 3,
} as const

/** The command line can't be carried out as typed. */
export class UsageError extends CofferError {
  constructor(message: string, options?: ErrorOptions) {
    super('USAGE', message, options)
  }
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return exitCodes.usage
  if (error instanceof CofferError && error.code === 'NO_DAEMON') return exitCodes.noDaemon
  return exitCodes.failed
}
