// What a transport is: it mounts a filesystem and carries the kernel's requests to it. The rest of the program knows a
// mount by this face alone, whoever carries.

import type { Client } from './clients.ts'
import type { ByteString, FuseFilesystem, InodeNumber } from './filesystem.ts'
import type { Latencies } from './latencies.ts'

/** `device`: our own device layer. `fuse-native`: the callbacks of a package of Node's registry (callbacks/). */
export type TransportName = 'device' | 'fuse-native'

export interface MountOptions {
  /** an existing directory that nothing is mounted on, without symlinks */
  readonly mountPoint: string
  /** let other users than the one who mounts in; permission bits are checked by the kernel either way */
  readonly allowOther: boolean
  /** idle processors are not kept awake while clients ask often */
  readonly letProcessorsSleep: boolean
}

export interface Transport {
  /** Mounts `filesystem` and serves it until it is unmounted. @throws MountError */
  mount(options: MountOptions, filesystem: FuseFilesystem): Promise<FuseMount>
}

export interface MountStatistics {
  readonly requests: number
  /** handed to readers */
  readonly bytesRead: number
  /** taken from writers */
  readonly bytesWritten: number
  /** by the opcode's name in lower case, those that came at least once */
  readonly requestsByOpcode: Readonly<Record<string, number>>
  /** since the mount; goes on counting */
  readonly latencies: Readonly<Latencies>
  /** replies and notifications that the device's threads have yet to write */
  readonly repliesInFlight: number
  /** requests that are not answered yet */
  readonly requestsWaiting: number
}

export interface FuseMount {
  /** without symlinks */
  readonly mountPoint: string
  /** what carries the requests, for people: `device`, or a package with its version */
  readonly transport: string
  /** Settles when the mount is gone, whoever unmounted it. Never rejects. */
  readonly closed: Promise<void>
  readonly statistics: MountStatistics
  /** The threads whose requests came last, the most recently active first; bounded. */
  clients(): readonly Readonly<Client>[]
  /**
   * Unmounts and waits for the end of the session.
   * @param options.force detach the mount even when it is in use, and cut its users off soon after
   * @throws MountError EBUSY when it is in use
   */
  unmount(options?: { readonly force?: boolean }): Promise<void>
  /**
   * The kernel drops what it knows of a name, including that it doesn't exist. The promise settles when that is
   * done; never await it within an operation, which may hold the very lock that the kernel waits for.
   */
  invalidateEntry(parent: InodeNumber, name: ByteString): Promise<void>
  /** The same for an inode's attributes and cached pages. */
  invalidateInode(inode: InodeNumber): Promise<void>
  /** As invalidateEntry for a name that is gone: watchers (inotify) hear of it, and its inode is let go. */
  notifyDelete(parent: InodeNumber, inode: InodeNumber, name: ByteString): Promise<void>
}
