// Starts the daemon: opens the store, mounts it, serves the control socket. A start that fails undoes what it did, once.

import createDebug from 'debug'
import { startControlServer } from '../control/index.ts'
import type { ControlCaller, ControlTarget } from '../control/index.ts'
import { StoreError } from '../errors.ts'
import { clearDeadMount, mountFilesystem } from '../fuse/index.ts'
import type { FuseMount } from '../fuse/index.ts'
import { plural } from '../plural.ts'
import { reporterOf, reportInternalError, setInternalErrorSink } from '../internal-errors.ts'
import { lockFileExclusive, setDumpable, setIoFlusher } from '../native/fuse-device.ts'
import { VERSION } from '../version.ts'
import type { Timestamp } from '../vfs/index.ts'
import { checkBeforeStart } from './before-start.ts'
import type { DaemonOptions, RunningDaemon } from './contract.ts'
import { settleIdentity } from './copied-store.ts'
import { controlTarget } from './control-target.ts'
import { JobBoard } from './job-board.ts'
import { createLogger, logFatalErrors, type Logger } from './logger.ts'
import { startMetricsServer } from './metrics-server.ts'
import { countEntries, makeMountPoint } from './mount-directory.ts'
import { checkPlaces } from './places.ts'
import { openStorage } from './open-storage.ts'
import { Daemon } from './running-daemon.ts'
import type { Storage } from './storage.ts'
import { defaultKeystoreBackup, unlockFromFiles } from './start-keys.ts'
import { openStoreDirectory, type StoreDirectory } from './store-directory.ts'
import { StoreRegistry } from './store-registry.ts'

const log = createDebug('coffer:daemon')

/** The QoreStor guide's smallest quota. */
const QUOTA_BYTES_MIN = 100 * 2 ** 30
const NOTHING_YET = { bytesRead: 0, bytesWritten: 0 }
/** The caller of a method that was not called over the control socket. */
const NOBODY: ControlCaller = { notify: () => false, gone: new AbortController().signal }
/** A day: an administrator who finds something missing in the morning can still bring it back. */
const TRASH_SECONDS = 24 * 3600

/** @throws CofferError with a sentence for the administrator when it can't start; nothing is left behind then */
export async function startDaemon(options: DaemonOptions): Promise<RunningDaemon> {
  const logger = createLogger(options.logLevel ?? 'info', process.env)
  setInternalErrorSink((where, error) => logger.internalError(where, error))
  logFatalErrors(logger)
  await checkBeforeStart(options, options.create === true ? 'create' : 'never')
  const opened = await openStoreDirectory(options.store)
  lockStore(opened.lock, options.store)
  const registry = new StoreRegistry(options.keystoreBackup ?? defaultKeystoreBackup())
  const answer = options.copyAnswer ?? 'ask'
  const directory = await settleIdentity(opened, options.store, registry, answer)
  if (await clearDeadMount(options.mount)) log('took a dead mount away from %s', options.mount)
  const mountPoint = await makeMountPoint(options.mount)
  const hiddenCount = await countEntries(mountPoint)
  const late: { mount?: FuseMount } = {}
  const storage = await openStorageFor(options, directory, late, logger)
  const notices = recordNotices(storage, directory, mountPoint, hiddenCount)
  const { mount, warnings } = await unlockAndMount(options, storage, mountPoint).catch(
    async (error: unknown) => {
      await storage.close().catch(failedUndoing)
      throw error
    },
  )
  late.mount = mount
  const { massDeletePercent } = options
  const daemon = new Daemon({
    storage,
    mount,
    nowSeconds: () => wallClock().seconds,
    massDeleteShare: massDeletePercent === undefined ? undefined : massDeletePercent / 100,
    notices,
    warnings,
  })
  try {
    await serve(options, directory, storage, mount, daemon)
  } catch (error) {
    // The one way to end: unmounting has the daemon close the storage.
    await daemon.stop({ force: true }).catch(failedUndoing)
    throw error
  }
  const text = `Version ${VERSION} serves ${directory.path} on ${mountPoint}.`
  storage.alerting.events.record('DAEMON_STARTED', 'info', text)
  return daemon
}

const failedUndoing = reporterOf('undoing a failed start')

function openStorageFor(
  options: DaemonOptions,
  directory: StoreDirectory,
  late: { mount?: FuseMount },
  logger: Logger,
): Promise<Storage> {
  return openStorage({
    directory,
    now: wallClock,
    keystoreBackup: options.keystoreBackup ?? defaultKeystoreBackup(),
    trash: {
      keepSeconds: options.trashSeconds ?? TRASH_SECONDS,
      keyRetirement: options.keyRetirement ?? 'wait',
    },
    storePath: options.store,
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
}

/** @returns sentences for the administrator who starts it */
function recordNotices(
  storage: Storage,
  directory: StoreDirectory,
  mountPoint: string,
  hiddenCount: number,
): string[] {
  const { events } = storage.alerting
  const notices: string[] = []
  if (directory.isNew) {
    const text = `A new store was created in ${directory.path}.`
    events.record('STORE_NEW', 'info', text)
    notices.push(text)
  }
  if (hiddenCount > 0) {
    const text = `${mountPoint} is not empty: the mount hides ${plural(hiddenCount, 'entry', 'entries')}.`
    events.record('MOUNT_NOT_EMPTY', 'warning', text)
    notices.push(text)
  }
  return notices
}

/** @returns the mount, and sentences about groups that stay locked. @throws CofferError */
async function unlockAndMount(
  options: DaemonOptions,
  storage: Storage,
  mountPoint: string,
): Promise<{ mount: FuseMount; warnings: string[] }> {
  // No key may be in a core dump, and no other process of the same user may look into this one.
  if (!setDumpable(false)) log('core dumps could not be turned off')
  const { passphraseFiles = [], requireUnlocked = false } = options
  const warnings = await unlockFromFiles(storage, passphraseFiles, requireUnlocked)
  const { allowOther, transport = 'device', letProcessorsSleep = false } = options
  const how = { mountPoint, allowOther, transport, letProcessorsSleep }
  // Once more: since the first look directories were made, and links may lead to them.
  await checkPlaces(options, options.keystoreBackup ?? defaultKeystoreBackup())
  const mount = await mountFilesystem(how, storage.vfs)
  if (!setIoFlusher()) log('not privileged to be an I/O flusher')
  return { mount, warnings }
}

/** Opens the control socket, and the metrics where they are wanted. @throws CofferError SOCKET_* */
async function serve(
  options: DaemonOptions,
  directory: StoreDirectory,
  storage: Storage,
  mount: FuseMount,
  daemon: Daemon,
): Promise<void> {
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
    jobs: new JobBoard(() => wallClock().seconds),
    unmount: how => daemon.unmount(how),
  })
  const server = await startControlServer(options.socket, target)
  await daemon.serve(server)
  await serveMetrics(options, storage, daemon, target)
}

/** Metrics that can't be served are an alert: the mount matters more. */
async function serveMetrics(
  { metrics }: DaemonOptions,
  { alerts }: Storage,
  daemon: Daemon,
  target: ControlTarget,
): Promise<void> {
  try {
    if (metrics !== undefined) {
      const write = () => target['stats.prometheus']({}, NOBODY)
      await daemon.serve(await startMetricsServer(metrics, write))
    }
    alerts.clear('METRICS_UNAVAILABLE')
  } catch (error) {
    reportInternalError('opening the metrics endpoint', error)
    const reason = error instanceof Error ? error.message : String(error)
    alerts.raise('METRICS_UNAVAILABLE', reason)
  }
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

/** Milliseconds are what Node's clock knows; ext4's own stamps are coarser (a jiffy). */
function wallClock(): Timestamp {
  const milliseconds = Date.now()
  return {
    seconds: Math.floor(milliseconds / 1000),
    nanoseconds: (milliseconds % 1000) * 1_000_000,
  }
}
