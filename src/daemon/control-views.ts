// How groups and containers look to control clients.

import type { ContainerInfo as ContainerView, GroupInfo } from '../control/index.ts'
import type { ContainerInfo } from '../vfs/index.ts'
import type { StorageGroup } from './storage-groups.ts'
import type { Storage } from './storage.ts'

export class ControlViews {
  readonly #storage: Storage

  constructor(storage: Storage) {
    this.#storage = storage
  }

  group(group: StorageGroup): GroupInfo {
    const containers = this.#storage.vfs.containers()
    return {
      name: group.name,
      compression: group.compression,
      chunkSizeBytes: group.chunkSizeBytes,
      containers: containers.filter(container => container.group === group.id).length,
      isEncrypted: false,
      isLocked: false,
    }
  }

  container(container: ContainerInfo): ContainerView {
    return {
      name: container.name,
      group: this.#storage.groups.byId(container.group).name,
      createdAt: isoTime(container.created.seconds),
      files: container.fileCount,
      currentBytes: container.logicalBytes,
    }
  }
}

function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString()
}
