// The processes that use the mount. The kernel names threads; whose they are and what they are called is read from /proc
// only when somebody asks, and may be gone by then.

import { readFile } from 'node:fs/promises'
import type { ClientInfo, ControlTarget } from '../control/index.ts'
import type { FuseMount } from '../fuse/index.ts'

type Activity = ReturnType<FuseMount['clients']>[number]

interface Process {
  readonly pid: number
  /** null when it has ended */
  readonly command: string | null
}

export function clientMethods(
  mount: FuseMount,
  now: () => Date,
): Pick<ControlTarget, 'stats.clients'> {
  return {
    'stats.clients': async () => {
      // The two clocks are compared once, so that times don't differ by how long /proc takes.
      const offsetMs = now().getTime() - performance.now()
      return { clients: await describeClients(mount.clients(), offsetMs) }
    },
  }
}

/** @param offsetMs from the monotonic clock to the time of day */
export async function describeClients(
  threads: readonly Activity[],
  offsetMs: number,
): Promise<ClientInfo[]> {
  const processes = await Promise.all(threads.map(({ pid }) => processOf(pid)))
  const clients = new Map<string, ClientInfo>()
  for (const [index, thread] of threads.entries()) {
    const { pid, command } = processes[index] ?? { pid: thread.pid, command: null }
    const { uid, operations, bytesWritten, bytesRead, lastMs } = thread
    const id = `${pid} ${uid}`
    const known = clients.get(id)
    if (known === undefined) {
      const lastActiveAt = new Date(offsetMs + lastMs).toISOString()
      clients.set(id, { pid, uid, command, operations, bytesWritten, bytesRead, lastActiveAt })
      continue
    }
    // Threads come with the most recently active first, so the process's time is there already.
    known.operations += operations
    known.bytesWritten += bytesWritten
    known.bytesRead += bytesRead
  }
  return [...clients.values()]
}

async function processOf(thread: number): Promise<Process> {
  const gone = { pid: thread, command: null }
  if (thread === 0) return gone
  try {
    const status = await readFile(`/proc/${thread}/status`, 'utf8')
    const pid = Number(/^Tgid:\s*(\d+)$/m.exec(status)?.[1] ?? thread)
    const command = await readFile(`/proc/${pid}/comm`, 'utf8')
    return { pid, command: command.replace(/\n$/, '') }
  } catch {
    return gone
  }
}
