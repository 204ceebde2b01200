// What all of a storage stands on: alerts, groups, keys, block files, room, the filter of the index.

import { totalmem } from 'node:os'
import { openBlockStore, type BlockStore } from '../blocks/index.ts'
import { localZone, ScheduleBook } from '../cleaner/index.ts'
import { FilterKeeper } from '../dedupe/index.ts'
import type { MetadataStore } from '../metadata/index.ts'
import { openAlerting, type Alerting } from './alerting.ts'
import { BlockIds } from './block-ids.ts'
import { loadBlockRecords } from './block-records.ts'
import { forgetGroup, settle, type Circle } from './circle.ts'
import { REGION_CACHE_BYTES } from './data-path.ts'
import { backupFolder, Encryption } from './encryption.ts'
import { QuotaGuard } from './quota-guard.ts'
import { SpaceGuard } from './space-guard.ts'
import { StorageGroups } from './storage-groups.ts'
import type { StorageOptions } from './storage.ts'
import { Superblock } from './superblock.ts'

/** 10 bits a chunk: on a machine of 4 GiB, chunks of 13 TiB. */
const FILTER_MEMORY_SHARE_MAX = 1 / 8

/** What an earlier daemon found; this one tries it again, and raises it anew when it fails. */
const OVER_AT_START = ['STORE_READ_ONLY', 'BACKGROUND_FAILURE', 'METRICS_UNAVAILABLE'] as const

export interface Ground {
  readonly options: StorageOptions
  readonly metadata: MetadataStore
  readonly circle: Circle
  readonly alerting: Alerting
  readonly groups: StorageGroups
  readonly superblock: Superblock
  readonly schedules: ScheduleBook
  readonly encryption: Encryption
  readonly ids: BlockIds
  readonly blocks: BlockStore
  readonly space: SpaceGuard
  readonly quota: QuotaGuard
  readonly filter: FilterKeeper
}

/** What has been opened is known to the circle, also when something after it fails. */
export async function openGround(
  options: StorageOptions,
  metadata: MetadataStore,
  circle: Circle,
): Promise<Ground> {
  const { directory, now } = options
  const alerting = await openAlerting({
    metadata,
    nowSeconds: () => now().seconds,
    storePath: directory.path,
    passwordPath: directory.mailPassword,
    recorded: options.recorded,
  })
  circle.alerts = alerting.board
  for (const code of OVER_AT_START) alerting.board.clear(code)
  const groups = new StorageGroups()
  await groups.load(metadata)
  const superblock = new Superblock(metadata)
  const schedules = new ScheduleBook(metadata, localZone())
  const early = { options, metadata, circle, alerting, groups, superblock, schedules }
  const encryption = buildEncryption(early)
  const ids = new BlockIds(metadata)
  const blocks = await openBlockStore({
    directory: directory.blocks,
    records: await loadBlockRecords(metadata),
    lookupKey: (group, keyId) => encryption.lookupKey(group, keyId),
    cacheBytes: REGION_CACHE_BYTES,
    verify: true,
    now: () => now().seconds,
    committedSequence: metadata.sequence,
    nextBlockId: atLeast => ids.take(atLeast),
  })
  circle.blocks = blocks
  const unflushedBytes = (): number => circle.streams?.unflushedBytes ?? 0
  const space = new SpaceGuard(directory.path, unflushedBytes)
  circle.space = space
  await space.start()
  const quota = new QuotaGuard({
    groups,
    records: () => blocks.records(),
    unflushedBytes,
    nowMs: () => performance.now(),
  })
  const bytesMax = totalmem() * FILTER_MEMORY_SHARE_MAX
  const filter = await FilterKeeper.open(
    { path: directory.chunkFilter, source: metadata, bytesMax },
    metadata.sequence,
  )
  circle.filter = filter
  return { ...early, encryption, ids, blocks, space, quota, filter }
}

function buildEncryption(
  ground: Pick<Ground, 'options' | 'metadata' | 'circle' | 'alerting' | 'groups' | 'superblock'>,
): Encryption {
  const { options, metadata, circle, alerting, groups, superblock } = ground
  const { directory, now } = options
  return new Encryption({
    groups,
    primaryDirectory: directory.keystores,
    backupDirectory: backupFolder(options.keystoreBackup, superblock.nameHashKey),
    alerts: alerting.board,
    record: (code, text) => alerting.events.record(code, 'info', text),
    nowSeconds: () => now().seconds,
    // The keystore has been written.
    commit: () => metadata.commitRegardless(),
    usedKeyIds: group => circle.blocks?.keyIdsOf(group) ?? new Set(),
    settle: async () => {
      await settle(circle, metadata)
      // The cleaner reads and seals with the group's keys too.
      await circle.inFlight?.settled()
      await circle.reads?.settled()
    },
    secretsDropped: () => circle.copies?.renew(),
    forget: group => forgetGroup(circle, group, options.pagesChanged),
  })
}
