// One mount that a callback package serves: starts it, notices its end, and ends it in order.

import { setTimeout as delay } from 'node:timers/promises'
import createDebug from 'debug'
import { unmountFuse } from '../../native/fuse-device.ts'
import type { Client } from '../clients.ts'
import type { ByteString, FuseFilesystem, InodeNumber } from '../filesystem.ts'
import { asMountError, FORCED_GRACE_MILLISECONDS, mountedType, MountError } from '../mount-point.ts'
import { ROOT_INODE } from '../protocol.ts'
import { raiseReadAhead } from '../read-ahead.ts'
import type { FuseMount, MountOptions, MountStatistics } from '../transport.ts'
import { napiOperations, napiOptions } from './fuse-napi.ts'
import { nativeOperations, nativeOptions } from './fuse-native.ts'
import { toExactText } from './names.ts'
import type { CallbackPackage, PackageClass, PackageMount } from './packages.ts'
import { PathFilesystem } from './path-filesystem.ts'
import { Traffic } from './traffic.ts'

const log = createDebug('coffer:fuse:callbacks')

/** How often the kernel's list of mounts is read: neither package says when somebody else has unmounted. */
const WATCH_INTERVAL_MS = 250
const NOBODY = { uid: 0, gid: 0, pid: 0 }

interface EntryInvalidator {
  invalidateEntry(path: string, done: (error: Error | null) => void): void
}

export class CallbackMount implements FuseMount {
  readonly mountPoint: string
  readonly transport: string
  readonly closed: Promise<void>
  readonly #package: CallbackPackage
  readonly #mount: PackageMount
  readonly #filesystem: PathFilesystem
  readonly #traffic = new Traffic()
  #watch: NodeJS.Timeout | undefined
  #hasBegun = false
  #hasEnded = false
  #onClosed: () => void = () => undefined

  constructor(used: CallbackPackage, options: MountOptions, filesystem: FuseFilesystem) {
    this.mountPoint = options.mountPoint
    this.transport = `${used.name} ${used.version}`
    this.closed = new Promise(resolve => {
      this.#onClosed = resolve
    })
    this.#package = used
    this.#filesystem = new PathFilesystem(filesystem)
    this.#mount = this.#makeMount(options)
  }

  /** @throws MountError */
  async start(): Promise<void> {
    // From before the mount on: what the packages do then doesn't keep the process alive.
    this.#watch = setInterval(() => {
      this.#look().catch((error: unknown) => log('%O', error))
    }, WATCH_INTERVAL_MS)
    try {
      await new Promise<void>((resolve, reject) => {
        this.#mount.mount(error =>
          error === null || error === undefined ? resolve() : reject(error),
        )
      })
      this.#hasBegun = true
    } catch (cause) {
      clearInterval(this.#watch)
      const message = cause instanceof Error ? cause.message : String(cause)
      const text = `${this.transport} could not mount ${this.mountPoint}: ${message}`
      throw new MountError('MOUNT_REFUSED', text, { cause })
    }
    await raiseReadAhead(this.mountPoint)
  }

  get statistics(): MountStatistics {
    return this.#traffic.statistics
  }

  clients(): readonly Readonly<Client>[] {
    return this.#traffic.clients.list()
  }

  async unmount(options: { readonly force?: boolean } = {}): Promise<void> {
    if (this.#hasEnded) return this.closed
    const force = options.force ?? false
    try {
      await unmountFuse(this.mountPoint, force)
    } catch (error) {
      // Somebody else was quicker, e.g. `umount`: the end is under way.
      if (!(await this.#isMounted())) return this.#end()
      if (!force) throw asMountError(error)
      log('%s: %O; ending the session all the same', this.mountPoint, error)
    }
    if (force && this.#filesystem.openCount > 0) {
      const patience = new AbortController()
      const grace = delay(FORCED_GRACE_MILLISECONDS, undefined, { signal: patience.signal })
      await Promise.race([this.closed, grace.catch(() => undefined)])
      patience.abort()
    }
    await this.#end()
  }

  /** Names at the root alone: containers, which come and go by command. The others are the kernel's own doing. */
  async invalidateEntry(parent: InodeNumber, name: ByteString): Promise<void> {
    const mount: PackageMount & Partial<EntryInvalidator> = this.#mount
    // fuse-native can't: the kernel asks again within a second.
    if (this.#hasEnded || parent !== ROOT_INODE || mount.invalidateEntry === undefined) return
    await new Promise<void>(resolve => {
      mount.invalidateEntry?.(`/${toExactText(name)}`, error => {
        if (error !== null && error !== undefined) log('%O', error)
        resolve()
      })
    })
  }

  /** Neither package can. Attributes are asked for anew each time; pages stay until the next open, or memory is short. */
  async invalidateInode(_inode: InodeNumber): Promise<void> {
    return
  }

  async notifyDelete(parent: InodeNumber, _inode: InodeNumber, name: ByteString): Promise<void> {
    await this.invalidateEntry(parent, name)
  }

  #makeMount({ mountPoint, allowOther }: MountOptions): PackageMount {
    const { name, Fuse } = this.#package
    const [filesystem, traffic] = [this.#filesystem, this.#traffic]
    if (name === 'fuse-native') {
      refuseOthers(allowOther)
      // The package would detach whatever is mounted there. Unmounting is done by then, with the addon, which refuses
      // a mount that is in use.
      Fuse.unmount = (_mountPoint, done) => done(null)
      return new Fuse(mountPoint, nativeOperations(filesystem, traffic), nativeOptions(allowOther))
    }
    letRootIn(Fuse)
    const mount: PackageMount = new Fuse(
      mountPoint,
      napiOperations(filesystem, traffic, () => mount.context?.() ?? null),
      {
        ...napiOptions(allowOther),
        onError: (error: unknown) => log('%s: %O', mountPoint, error),
      },
    )
    return mount
  }

  async #isMounted(): Promise<boolean> {
    return (await mountedType(this.mountPoint)) !== undefined
  }

  /** A detached mount lives on until its last file is closed. */
  async #look(): Promise<void> {
    if (!this.#hasBegun || this.#filesystem.openCount > 0 || (await this.#isMounted())) return
    await this.#end()
  }

  async #end(): Promise<void> {
    if (!this.#hasEnded) {
      this.#hasEnded = true
      this.#traffic.end()
      await new Promise<void>(resolve => {
        this.#mount.unmount(error => {
          if (error !== null && error !== undefined) log('%s: %O', this.mountPoint, error)
          resolve()
        })
      })
      await this.#filesystem.end(NOBODY).catch((error: unknown) => log('%O', error))
      clearInterval(this.#watch)
      log('%s: closed', this.mountPoint)
      this.#onClosed()
    }
    await this.closed
  }
}

/** The package wants `user_allow_other` in /etc/fuse.conf of everybody; libfuse, which mounts for root itself, doesn't. */
function letRootIn(Fuse: PackageClass): void {
  const check = Fuse.checkEnvironment?.bind(Fuse)
  if (check === undefined || process.getuid?.() !== 0) return
  Fuse.checkEnvironment = (options, done) => check({ ...options, allowOther: false }, done)
}

/** fuse-native doesn't tell who makes a call: what others made would belong to the daemon's user. */
function refuseOthers(allowOther: boolean): void {
  if (!allowOther) return
  const text =
    '--allow-other needs fuse-napi (Node 22 or newer) or the default transport: fuse-native does not say who makes a call.'
  throw new MountError('ALLOW_OTHER_REFUSED', text)
}
