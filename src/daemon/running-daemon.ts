// A daemon that serves a mount, and how it ends: once, in order, whatever made it end.

import createDebug from 'debug'
import { CofferError } from '../errors.ts'
import type { FuseMount } from '../fuse/index.ts'
import { reportInternalError } from '../internal-errors.ts'
import type { RunningDaemon } from './contract.ts'
import { Lookout } from './lookout.ts'
import { LoopDelay } from './loop-delay.ts'
import { MemoryKeeper } from './memory-keeper.ts'
import type { Storage } from './storage.ts'
import { Throughput } from './throughput.ts'

const log = createDebug('coffer:daemon')

const SAMPLE_INTERVAL_MS = 1000
/** Intervals are days: a minute late is early enough. */
const ROTATION_CHECK_INTERVAL_MS = 60 * 1000

interface Server {
  close(): Promise<void>
}

export interface DaemonParts {
  readonly storage: Storage
  readonly mount: FuseMount
  readonly nowSeconds: () => number
  /** of a container's files; undefined: the default of the check */
  readonly massDeleteShare: number | undefined
  readonly notices: readonly string[]
  readonly warnings: readonly string[]
}

export class Daemon implements RunningDaemon {
  readonly stopped: Promise<void>
  readonly notices: readonly string[]
  readonly warnings: readonly string[]
  readonly throughput = new Throughput()
  readonly loopDelay = new LoopDelay()
  readonly #storage: Storage
  readonly #mount: FuseMount
  readonly #sampler: NodeJS.Timeout
  readonly #rotation: NodeJS.Timeout
  readonly #lookout: Lookout
  readonly #memory = new MemoryKeeper()
  readonly #servers: Server[] = []
  #areServersClosing = false
  #unmounting: Promise<void> | undefined

  /** From here on everything that it is given ends with it. */
  constructor(parts: DaemonParts) {
    const { storage, mount, nowSeconds, massDeleteShare, notices, warnings } = parts
    this.#storage = storage
    this.#mount = mount
    this.notices = notices
    this.warnings = warnings
    this.#sampler = setInterval(() => {
      const { bytesWritten, bytesRead } = mount.statistics
      this.throughput.sample(performance.now(), bytesWritten, bytesRead)
    }, SAMPLE_INTERVAL_MS)
    this.#sampler.unref()
    this.#rotation = setInterval(() => this.#rotateKeys(), ROTATION_CHECK_INTERVAL_MS)
    this.#rotation.unref()
    this.#lookout = new Lookout(storage, nowSeconds, massDeleteShare)
    // Every end begins here, also one by `umount`: the mount is gone, what it wrote is committed, the rest ends.
    this.stopped = mount.closed.then(() => this.#end())
    // A start that is still under way may fail before its caller listens.
    this.stopped.catch((error: unknown) => log('the end failed: %O', error))
  }

  /** The server ends with the daemon. */
  async serve(server: Server): Promise<void> {
    if (this.#areServersClosing) await server.close()
    else this.#servers.push(server)
  }

  /** @throws CofferError MOUNT_BUSY when files are open and it is not forced; the daemon then goes on */
  async stop(how: { force: boolean }): Promise<void> {
    await this.unmount(how)
    await this.stopped
  }

  /** The first half of stopping, and the one that may be refused; the second follows by itself. */
  unmount(how: { force: boolean }): Promise<void> {
    this.#unmounting ??= this.#mount
      .unmount(how)
      .catch((cause: unknown) => {
        const text = 'The mount is in use; close its files or use --force.'
        throw new CofferError('MOUNT_BUSY', text, { cause })
      })
      .finally(() => {
        this.#unmounting = undefined
      })
    return this.#unmounting
  }

  #rotateKeys(): void {
    const { encryption, alerts } = this.#storage
    encryption.tick().then(
      () => alerts.clear('KEY_ROTATION_FAILED'),
      (error: unknown) => {
        reportInternalError('a key rotation', error)
        const reason = error instanceof Error ? error.message : String(error)
        alerts.raise('KEY_ROTATION_FAILED', `A key rotation failed: ${reason}`)
      },
    )
  }

  async #end(): Promise<void> {
    clearInterval(this.#sampler)
    clearInterval(this.#rotation)
    this.#lookout.stop()
    this.loopDelay.stop()
    await this.#memory.stop()
    try {
      await this.#storage.close()
    } finally {
      // The kernel ends the session first and then drops its cache of the mount, which can take longer than all of this;
      // who asked for the end is answered after that, so the control socket has to be there.
      await this.#unmounting?.catch(() => {})
      this.#areServersClosing = true
      await Promise.all(this.#servers.map(server => server.close()))
    }
  }
}
