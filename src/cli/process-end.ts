// Waits for a process that is not a child of this one.

import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

import { hasCode } from '../control/socket-path.ts'
import { CofferError } from '../errors.ts'

/** A daemon commits what it has in memory before it ends; slow disks take their time. */
const STOP_TIMEOUT_MILLISECONDS = 10 * 60 * 1000
const STOP_POLL_MILLISECONDS = 50

/**
 * Until the daemon's process is gone.
 * @throws CofferError STOP_TIMEOUT
 */
export async function waitForEnd(pid: number): Promise<void> {
  const deadline = performance.now() + STOP_TIMEOUT_MILLISECONDS
  while (await isRunning(pid)) {
    if (performance.now() > deadline) {
      const message = `The daemon (process ${pid}) was told to stop and still runs; is a file on the mount open?`
      throw new CofferError('STOP_TIMEOUT', message)
    }
    await sleep(STOP_POLL_MILLISECONDS)
  }
}

async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it lives, and belongs to somebody else.
    return !hasCode(error, 'ESRCH')
  }
  // A process whose parent never asks for its status stays as a zombie: in a container without an
  // init that can be forever. Where there is no /proc, signal 0 has to do.
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return !/\) [ZX] /.test(stat)
}
