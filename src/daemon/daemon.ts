// The daemon: opens the store, mounts it, serves the control socket, and ends all of it in order.

import { mkdir } from 'node:fs/promises'
import createDebug from 'debug'
import { startControlServer } from '../control/index.ts'
import type { ControlCaller } from '../control/index.ts'
import { CofferError, StoreError } from '../errors.ts'
import { clearDeadMount, mountFilesystem } from '../fuse/index.ts'
import type { FuseMount } from '../fuse/index.ts'
import { lockFileExclusive, setDumpable, setIoFlusher } from '../native/fuse-device.ts'
import { VERSION } from '../version.ts'
import type { Timestamp } from '../vfs/index.ts'
import type { DaemonOptions, RunningDaemon } from './contract.ts'
import { controlTarget } from './control-target.ts'
import { JobBoard } from './job-board.ts'
import { createLogger } from './logger.ts'
import { Lookout } from './lookout.ts'
import { MemoryKeeper } from './memory-keeper.ts'
import { LoopDelay } from './loop-delay.ts'
import { startMetricsServer } from './metrics-server.ts'
import { openStorage } from './open-storage.ts'
import type { Storage } from './storage.ts'
import { defaultKeystoreBackup, unlockFromFiles } from './start-keys.ts'
import { checkMountPoint, openStoreDirectory } from './store-directory.ts'
import { Throughput } from './throughput.ts'

const log = createDebug('coffer:daemon')

/** The QoreStor guide's smallest quota. */
const QUOTA_BYTES_MIN = 100 * 2 ** 30
const NOTHING_YET = { bytesRead: 0, bytesWritten: 0 }
/** Who asks when nobody waits on the control socket. */
const NOBODY: ControlCaller = { notify: () => false, gone: new AbortController().signal }
/** A day: an administrator who finds something missing in the morning can still bring it back. */
const TRASH_SECONDS = 24 * 3600
const SAMPLE_INTERVAL_MS = 1000
/** Intervals are days: a minute late is early enough. */
const ROTATION_CHECK_INTERVAL_MS = 60 * 1000

/** @throws CofferError with a sentence for the administrator when it can't start; nothing is left behind then */
export async function startDaemon(options: DaemonOptions): Promise<RunningDaemon> {
  const undo: (() => Promise<void>)[] = []
  try {
    return await start(options, undo)
  } catch (error) {
    for (const step of undo.reverse()) {
      await step().catch((failure: unknown) => log('while undoing a failed start: %O', failure))
    }
    throw error
  }
}

async function start(
  options: DaemonOptions,
  undo: (() => Promise<void>)[],
): Promise<RunningDaemon> {
  const logger = createLogger(options.logLevel ?? 'info', process.env)
  const directory = await openStoreDirectory(options.store)
  lockStore(directory.lock, options.store)
  if (await clearDeadMount(options.mount)) log('took a dead mount away from %s', options.mount)
  await mkdir(options.mount, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    // Something is there already; whether it can be mounted on is checked next.
    if (error.code !== 'EEXIST') throw error
  })
  const mountPoint = await checkMountPoint(options.mount, directory.path)
  const late: { mount?: FuseMount } = {}
  const storage = await openStorage({
    directory,
    now: wallClock,
    keystoreBackup: options.keystoreBackup ?? defaultKeystoreBackup(),
    trash: {
      keepSeconds: options.trashSeconds ?? TRASH_SECONDS,
      keyRetirement: options.keyRetirement ?? 'wait',
    },
    pagesChanged: async inode => late.mount?.invalidateInode(inode),
    recorded: event => logger.event(event),
    clientBytes: () => {
      const { bytesRead, bytesWritten } = late.mount?.statistics ?? NOTHING_YET
      return { read: bytesRead, written: bytesWritten }
    },
    clientOperations: () => late.mount?.statistics.requests ?? 0,
    entryChanged: (parent, name) => {
      const forgotten = [
        late.mount?.invalidateEntry(parent, name),
        // Of a name that it hasn't met the kernel takes no notice, but its listing of the directory is an old one all the same.
        late.mount?.invalidateInode(parent),
      ]
      for (const each of forgotten) each?.catch((error: unknown) => log('%O', error))
    },
  })
  undo.push(() => storage.close())
  // No key may be in a core dump, and nobody of the same user may look into this process.
  if (!setDumpable(false)) log('core dumps could not be turned off')
  await unlockFromFiles(storage, options.passphraseFiles ?? [])
  const { allowOther, transport = 'device', letProcessorsSleep = false } = options
  const mount = await mountFilesystem(
    { mountPoint, allowOther, transport, letProcessorsSleep },
    storage.vfs,
  )
  late.mount = mount
  undo.push(() => mount.unmount({ force: true }))
  if (!setIoFlusher()) log('not privileged to be an I/O flusher')
  const { massDeletePercent } = options
  const massDeleteShare = massDeletePercent === undefined ? undefined : massDeletePercent / 100
  const daemon = new Daemon(storage, mount, massDeleteShare)
  const jobs = new JobBoard(() => wallClock().seconds)
  const target = controlTarget({
    storage,
    mount,
    version: VERSION,
    socket: options.socket,
    storePath: directory.path,
    mailPasswordPath: directory.mailPassword,
    diagnosticsPath: directory.diagnostics,
    metadataPath: directory.metadata,
    startedAt: new Date(),
    now: () => new Date(),
    quotaBytesMin: options.quotaBytesMin ?? QUOTA_BYTES_MIN,
    throughput: daemon.throughput,
    loopDelay: daemon.loopDelay,
    jobs,
    unmount: how => daemon.unmount(how),
  })
  if (options.metrics !== undefined) {
    const metrics = await startMetricsServer(options.metrics, () =>
      target['stats.prometheus']({}, NOBODY),
    )
    undo.push(() => metrics.close())
    daemon.serve(metrics)
  }
  daemon.serve(await startControlServer(options.socket, target))
  storage.alerting.events.record(
    'DAEMON_STARTED',
    'info',
    `Version ${VERSION} serves ${directory.path} on ${mountPoint}.`,
  )
  return daemon
}

/** The lock ends with the process. @throws StoreError STORE_IN_USE */
function lockStore(path: string, store: string): void {
  try {
    lockFileExclusive(path)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code !== 'EAGAIN' && code !== 'EWOULDBLOCK') throw cause
    throw new StoreError('STORE_IN_USE', `Another daemon has the store ${store} open.`, { cause })
  }
}

interface Server {
  close(): Promise<void>
}

class Daemon implements RunningDaemon {
  readonly stopped: Promise<void>
  readonly throughput = new Throughput()
  readonly loopDelay = new LoopDelay()
  readonly #storage: Storage
  readonly #mount: FuseMount
  readonly #sampler: NodeJS.Timeout
  readonly #rotation: NodeJS.Timeout
  readonly #lookout: Lookout
  readonly #memory = new MemoryKeeper()
  readonly #servers: Server[] = []
  #unmounting: Promise<void> | undefined

  constructor(storage: Storage, mount: FuseMount, massDeleteShare: number | undefined) {
    this.#storage = storage
    this.#mount = mount
    this.#sampler = setInterval(() => {
      const { bytesWritten, bytesRead } = mount.statistics
      this.throughput.sample(performance.now(), bytesWritten, bytesRead)
    }, SAMPLE_INTERVAL_MS)
    this.#sampler.unref()
    this.#rotation = setInterval(() => {
      storage.encryption.tick().then(
        () => storage.alerts.clear('KEY_ROTATION_FAILED'),
        (error: unknown) => {
          const reason = error instanceof Error ? error.message : String(error)
          storage.alerts.raise('KEY_ROTATION_FAILED', `A key rotation failed: ${reason}`)
        },
      )
    }, ROTATION_CHECK_INTERVAL_MS)
    this.#rotation.unref()
    this.#lookout = new Lookout(storage, () => wallClock().seconds, massDeleteShare)
    // Whoever unmounts: once the mount is gone, what it wrote is committed and the rest ends.
    this.stopped = mount.closed.then(() => this.#end())
  }

  /** It ends with the daemon. */
  serve(server: Server): void {
    this.#servers.push(server)
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
      await Promise.all(this.#servers.map(server => server.close()))
    }
  }
}

/** Milliseconds are what Node's clock knows; ext4's own stamps are coarser (a jiffy). */
function wallClock(): Timestamp {
  const milliseconds = Date.now()
  return {
    seconds: Math.floor(milliseconds / 1000),
    nanoseconds: (milliseconds % 1000) * 1_000_000,
  }
}
