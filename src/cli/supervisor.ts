// Tells systemd that a unit of Type=notify is ready.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import createDebug from 'debug'

const debug = createDebug('coffer:cli')

/** Does nothing where nobody waits for it. The unit needs NotifyAccess=all, since a program of systemd's does it. */
export async function tellSupervisor(): Promise<void> {
  if (process.env['NOTIFY_SOCKET'] === undefined) return
  try {
    await promisify(execFile)('systemd-notify', ['--ready', `--pid=${process.pid}`])
  } catch (error) {
    // A daemon that runs is worth more than one that is announced.
    debug('systemd-notify: %O', error)
  }
}
