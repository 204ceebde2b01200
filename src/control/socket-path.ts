// Takes the path of the control socket into possession: a live owner is an error, a dead one's
// leftover is removed.

import { lstat, mkdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname } from 'node:path'

import { CofferError } from '../errors.ts'

/** sun_path of Linux holds 108 bytes with its final zero; Node truncates or fails obscurely beyond. */
const MAX_PATH_BYTES = 107

/** The socket's directory is created for its owner alone: whoever connects controls the store. */
const DIRECTORY_MODE = 0o700

/** The error for a path that the system refuses. */
export function unusableSocket(path: string, cause: Error): CofferError {
  const text = `The socket ${path} can't be opened: ${cause.message}. Choose another path.`
  return new CofferError('SOCKET_UNUSABLE', text, { cause })
}

/** Makes `path` free to listen on. @throws CofferError SOCKET_IN_USE, SOCKET_UNUSABLE, SOCKET_PATH_… */
export async function claimSocketPath(path: string): Promise<void> {
  try {
    await claim(path)
  } catch (error) {
    if (error instanceof CofferError || !(error instanceof Error)) throw error
    throw unusableSocket(path, error)
  }
}

async function claim(path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new CofferError(
      'SOCKET_PATH_TOO_LONG',
      `The socket path ${path} is longer than ${MAX_PATH_BYTES} bytes; choose a shorter one.`,
    )
  }
  await mkdir(dirname(path), { recursive: true, mode: DIRECTORY_MODE })
  const stats = await lstat(path).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  })
  if (stats === undefined) return
  if (!stats.isSocket()) {
    throw new CofferError(
      'SOCKET_PATH_TAKEN',
      `${path} exists and is not a socket; it was left alone.`,
    )
  }
  if (await isAnswered(path)) {
    throw new CofferError('SOCKET_IN_USE', `Another coffer daemon answers on ${path}.`)
  }
  await rm(path, { force: true })
}

/** Whether someone listens; only a refused connection proves that nobody does. */
async function isAnswered(path: string): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', error => {
      if (hasCode(error, 'ECONNREFUSED') || hasCode(error, 'ENOENT')) resolve(false)
      // A full backlog: somebody is there, and busy.
      else if (hasCode(error, 'EAGAIN')) resolve(true)
      else reject(error)
    })
  })
}

/** Whether an error of unknown origin carries this code. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
