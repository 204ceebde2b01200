// Refuses new data of a group that is at its quota. Counts block files, and what was accepted and isn't in them yet as
// if nothing of it were to be saved: a quota is reached a little early rather than passed.

import type { AlertBoard } from '../alerts/index.ts'
import type { BlockRecord } from '../blocks/index.ts'
import { FilesystemError } from '../errors.ts'
import type { DiskTotals } from '../vfs/index.ts'
import type { DiskSpace } from './space-guard.ts'
import type { StorageGroups } from './storage-groups.ts'

/** How long the sum over the block files may be used while writes go on. */
const REFRESH_INTERVAL_MS = 500

/** Shares of the quota that are alerts. What is on its way counts as raw bytes, so writes fail a little below the whole. */
const NEAR_SHARE = 0.9
const REACHED_SHARE = 0.99

export interface QuotaGuardOptions {
  readonly groups: StorageGroups
  readonly records: () => Iterable<BlockRecord>
  /** bytes of all groups that are accepted and not in block files yet */
  readonly unflushedBytes: () => number
  /** milliseconds of a clock that never goes back */
  readonly nowMs: () => number
}

export class QuotaGuard {
  readonly #options: QuotaGuardOptions
  readonly #usedBytes = new Map<number, number>()
  readonly #acceptedBytes = new Map<number, number>()
  #unflushedBytes = 0
  #lookedMs = -Infinity

  constructor(options: QuotaGuardOptions) {
    this.#options = options
  }

  /** @throws FilesystemError EDQUOT */
  reserve(group: number, lengthBytes: number): void {
    const { quotaBytes, name } = this.#options.groups.byId(group)
    if (quotaBytes === 0) return
    this.#refresh()
    if (this.#takenBytes(group) + lengthBytes > quotaBytes) {
      throw new FilesystemError('EDQUOT', `The storage group ${name} is at its quota.`)
    }
    this.#acceptedBytes.set(group, (this.#acceptedBytes.get(group) ?? 0) + lengthBytes)
  }

  /** What df is to show of a group: its quota, where that is less than the disk. */
  within(group: number, disk: DiskSpace): DiskTotals {
    const { quotaBytes } = this.#options.groups.byId(group)
    if (quotaBytes === 0 || quotaBytes >= disk.totalBytes) return disk
    this.#refresh()
    const freeBytes = Math.max(0, quotaBytes - this.#takenBytes(group))
    const availableBytes = Math.min(freeBytes, disk.freeBytes)
    return { totalBytes: quotaBytes, freeBytes, availableBytes }
  }

  /** Raises and clears the alerts of groups with a quota. Called regularly. */
  report(alerts: Pick<AlertBoard, 'raise' | 'clear'>): void {
    const used = new Map<number, number>()
    for (const { group, lengthBytes } of this.#options.records()) {
      used.set(group, (used.get(group) ?? 0) + lengthBytes)
    }
    for (const { id, name, quotaBytes } of this.#options.groups.list()) {
      const usedBytes = used.get(id) ?? 0
      const level = quotaBytes === 0 ? 0 : usedBytes / quotaBytes
      const text = `The storage group ${name} takes ${usedBytes} bytes of its quota of ${quotaBytes}.`
      if (level >= REACHED_SHARE) alerts.raise('QUOTA_REACHED', text, name)
      else alerts.clear('QUOTA_REACHED', name)
      if (level >= NEAR_SHARE && level < REACHED_SHARE) alerts.raise('QUOTA_NEAR', text, name)
      else alerts.clear('QUOTA_NEAR', name)
    }
  }

  /** Stored, and accepted as if nothing of it were to be saved. */
  #takenBytes(group: number): number {
    const acceptedBytes = this.#acceptedBytes.get(group) ?? 0
    return (this.#usedBytes.get(group) ?? 0) + acceptedBytes + this.#unflushedBytes
  }

  #refresh(): void {
    const nowMs = this.#options.nowMs()
    if (nowMs - this.#lookedMs < REFRESH_INTERVAL_MS) return
    this.#lookedMs = nowMs
    this.#acceptedBytes.clear()
    this.#usedBytes.clear()
    this.#unflushedBytes = this.#options.unflushedBytes()
    for (const { group, lengthBytes } of this.#options.records()) {
      this.#usedBytes.set(group, (this.#usedBytes.get(group) ?? 0) + lengthBytes)
    }
  }
}
