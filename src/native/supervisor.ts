// The typed face of the addon's notices to the program that supervises the daemon. The native side: native/common/process.cc.

import { loadAddon } from './addon.ts'

interface SupervisorAddon {
  notifySupervisor(address: string, message: string): boolean
}

/**
 * Sends a datagram as sd_notify(3) does, which Node can't: it has no datagrams of Unix sockets.
 * @param address a path, or `@name` of the abstract namespace
 * @returns false when nobody takes it
 */
export function notifySupervisor(address: string, message: string): boolean {
  return (loadAddon() as SupervisorAddon).notifySupervisor(address, message)
}
