// What each control method does. Validation has happened at the control edge; errors carry their stable codes.

import type { ControlTarget } from '../control/index.ts'
import type { FuseMount } from '../fuse/index.ts'
import { alertMethods, showAlerts } from './alert-methods.ts'
import { clientMethods } from './client-methods.ts'
import { ControlViews } from './control-views.ts'
import { diagnosticsMethods } from './diagnostics-methods.ts'
import { maintenanceMethods } from './maintenance-methods.ts'
import { recoveryMethods } from './recovery-methods.ts'
import { repairMethods } from './repair-methods.ts'
import { scanMethods } from './scan-methods.ts'
import type { JobBoard } from './job-board.ts'
import { jobMethods } from './job-methods.ts'
import { StatisticsMethods } from './statistics-methods.ts'
import { groupMethods } from './group-methods.ts'
import type { LoopDelay } from './loop-delay.ts'
import { scheduleMethods } from './schedule-methods.ts'
import type { Storage } from './storage.ts'
import type { Throughput } from './throughput.ts'
import { trashMethods } from './trash-methods.ts'

export interface ControlTargetOptions {
  readonly storage: Storage
  readonly mount: FuseMount
  readonly version: string
  readonly socket: string
  readonly storePath: string
  readonly metadataPath: string
  readonly mailPasswordPath: string
  readonly diagnosticsPath: string
  readonly startedAt: Date
  readonly now: () => Date
  readonly quotaBytesMin: number
  readonly throughput: Throughput
  readonly loopDelay: LoopDelay
  readonly jobs: JobBoard
  /** resolves when the mount is gone; the daemon then ends by itself. @throws CofferError MOUNT_BUSY */
  readonly unmount: (options: { force: boolean }) => Promise<void>
}

const NOTHING = {}

export function controlTarget(options: ControlTargetOptions): ControlTarget {
  const views = new ControlViews(options.storage)
  const statistics = new StatisticsMethods(options)
  return {
    ...daemonMethods(options),
    ...groupMethods(options, views),
    ...containerMethods(options, views),
    'stats.system': () => statistics.system(),
    'stats.prometheus': () => statistics.prometheus(),
    'stats.storageGroup': ({ name }) => statistics.storageGroup(name),
    'stats.container': ({ name }) => statistics.container(name),
    ...clientMethods(options.mount, options.now),
    ...maintenanceMethods(options.storage, options.jobs, options.now),
    ...trashMethods(options.storage),
    ...recoveryMethods(options.storage, options.jobs),
    ...scanMethods(options.storage, options.jobs),
    ...repairMethods(options.storage, options.jobs),
    ...alertMethods(options),
    ...scheduleMethods({
      schedules: options.storage.schedules,
      record: (code, text) => options.storage.alerting.events.record(code, 'info', text),
      commit: () => options.storage.metadata.commit(),
      now: options.now,
    }),
    ...diagnosticsMethods({ ...options, statistics: () => statistics.system() }),
    ...jobMethods(options.jobs),
  }
}

function daemonMethods(
  options: ControlTargetOptions,
): Pick<ControlTarget, 'system.status' | 'daemon.stop'> {
  const { storage, mount } = options
  return {
    'system.status': async () => ({
      version: options.version,
      pid: process.pid,
      store: options.storePath,
      mount: mount.mountPoint,
      transport: mount.transport,
      socket: options.socket,
      startedAt: options.startedAt.toISOString(),
      uptimeSeconds: (options.now().getTime() - options.startedAt.getTime()) / 1000,
      groups: storage.groups.list().length,
      containers: storage.vfs.containers().length,
      lockedGroups: storage.encryption.lockedGroups().map(({ name }) => name),
      isReadOnly: storage.readOnlyReason !== undefined,
      readOnlyReason: storage.readOnlyReason ?? null,
      ...showAlerts(storage.alerts),
    }),
    'daemon.stop': async ({ force }) => {
      await options.unmount({ force })
      return NOTHING
    },
  }
}

function containerMethods(
  { storage }: ControlTargetOptions,
  views: ControlViews,
): Pick<
  ControlTarget,
  'container.show' | 'container.add' | 'container.rename' | 'container.delete'
> {
  const { vfs, groups } = storage
  return {
    'container.show': async ({ name }) => ({
      containers: (name === undefined ? vfs.containers() : [vfs.containerByName(name)]).map(each =>
        views.container(each),
      ),
    }),
    'container.add': async ({ name, group }) => {
      const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
      const container = await storage.encryption.beside(groups.named(group), () =>
        vfs.addContainer({ name, group: groups.named(group).id, ...owner }),
      )
      const text = `Container ${name} was added to storage group ${group}.`
      storage.alerting.events.record('CONTAINER_ADDED', 'info', text)
      await storage.metadata.commit()
      return views.container(container)
    },
    'container.rename': async ({ name, newName }) => {
      const container = vfs.renameContainer(name, newName)
      const text = `Container ${name} was renamed to ${newName}.`
      storage.alerting.events.record('CONTAINER_RENAMED', 'info', text)
      await storage.metadata.commit()
      return views.container(container)
    },
    'container.delete': async ({ name, deleteFiles }) => {
      vfs.deleteContainer(name, { deleteFiles })
      storage.alerts.endOf('container', name)
      const text = `Container ${name} was deleted${deleteFiles ? ' with its files' : ''}.`
      storage.alerting.events.record('CONTAINER_DELETED', 'info', text)
      await storage.metadata.commit()
      return NOTHING
    },
  }
}
