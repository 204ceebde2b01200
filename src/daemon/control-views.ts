// How groups and containers look to control clients.

import type { ContainerInfo as ContainerView, GroupInfo, MethodResult } from '../control/index.ts'
import type { ContainerInfo } from '../vfs/index.ts'
import type { StorageGroup } from './storage-groups.ts'
import type { Storage } from './storage.ts'

const PERMISSION_BITS = 0o7777

type GroupKeysView = MethodResult<'storageGroup.keys'>

export class ControlViews {
  readonly #storage: Storage

  constructor(storage: Storage) {
    this.#storage = storage
  }

  group(group: StorageGroup): GroupInfo {
    const containers = this.#storage.vfs.containers()
    const { encryption } = this.#storage
    const info = encryption.info(group.id)
    const isLocked = encryption.isLocked(group.id)
    const isEncrypted = info?.isOn ?? isLocked
    return {
      name: group.name,
      compression: group.compression,
      chunkSizeBytes: group.chunkSizeBytes,
      containers: containers.filter(container => container.group === group.id).length,
      quotaBytes: group.quotaBytes === 0 ? null : group.quotaBytes,
      isEncrypted,
      isLocked,
      hasPassphrase: encryption.hasPassphrase(group.id),
      mode: info?.isOn === true ? info.mode : null,
      intervalDays: info?.isOn === true && info.mode === 'internal' ? info.intervalDays : null,
      encryptedPercent: this.#encryptedPercent(group.id),
    }
  }

  keys({ id, name }: StorageGroup): GroupKeysView {
    const bytes = this.#bytesByKey(id)
    const { encryption } = this.#storage
    let pendingBytes = 0
    for (const [keyId, keyBytes] of bytes) {
      if (encryption.needsReseal(id, keyId)) pendingBytes += keyBytes
    }
    const keys = (encryption.info(id)?.keys ?? []).toSorted((a, b) => a.id - b.id)
    return {
      name,
      keys: keys.map(key => ({
        id: key.id,
        state: key.state,
        createdAt: isoTime(key.createdSeconds),
        retiredAt: key.state === 'retired' ? isoTime(key.retiredSeconds) : null,
        bytes: bytes.get(key.id) ?? 0,
      })),
      clearBytes: bytes.get(0) ?? 0,
      pendingBytes,
    }
  }

  #encryptedPercent(group: number): number {
    let allBytes = 0
    let sealedBytes = 0
    for (const [keyId, bytes] of this.#bytesByKey(group)) {
      allBytes += bytes
      if (keyId !== 0) sealedBytes += bytes
    }
    return allBytes === 0 ? 0 : Math.round((sealedBytes / allBytes) * 10_000) / 100
  }

  #bytesByKey(group: number): Map<number, number> {
    const sums = new Map<number, number>()
    for (const record of this.#storage.blockRecords()) {
      if (record.group !== group) continue
      sums.set(record.keyId, (sums.get(record.keyId) ?? 0) + record.lengthBytes)
    }
    return sums
  }

  container(container: ContainerInfo): ContainerView {
    const { uid, gid, mode } = this.#storage.vfs.getattr(container.root)
    return {
      id: container.id,
      name: container.name,
      group: this.#storage.groups.byId(container.group).name,
      createdAt: isoTime(container.created.seconds),
      files: container.fileCount,
      currentBytes: container.logicalBytes,
      uid,
      gid,
      mode: (mode & PERMISSION_BITS).toString(8).padStart(4, '0'),
    }
  }
}

/** A time as the control protocol has it. */
export function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString()
}
