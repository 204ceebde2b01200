// Tells systemd that a unit of Type=notify is ready.

import createDebug from 'debug'

const debug = createDebug('coffer:cli')

/** Does nothing where no supervisor waits for it. This process tells it: the unit needs NotifyAccess=main, the default. */
export async function tellSupervisor(): Promise<void> {
  const address = process.env['NOTIFY_SOCKET']
  if (address === undefined) return
  try {
    const { notifySupervisor } = await import('../native/supervisor.ts')
    if (!notifySupervisor(address, 'READY=1')) debug('no supervisor at %s', address)
  } catch (error) {
    // A daemon that runs is worth more than one that is announced.
    debug('notifying the supervisor: %O', error)
  }
}
