// What each control method does. Validation has happened at the control edge; errors carry their stable codes.

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ControlTarget, GroupInfo, ContainerInfo as ContainerView } from '../control/index.ts'
import type { FuseMount } from '../fuse/index.ts'
import type { ContainerInfo } from '../vfs/index.ts'
import { savingsOf, sumBlocks } from './savings.ts'
import type { Storage } from './storage.ts'
import type { StorageGroup } from './storage-groups.ts'
import { Throughput } from './throughput.ts'

export interface ControlTargetOptions {
  readonly storage: Storage
  readonly mount: FuseMount
  readonly version: string
  readonly socket: string
  readonly storePath: string
  readonly metadataPath: string
  readonly startedAt: Date
  readonly now: () => Date
  readonly throughput: Throughput
  /** begins to stop; returns at once */
  readonly stop: (options: { force: boolean }) => void
}

const NOTHING = {}

export function controlTarget(options: ControlTargetOptions): ControlTarget {
  const { storage, mount } = options
  const { vfs, groups } = storage

  const groupView = (group: StorageGroup): GroupInfo => ({
    name: group.name,
    compression: group.compression,
    chunkSizeBytes: group.chunkSizeBytes,
    containers: vfs.containers().filter(container => container.group === group.id).length,
    isEncrypted: false,
    isLocked: false,
  })
  const containerView = (container: ContainerInfo): ContainerView => ({
    name: container.name,
    group: groups.byId(container.group).name,
    createdAt: new Date(container.created.seconds * 1000).toISOString(),
    files: container.fileCount,
    currentBytes: container.logicalBytes,
  })
  const alertViews = () =>
    storage.alerts.list().map(({ code, severity, text, sinceSeconds }) => ({
      code,
      severity,
      text,
      since: new Date(sinceSeconds * 1000).toISOString(),
    }))

  return {
    'system.status': async () => ({
      version: options.version,
      pid: process.pid,
      store: options.storePath,
      mount: mount.mountPoint,
      socket: options.socket,
      startedAt: options.startedAt.toISOString(),
      uptimeSeconds: (options.now().getTime() - options.startedAt.getTime()) / 1000,
      groups: groups.list().length,
      containers: vfs.containers().length,
      lockedGroups: [],
      isReadOnly: storage.readOnlyReason !== undefined,
      readOnlyReason: storage.readOnlyReason ?? null,
      alerts: alertViews(),
    }),
    'daemon.stop': async ({ force }) => {
      options.stop({ force })
      return NOTHING
    },
    'storageGroup.show': async ({ name }) => ({
      groups: (name === undefined ? groups.list() : [groups.named(name)]).map(groupView),
    }),
    'storageGroup.add': async ({ name, compression, chunkSizeBytes }) => {
      const group = groups.add(name, compression, chunkSizeBytes)
      await storage.metadata.commit()
      return groupView(group)
    },
    'container.show': async ({ name }) => ({
      containers: (name === undefined ? vfs.containers() : [vfs.containerByName(name)]).map(
        containerView,
      ),
    }),
    'container.add': async ({ name, group }) => {
      const container = vfs.addContainer({
        name,
        group: groups.named(group).id,
        uid: process.getuid?.() ?? 0,
        gid: process.getgid?.() ?? 0,
      })
      await storage.metadata.commit()
      return containerView(container)
    },
    'container.delete': async ({ name, deleteFiles }) => {
      vfs.deleteContainer(name, { deleteFiles })
      await storage.metadata.commit()
      return NOTHING
    },
    'stats.system': async () => {
      const containers = vfs.containers()
      const totals = sumBlocks(storage.blockRecords())
      const { bytesWritten, bytesRead } = mount.statistics
      return {
        ...savingsOf(
          sum(containers, container => container.logicalBytes),
          totals,
        ),
        files: sum(containers, container => container.fileCount),
        chunks: totals.chunks,
        blocks: totals.blocks,
        physicalBytes: totals.fileBytes,
        metadataBytes: await directoryBytes(options.metadataPath),
        rssBytes: process.memoryUsage.rss(),
        bytesWritten,
        bytesRead,
        ...options.throughput.recent(),
      }
    },
    'stats.storageGroup': async ({ name }) => {
      const group = groups.named(name)
      const containers = vfs.containers().filter(container => container.group === group.id)
      const totals = sumBlocks(
        [...storage.blockRecords()].filter(record => record.group === group.id),
      )
      return {
        name,
        ...savingsOf(
          sum(containers, container => container.logicalBytes),
          totals,
        ),
        files: sum(containers, container => container.fileCount),
        chunks: totals.chunks,
        blocks: totals.blocks,
        physicalBytes: totals.fileBytes,
        metadataBytes: await directoryBytes(options.metadataPath),
      }
    },
    'stats.container': async ({ name }) => {
      const container = vfs.containerByName(name)
      return {
        name,
        group: groups.byId(container.group).name,
        files: container.fileCount,
        currentBytes: container.logicalBytes,
      }
    },
    'alerts.show': async () => ({ alerts: alertViews() }),
  }
}

function sum<Item>(items: readonly Item[], valueOf: (item: Item) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0)
}

async function directoryBytes(path: string): Promise<number> {
  let bytes = 0
  for (const name of await readdir(path)) {
    // LevelDB removes files while we look.
    const found = await stat(join(path, name)).catch(() => undefined)
    bytes += found?.size ?? 0
  }
  return bytes
}
