// What all of a storage stands on: alerts, groups, keys, block files, room, the filter of the index.

import { totalmem } from 'node:os'
import { setImmediate as turn } from 'node:timers/promises'
import type { BlockStore } from '../blocks/index.ts'
import { localZone, ScheduleBook, TrashCollector } from '../cleaner/index.ts'
import { FilterKeeper } from '../dedupe/index.ts'
import { proveListing, UsageCounters } from '../evidence/index.ts'
import type { MetadataStore } from '../metadata/index.ts'
import { openAlerting, type Alerting } from './alerting.ts'
import { BlockIds } from './block-ids.ts'
import type { BlockCensus } from './block-census.ts'
import { forgetGroup, settle, type Circle } from './circle.ts'
import { REGION_CACHE_BYTES } from './data-path.ts'
import { Encryption } from './encryption.ts'
import { KeystoreErasures } from './keystore-erasures.ts'
import { MaintenanceHold } from './maintenance-hold.ts'
import { mappedBytesOf } from './mapped-bytes.ts'
import { MetadataHealth } from './metadata-health.ts'
import { openBlocks } from './open-blocks.ts'
import { QuotaGuard } from './quota-guard.ts'
import { SpaceGuard } from './space-guard.ts'
import { StorageGroups } from './storage-groups.ts'
import type { StorageOptions } from './storage.ts'
import { backupFolder } from './store-identity.ts'
import { Superblock } from './superblock.ts'
import { upgradeFromFormat2 } from './upgrade.ts'

/** Of the event loop, for work beside clients: promise 11 allows 20 ms. */
const SLICE_MS = 8

/** Of alerts about what lies in the trash, as opposed to what is part of the store. */
const TRASH_SUBJECT = 'trash'

/** 10 bits a chunk: on a machine of 4 GiB, chunks of 13 TiB. */
const FILTER_MEMORY_SHARE_MAX = 1 / 8

/** What an earlier daemon found; this one tries it again, and raises it anew when it fails. */
const OVER_AT_START = ['STORE_READ_ONLY', 'BACKGROUND_FAILURE', 'METRICS_UNAVAILABLE'] as const

export interface Ground {
  readonly options: StorageOptions
  readonly metadata: MetadataStore
  readonly circle: Circle
  readonly alerting: Alerting
  readonly health: MetadataHealth
  readonly hold: MaintenanceHold
  readonly groups: StorageGroups
  readonly superblock: Superblock
  readonly schedules: ScheduleBook
  readonly encryption: Encryption
  readonly erasures: KeystoreErasures
  readonly ids: BlockIds
  readonly blocks: BlockStore
  readonly census: BlockCensus
  readonly usage: UsageCounters
  readonly trash: TrashCollector
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
  const health = new MetadataHealth({ metadata, alerts: alerting.board, storePath: directory.path })
  circle.health = health
  for (const code of OVER_AT_START) alerting.board.clear(code)
  const groups = new StorageGroups()
  await groups.load(metadata)
  const superblock = new Superblock(metadata)
  const schedules = new ScheduleBook(metadata, localZone())
  const hold = new MaintenanceHold(alerting.board)
  const erasures = new KeystoreErasures(metadata)
  const records = { groups, superblock, schedules, erasures }
  const early = { options, metadata, circle, alerting, health, hold, ...records }
  const encryption = buildEncryption(early)
  const ids = new BlockIds(metadata)
  const { blocks, census } = await openBlocks({
    directory,
    metadata,
    ids,
    alerts: alerting.board,
    lookupKey: (group, keyId) => encryption.lookupKey(group, keyId),
    cacheBytes: REGION_CACHE_BYTES,
    nowSeconds: () => now().seconds,
  })
  circle.blocks = blocks
  const usage = new UsageCounters()
  await usage.load(metadata)
  if (directory.isOld) {
    const { board: alerts, events } = alerting
    await upgradeFromFormat2({ metadata, blocks, usage, alerts, events })
  }
  const trash = buildTrash({ ...early, encryption, blocks, usage })
  const unflushedBytes = (): number => circle.streams?.unflushedBytes ?? 0
  const space = new SpaceGuard(directory.path, unflushedBytes, trash)
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
  return { ...early, encryption, ids, blocks, census, usage, trash, space, quota, filter }
}

function buildTrash(
  ground: Pick<
    Ground,
    'options' | 'metadata' | 'alerting' | 'health' | 'encryption' | 'blocks' | 'usage' | 'hold'
  >,
): TrashCollector {
  const { options, metadata, alerting, health, encryption, blocks, usage, hold } = ground
  const { board } = alerting
  return new TrashCollector({
    blocks,
    usage,
    metadata,
    nowSeconds: () => options.now().seconds,
    ...options.trash,
    verifyMetadata: () => health.verify(),
    heldBecause: () => {
      if (usage.isDamaged) return 'counters of references are damaged.'
      if (board.isRaised('EVIDENCE_DISAGREES')) return 'two records of what is in use disagree.'
      return health.trouble
    },
    isHeld: () => hold.isHeld,
    activeKeyId: group =>
      encryption.isLocked(group) ? undefined : encryption.policyOf(group).keyId,
    proveListing: () =>
      proveListing({ metadata, mappedBytesOf, visit: () => undefined, step: breather() }),
    unproved: text => board.raise('EVIDENCE_DISAGREES', text),
    failed: text => board.raise('BACKGROUND_FAILURE', text),
    disagreed: text => board.raise('EVIDENCE_DISAGREES', text, TRASH_SUBJECT),
    agreed: () => board.clear('EVIDENCE_DISAGREES', TRASH_SUBJECT),
  })
}

function buildEncryption(
  ground: Pick<
    Ground,
    'options' | 'metadata' | 'circle' | 'alerting' | 'groups' | 'superblock' | 'erasures'
  >,
): Encryption {
  const { options, metadata, circle, alerting, groups, superblock, erasures } = ground
  const { directory, now } = options
  return new Encryption({
    groups,
    erasures,
    primaryDirectory: directory.keystores,
    backupDirectory: backupFolder(options.keystoreBackup, superblock.nameHashKey, directory),
    store: directory.identity,
    formerStores: directory.formerIdentities,
    alerts: alerting.board,
    record: (code, text) => alerting.events.record(code, 'info', text),
    nowSeconds: () => now().seconds,
    // The keystore has been written.
    commit: () => metadata.commitRegardless(),
    usedKeyIds: group => circle.blocks?.keyIdsOf(group) ?? new Set(),
    hasData: group => {
      const { vfs, blocks } = circle
      // As long as nobody can tell, there may be some.
      if (vfs === undefined || blocks === undefined) return true
      return blocks.keyIdsOf(group).size > 0 || vfs.containers().some(each => each.group === group)
    },
    keyIdsOnDisk: async group => (await circle.blocks?.keyIdsOnDisk(group)) ?? new Set(),
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

/** @returns called between records, it lets others have the event loop now and then */
function breather(): () => Promise<void> {
  let sliceStartMs = performance.now()
  return async () => {
    if (performance.now() - sliceStartMs < SLICE_MS) return
    await turn()
    sliceStartMs = performance.now()
  }
}
