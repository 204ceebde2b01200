// The cleaner, put together with what it works on.

import type { AlertBoard, EventLog } from '../alerts/index.ts'
import type { BlockStore } from '../blocks/index.ts'
import { Cleaner } from '../cleaner/index.ts'
import type { PassBook, PassParts, PassReport, TrashCollector } from '../cleaner/index.ts'
import type { UsageCounters } from '../evidence/index.ts'
import type { MetadataStore } from '../metadata/index.ts'
import { plural } from '../plural.ts'
import type { Vfs } from '../vfs/index.ts'
import { mappedBytesOf } from './mapped-bytes.ts'
import type { DataPath } from './data-path.ts'
import type { Encryption } from './encryption.ts'
import type { SpaceGuard } from './space-guard.ts'
import type { StorageGroups } from './storage-groups.ts'

export interface CleaningOptions {
  readonly metadata: MetadataStore
  readonly data: DataPath
  readonly blocks: BlockStore
  readonly groups: StorageGroups
  readonly encryption: Encryption
  readonly space: SpaceGuard
  readonly vfs: Vfs
  readonly alerts: AlertBoard
  readonly events: EventLog
  readonly copied: () => Promise<void>
  readonly usage: UsageCounters
  readonly trash: TrashCollector
  /** @throws StoreError METADATA_DAMAGED */
  readonly verifyMetadata: () => Promise<void>
  readonly book: PassBook
  readonly nowSeconds: () => number
  readonly clientBytes: () => { readonly read: number; readonly written: number }
  readonly isWindowOpen: (nowSeconds: number) => boolean
  /** the administrator wants no pass that nobody asked for */
  readonly isHeld: () => boolean
  /** for tests, which kill the daemon at every step of a pass */
  readonly instrument?: ((parts: PassParts) => PassParts) | undefined
}

export function buildCleaner(options: CleaningOptions): Cleaner {
  const { metadata, data, blocks, groups, encryption, space, vfs, alerts, events } = options
  const compressionOf = (id: number) => groups.list().find(group => group.id === id)?.compression
  const parts: PassParts = {
    metadata,
    extents: data.extents,
    index: data.index,
    blocks,
    inFlight: data.inFlight,
    groups: {
      ids: () => groups.list().map(({ id }) => id),
      compressionOf,
      isLocked: id => encryption.isLocked(id),
      policyOf: id => encryption.policyOf(id),
      needsReseal: (id, keyId) => encryption.needsReseal(id, keyId),
      retireUnusedKeys: id => encryption.retireUnusedKeys(id),
    },
    copied: options.copied,
    verifyMetadata: options.verifyMetadata,
    usage: options.usage,
    mappedBytesOf,
    trash: options.trash,
    nowSeconds: options.nowSeconds,
    settleDeletions: () => vfs.deletionsDone(),
    space: async () => {
      await space.refresh()
      return { freeBytes: space.space.freeBytes, reserveBytes: space.reserveBytes }
    },
    damaged: (block, reason) => reportDamagedBlock(blocks, alerts, block, reason),
  }
  return new Cleaner({
    ...(options.instrument?.(parts) ?? parts),
    book: options.book,
    nowSeconds: options.nowSeconds,
    clientBytes: options.clientBytes,
    isWindowOpen: options.isWindowOpen,
    isSpaceLow: () => space.isLow,
    isHeld: options.isHeld,
    hasStaleBlocks: () => {
      for (const { block, isClosed, group, keyId, compression } of blocks.records()) {
        if (!isClosed || encryption.isLocked(group) || blocks.quarantined.has(block)) continue
        const wanted = compressionOf(group)
        if (wanted === undefined || wanted !== compression) return true
        if (encryption.needsReseal(group, keyId)) return true
      }
      return false
    },
    alerts,
    begun: () => undefined,
    ended: report => events.record('CLEANER_PASS', severityOf(report), describe(report)),
  })
}

/** New data doesn't refer to the block file any more, and the administrator is told. */
export function reportDamagedBlock(
  blocks: Pick<BlockStore, 'quarantine'>,
  alerts: Pick<AlertBoard, 'raise'>,
  block: number,
  reason: string,
): void {
  blocks.quarantine(block, reason)
  const text = `Block file ${block} is damaged and stays as it is: ${reason}`
  alerts.raise('DAMAGED_BLOCK', text, String(block))
}

function severityOf({ outcome }: PassReport): 'info' | 'warning' {
  return outcome === 'failed' ? 'warning' : 'info'
}

function describe({ id, kind, outcome, text, counts }: PassReport): string {
  const { freedBytes, writtenBytes, freedBlocks, copiedBlocks, retiredKeys } = counts
  return (
    `Pass ${id} (${kind}) is ${outcome}: ${plural(freedBytes, 'byte')} freed, ${writtenBytes} written anew; ` +
    `${plural(freedBlocks, 'block file')} freed, ${copiedBlocks} copied, ${plural(retiredKeys, 'key')} retired. ${text}`
  ).trim()
}
