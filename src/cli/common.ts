// What all commands share: where the socket is, how a call is made, how a result is printed.

import { resolve } from 'node:path'

import type { ControlClient } from '../control/client.ts'
import { CofferError } from '../errors.ts'
import { VERSION } from '../version.ts'
import { UsageError } from './exit-codes.ts'
import { printable, printableLines } from './format.ts'
import type { CliIo } from './io.ts'

export interface GlobalArgs {
  socket: string | undefined
  json: boolean
}

/** The socket that was asked for, else the default of this user. */
export function socketPath(io: CliIo, option: string | undefined): string {
  const chosen = option ?? io.env['COFFER_SOCKET']
  if (chosen !== undefined && chosen !== '') return resolve(chosen)
  if (io.isRoot) return '/run/coffer/coffer.sock'
  const runtime = io.env['XDG_RUNTIME_DIR']
  if (runtime !== undefined && runtime !== '') return resolve(runtime, 'coffer.sock')
  throw new UsageError('XDG_RUNTIME_DIR is not set; name the control socket with --socket.')
}

/**
 * Run `use` with a connection that is closed whatever happens.
 * @throws UsageError when the daemon says that the request itself is at fault
 */
export async function withControl<T>(
  io: CliIo,
  argv: GlobalArgs,
  use: (client: ControlClient) => Promise<T>,
): Promise<T> {
  const path = socketPath(io, argv.socket)
  // Loaded when it is used: help and mistakes need no sockets.
  const { connectControl, ControlCallError } = await import('../control/client.ts')
  const client = await connectControl(path)
  try {
    return await use(client)
  } catch (error) {
    if (!(error instanceof ControlCallError && error.isUsage)) throw error
    throw new UsageError(error.message, { cause: error })
  } finally {
    client.close()
    warnOfOtherVersion(io, client.daemonVersion)
  }
}

/** A warning and no refusal: after an update, the daemon that still runs has to be stopped by the new command. */
function warnOfOtherVersion(io: CliIo, daemonVersion: string | undefined): void {
  if (daemonVersion === undefined || daemonVersion === VERSION) return
  const versions = `The daemon's version is ${printable(daemonVersion)}, this command's is ${VERSION}`
  io.err(`coffer: ${versions}: they may misunderstand each other until the daemon is restarted.\n`)
}

/** Print the reply as JSON, or else as the text that `write` makes of it. */
export function print<T>(io: CliIo, argv: GlobalArgs, reply: T, write: (reply: T) => string): void {
  io.out(argv.json ? `${JSON.stringify(reply, null, 2)}\n` : writeReply(reply, write))
}

/**
 * The text that `write` makes of a reply. Names of the store that `write` did not escape keep no control character but
 * the line feed.
 * @throws CofferError BAD_ANSWER when the reply lacks what `write` takes for granted
 */
export function writeReply<T>(reply: T, write: (reply: T) => string): string {
  try {
    return printableLines(write(reply))
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause
    const message = `The daemon's answer is not understood (${cause.message}).`
    throw new CofferError('BAD_ANSWER', message, { cause })
  }
}

/**
 * Have a destructive step confirmed.
 * @throws CofferError NOT_CONFIRMED unless the answer is yes; without a terminal there is no answer
 */
export async function confirm(io: CliIo, isYes: boolean, consequence: string): Promise<void> {
  if (isYes) return
  const answer = await io.ask(`${consequence}\nDo you want to continue (yes/no) [n]? `)
  if (answer === undefined) {
    const message = `${consequence} There is no terminal to confirm it on; add --yes if that is what you want.`
    throw new CofferError('NOT_CONFIRMED', message)
  }
  if (!['y', 'yes'].includes(answer.trim().toLowerCase())) {
    throw new CofferError('NOT_CONFIRMED', 'Nothing was done.')
  }
}
