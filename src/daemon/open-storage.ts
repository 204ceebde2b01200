// Puts everything below the mount together, in order: metadata, blocks, the data path, vfs, the cleaner.

import { totalmem } from 'node:os'
import createDebug from 'debug'
import type { AlertBoard } from '../alerts/index.ts'
import { openBlockStore } from '../blocks/index.ts'
import { FilterKeeper } from '../dedupe/index.ts'
import { localZone, PassBook, ScheduleBook } from '../cleaner/index.ts'
import { RecordMender, RepairBook } from '../repair/index.ts'
import { ScanBook } from '../scan/index.ts'
import type { MetadataStore } from '../metadata/index.ts'
import { MetadataCopies } from '../recovery/index.ts'
import { Vfs } from '../vfs/index.ts'
import { openAlerting } from './alerting.ts'
import { BlockIds } from './block-ids.ts'
import { BlockRecordKeeper, loadBlockRecords } from './block-records.ts'
import { buildCleaner, reportDamagedBlock } from './cleaning.ts'
import { buildRepairer } from './repairing.ts'
import { buildScanner } from './scanning.ts'
import { openCommitNote } from './commit-note.ts'
import type { CommitNote } from './commit-note.ts'
import { backupFolder, Encryption } from './encryption.ts'
import { DamageWatch } from './damage-watch.ts'
import { buildDataPath, REGION_CACHE_BYTES } from './data-path.ts'
import { LifetimeCounters } from './lifetime-counters.ts'
import { QuotaGuard } from './quota-guard.ts'
import { SpaceGuard } from './space-guard.ts'
import { DEFAULT_GROUP, StorageGroups } from './storage-groups.ts'
import { Superblock } from './superblock.ts'
import { emptyCircle, forgetGroup, settle } from './circle.ts'
import type { Circle } from './circle.ts'
import { checkCommitNote, openMetadata, withRemedy } from './open-metadata.ts'
import { Storage } from './storage.ts'
import type { StorageOptions } from './storage.ts'

const log = createDebug('coffer:daemon')

/** 10 bits a chunk: on a machine of 4 GiB, chunks of 13 TiB. */
const FILTER_MEMORY_SHARE_MAX = 1 / 8

/** @throws StoreError when the store can't be trusted or is in use; it is then left exactly as it was */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const circle = emptyCircle()
  const note = await openCommitNote(options.directory.commitNote)
  const metadata = await openMetadata(options.directory, circle, note).catch(
    async (error: unknown) => {
      await note.close()
      throw withRemedy(error, options.directory)
    },
  )
  try {
    checkCommitNote(note, metadata.sequence)
    return await assemble(options, metadata, note, circle)
  } catch (error) {
    circle.space?.stop()
    await circle.filter?.stop()
    await metadata.abandon()
    await circle.blocks?.close()
    await note.close()
    throw withRemedy(error, options.directory)
  }
}

async function assemble(
  options: StorageOptions,
  metadata: MetadataStore,
  note: CommitNote,
  circle: Circle,
): Promise<Storage> {
  const { directory, now } = options
  const alerting = await openAlerting({
    metadata,
    nowSeconds: () => now().seconds,
    storePath: directory.path,
    passwordPath: directory.mailPassword,
    recorded: options.recorded,
  })
  const alerts = alerting.board
  circle.alerts = alerts
  alerts.clear('STORE_READ_ONLY')
  const groups = new StorageGroups()
  await groups.load(metadata)
  const superblock = new Superblock(metadata)
  const schedules = new ScheduleBook(metadata, localZone())
  const encryption = new Encryption({
    groups,
    primaryDirectory: directory.keystores,
    backupDirectory: backupFolder(options.keystoreBackup, superblock.nameHashKey),
    alerts,
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
  const space = new SpaceGuard(directory.path, () => circle.streams?.unflushedBytes ?? 0)
  circle.space = space
  await space.start()
  const quota = new QuotaGuard({
    groups,
    records: () => blocks.records(),
    unflushedBytes: () => circle.streams?.unflushedBytes ?? 0,
    nowMs: () => performance.now(),
  })
  const filter = await FilterKeeper.open(
    {
      path: directory.chunkFilter,
      source: metadata,
      bytesMax: totalmem() * FILTER_MEMORY_SHARE_MAX,
    },
    metadata.sequence,
  )
  circle.filter = filter
  const isReadOnly = (): boolean => circle.readOnlyReason !== undefined
  const fileInfo = (inode: number) => circle.vfs?.fileInfo(inode)
  const data = buildDataPath({
    metadata,
    filter: filter.filter,
    blocks,
    groups,
    encryption,
    alerts,
    space,
    quota,
    isReadOnly,
    fileInfo,
  })
  circle.streams = data.streams
  circle.recent = data.recent
  circle.gatherer = data.gatherer
  circle.inFlight = data.inFlight
  circle.reads = data.reads
  const vfs = new Vfs({
    metadata,
    committer: metadata,
    content: data.streams,
    now,
    statistics: group => (group === undefined ? space.space : quota.within(group, space.space)),
    hashKey: superblock.nameHashKey,
    entryChanged: options.entryChanged,
    isReadOnly,
    reportError: error => reportBackgroundFailure(alerts, error),
  })
  const records = new BlockRecordKeeper(blocks)
  circle.records = records
  const { extents, index, streams } = data
  const copies = await MetadataCopies.open(
    {
      directory: directory.copies,
      metadata,
      nowSeconds: () => now().seconds,
      hasRoom: () => space.space.freeBytes > space.reserveBytes,
      alerts,
      ...options.copies,
    },
    metadata.sequence,
  )
  circle.copies = copies
  const book = new PassBook(metadata)
  const cleaner = buildCleaner({
    metadata,
    data,
    blocks,
    groups,
    encryption,
    space,
    vfs,
    alerts,
    events: alerting.events,
    copied: () => copies.caughtUp(),
    book,
    nowSeconds: () => now().seconds,
    clientBytes: options.clientBytes,
    isWindowOpen: seconds => schedules.openAt('cleaner', seconds) !== undefined,
    instrument: options.instrument,
  })
  const scanBook = new ScanBook()
  await scanBook.load(metadata)
  const scanning = {
    metadata,
    data,
    blocks,
    groups,
    encryption,
    vfs,
    alerts,
    events: alerting.events,
    book: scanBook,
    isCleaning: () => cleaner.running !== undefined,
    nameHashKey: superblock.nameHashKey,
    nowSeconds: () => now().seconds,
    clientBytes: options.clientBytes,
  }
  const scanner = buildScanner({
    ...scanning,
    windowAt: seconds => schedules.openAt('scan', seconds)?.startSeconds,
  })
  const counters = new LifetimeCounters(metadata, now().seconds, () => {
    const { read, written } = options.clientBytes()
    const client = {
      bytesWritten: written,
      bytesRead: read,
      operations: options.clientOperations(),
    }
    return { ...client, ...data.dedupe.counts }
  })
  const damage = new DamageWatch({
    alerts,
    blocks,
    extents,
    reader: data.reader,
    healer: data.healer,
    quarantined: data.quarantined,
    refusedCount: () => index.refusedCount,
    fileInfo,
    isLocked: group => encryption.isLocked(group),
    inFlight: data.inFlight,
  })
  const repairBook = new RepairBook()
  await repairBook.load(metadata)
  const mender = new RecordMender(metadata)
  const repairer = buildRepairer({
    ...scanning,
    book: repairBook,
    scanReport: () => scanner.report,
    mender,
    ids,
    damage,
    directory: directory.repairs,
    isReadOnly,
  })
  const participants = [
    // First: what a layer writes counts.
    mender,
    superblock,
    ids,
    groups,
    vfs,
    extents,
    index,
    records,
    book,
    schedules,
    scanBook,
    repairBook,
    counters,
    ...alerting.participants,
  ]
  for (const participant of participants) metadata.addParticipant(participant)
  if (groups.find(DEFAULT_GROUP) === undefined) groups.add(DEFAULT_GROUP, 'fast')
  await filter.start()
  metadata.begin()
  await encryption.load()
  await vfs.start()
  circle.vfs = vfs
  await metadata.commit()
  copies.start()
  return new Storage(
    {
      vfs,
      groups,
      encryption,
      alerting,
      schedules,
      metadata,
      space,
      quota,
      blocks,
      streams,
      note,
      cleaner,
      scanner,
      repairer,
      repairBook,
      counters,
      index,
      filter,
      damage,
      copies,
      rebuildParts: {
        metadata,
        index,
        blocks,
        inFlight: data.inFlight,
        isLocked: group => encryption.isLocked(group),
        damaged: (block, reason) => reportDamagedBlock(alerts, block, reason),
      },
    },
    circle,
  )
}

/** Nobody waits for it: data lost after the last close, or a deletion that goes on at the next start. */
function reportBackgroundFailure(alerts: AlertBoard, error: unknown): void {
  log('in the background: %O', error)
  const reason = error instanceof Error ? error.message : String(error)
  alerts.raise('BACKGROUND_FAILURE', `Work in the background failed: ${reason}`)
}
