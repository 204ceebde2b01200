// Whether the places that a daemon is told go together: the store, the mount, the second copies of keystores, the sockets.
// A place behind the mount would have the daemon wait for itself; a second copy inside the store is lost with it.

import { readlink, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { CofferError } from '../errors.ts'
import type { DaemonOptions } from './contract.ts'

/** A path without symbolic links, and what tells directories apart whatever they are called. */
export interface Place {
  readonly path: string
  /** device and inode of the path, if it exists, and of the existing directories above it */
  readonly ids: ReadonlySet<string>
  /** of the path itself; undefined when it doesn't exist yet */
  readonly id: string | undefined
}

export interface Places {
  readonly store: Place
  readonly mount: Place
  readonly keystoreBackup: Place
  /** the store's own keystores */
  readonly keystores: Place
  readonly socket: Place
  readonly metricsSocket: Place | undefined
}

/** As many links as Linux follows. */
const LINKS_MAX = 40

/**
 * The path of `path` without symbolic links, also where they lead to what doesn't exist yet. A dead mount counts as one
 * that doesn't exist.
 * @throws CofferError LINK_LOOP
 */
export async function resolvePath(path: string, linksLeft = LINKS_MAX): Promise<string> {
  if (linksLeft === 0) throw new CofferError('LINK_LOOP', `${path} is a loop of symbolic links.`)
  const missing: string[] = []
  for (let at = resolve(path); ; at = dirname(at)) {
    const real = await realpath(at).catch(() => undefined)
    if (real !== undefined) return join(real, ...missing)
    const target = await readlink(at).catch(() => undefined)
    if (target !== undefined) {
      return await resolvePath(join(resolve(dirname(at), target), ...missing), linksLeft - 1)
    }
    if (at === dirname(at)) return join(at, ...missing)
    missing.unshift(basename(at))
  }
}

export async function resolvePlace(path: string): Promise<Place> {
  const real = await resolvePath(path)
  const ids = new Set<string>()
  const id = await idOf(real)
  for (let at = real; ; at = dirname(at)) {
    const found = at === real ? id : await idOf(at)
    if (found !== undefined) ids.add(found)
    if (at === dirname(at)) break
  }
  return { path: real, ids, id }
}

async function idOf(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  return found && `${found.dev}:${found.ino}`
}

/** Whether `inner` is `outer` or lies below it, by its path or by the directory that it really is. */
function isWithin(inner: Place, outer: Place): boolean {
  if (inner.path === outer.path) return true
  if (inner.path.startsWith(outer.path === '/' ? '/' : `${outer.path}/`)) return true
  return outer.id !== undefined && inner.ids.has(outer.id)
}

/** What is wrong with the places; undefined when they go together. */
export function findConflict(places: Places): CofferError | undefined {
  const { store, mount, keystoreBackup, keystores, socket, metricsSocket } = places
  if (isWithin(store, mount)) {
    const text = `The store ${store.path} lies on or below its own mount point ${mount.path}.`
    return new CofferError('MOUNT_POINT', `${text} Choose another directory with --mount.`)
  }
  if (isWithin(mount, store)) {
    const text = `The mount point ${mount.path} lies in the store ${store.path}.`
    return new CofferError('MOUNT_POINT', `${text} Choose another directory with --mount.`)
  }
  const outside = 'Choose a directory on another disk with --keystore-backup.'
  const backup = `The keystore backup ${keystoreBackup.path}`
  if (isWithin(keystoreBackup, store) || isWithin(keystoreBackup, keystores)) {
    const text = `${backup} lies in the store ${store.path} and would be lost with it. ${outside}`
    return new CofferError('KEYSTORE_BACKUP_PLACE', text)
  }
  if (isWithin(keystoreBackup, mount)) {
    const text = `${backup} lies below the mount point ${mount.path}, which needs it. ${outside}`
    return new CofferError('KEYSTORE_BACKUP_PLACE', text)
  }
  if (isWithin(socket, mount)) {
    const text = `The control socket ${socket.path} lies below the mount point ${mount.path}.`
    return new CofferError('SOCKET_PLACE', `${text} Choose another path with --socket.`)
  }
  if (metricsSocket !== undefined && isWithin(metricsSocket, mount)) {
    const text = `The metrics socket ${metricsSocket.path} lies below the mount point ${mount.path}.`
    return new CofferError('SOCKET_PLACE', `${text} Choose another path with --metrics-socket.`)
  }
  return undefined
}

/** Makes nothing. @throws CofferError MOUNT_POINT, KEYSTORE_BACKUP_PLACE, SOCKET_PLACE */
export async function checkPlaces(options: DaemonOptions, keystoreBackup: string): Promise<void> {
  const { store, mount, socket, metrics } = options
  const conflict = findConflict({
    store: await resolvePlace(store),
    mount: await resolvePlace(mount),
    keystoreBackup: await resolvePlace(keystoreBackup),
    keystores: await resolvePlace(join(store, 'keystores')),
    socket: await resolvePlace(socket),
    metricsSocket:
      metrics !== undefined && 'socket' in metrics ? await resolvePlace(metrics.socket) : undefined,
  })
  if (conflict !== undefined) throw conflict
}
