// Starts a detached daemon process and waits until it says that it is ready, or why it can't be.

import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { mkdir, open, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'

import { connectControl } from '../control/client.ts'
import { CofferError } from '../errors.ts'
import { daemonEnvironment } from './daemon-environment.ts'

/** What the daemon's process sends to the one that launched it, which is the same program. */
export type LaunchMessage =
  | { ready: true; notices: readonly string[]; warnings: readonly string[] }
  | { error: { code: string; message: string } }

export interface LaunchedDaemon {
  readonly pid: number
  /** what the administrator should know, a sentence each */
  readonly notices: readonly string[]
  /** what the start could not do, a sentence each */
  readonly warnings: readonly string[]
}

/**
 * Found out early: otherwise the second daemon would say that the store is locked, which helps less.
 * @throws CofferError SOCKET_IN_USE
 */
export async function refuseSecondDaemon(socket: string): Promise<void> {
  const client = await connectControl(socket).catch(() => undefined)
  if (client === undefined) return
  client.close()
  throw new CofferError('SOCKET_IN_USE', `A coffer daemon runs already; it answers on ${socket}.`)
}

/**
 * Runs `node ...args` detached, with its output appended to `logPath`; returns once it is ready.
 * @throws CofferError with the daemon's own code and sentence when it can't start
 */
export async function launchDaemon(
  args: readonly string[],
  logPath: string,
): Promise<LaunchedDaemon> {
  await mkdir(dirname(logPath), { recursive: true, mode: 0o700 })
  const log = await openLog(logPath)
  try {
    const child = spawn(process.execPath, args, {
      detached: true,
      env: daemonEnvironment(process.env),
      stdio: ['ignore', log.fd, log.fd, 'ipc'],
    })
    const { notices, warnings } = await new Promise<Omit<LaunchedDaemon, 'pid'>>(
      (resolve, reject) => {
        child.once('error', reject)
        child.once('exit', (code, signal) => {
          const how = signal === null ? `with status ${code}` : `by ${signal}`
          const message = `The daemon ended ${how} before it was ready; see ${logPath}.`
          reject(new CofferError('START_FAILED', message))
        })
        child.on('message', value => {
          const message = value as LaunchMessage
          if ('ready' in message) resolve(message)
          else reject(new CofferError(message.error.code, message.error.message))
        })
      },
    ).finally(() => {
      if (child.connected) child.disconnect()
      child.unref()
    })
    return { pid: child.pid ?? 0, notices, warnings }
  } finally {
    await log.close()
  }
}

/**
 * Opens the log for appends without waiting for a reader: it could be a named pipe.
 * @throws CofferError FOREIGN_FILE when the path is taken by anything else than a regular file
 */
async function openLog(path: string): Promise<FileHandle> {
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants
  const flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK
  const log = await open(path, flags, 0o600).catch((cause: unknown) => {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'ELOOP') throw foreignLog(path, 'a symbolic link', cause)
    // ENXIO: a pipe that no process reads, or a socket.
    if (code === 'ENXIO' || code === 'EISDIR') throw foreignLog(path, 'no regular file', cause)
    throw cause
  })
  if ((await log.stat()).isFile()) return log
  await log.close()
  throw foreignLog(path, 'no regular file')
}

function foreignLog(path: string, what: string, cause?: unknown): CofferError {
  const message = `${path} is ${what}; a store holds its own files only. Remove it and start again.`
  return new CofferError('FOREIGN_FILE', message, { cause })
}

/** Tell the launching process, if there is one and it still waits. */
export async function tellLauncher(message: LaunchMessage): Promise<void> {
  if (process.send === undefined || !process.connected) return
  // A launcher that went away must not take the daemon with it.
  await new Promise<void>(resolve => process.send?.(message, undefined, {}, () => resolve()))
  if (process.connected) process.disconnect()
}
