// What looks after a storage while it is used: copies of the metadata, cleaner, scans, repairs, counters.

import { PassBook, type Cleaner } from '../cleaner/index.ts'
import type { CommitParticipant } from '../metadata/index.ts'
import { MetadataCopies } from '../recovery/index.ts'
import { RecordMender, RepairBook, type Repairer } from '../repair/index.ts'
import { ScanBook, type Scanner } from '../scan/index.ts'
import type { Vfs } from '../vfs/index.ts'
import { BlockFileCheck } from './block-file-check.ts'
import { buildCleaner } from './cleaning.ts'
import { DamageWatch } from './damage-watch.ts'
import type { DataPath } from './data-path.ts'
import { LifetimeCounters } from './lifetime-counters.ts'
import type { Ground } from './open-ground.ts'
import { buildRepairer } from './repairing.ts'
import { buildScanner, type ScanningOptions } from './scanning.ts'

export interface Upkeep {
  readonly copies: MetadataCopies
  readonly cleaner: Cleaner
  readonly scanner: Scanner
  readonly counters: LifetimeCounters
  readonly damage: DamageWatch
  readonly blockFiles: BlockFileCheck
  readonly repairBook: RepairBook
  readonly repairer: Repairer
  /** commits before all others: what a layer writes counts */
  readonly mender: RecordMender
  /** what of it is committed, in any order */
  readonly participants: readonly CommitParticipant[]
}

export async function openUpkeep(ground: Ground, data: DataPath, vfs: Vfs): Promise<Upkeep> {
  const { options, metadata, circle } = ground
  const copies = await openCopies(ground)
  circle.copies = copies
  const book = new PassBook(metadata)
  const cleaner = cleanerOf(ground, data, vfs, { copies, book })
  const scanBook = new ScanBook()
  await scanBook.load(metadata)
  const scanning = scanningOf(ground, data, vfs, cleaner)
  const scanner = buildScanner({
    ...scanning,
    book: scanBook,
    windowAt: seconds => ground.schedules.openAt('scan', seconds)?.startSeconds,
  })
  const counters = countersOf(ground, data)
  const damage = damageWatchOf(ground, data)
  const repairBook = new RepairBook()
  await repairBook.load(metadata)
  const mender = new RecordMender(metadata)
  const repairer = buildRepairer({
    ...scanning,
    book: repairBook,
    scanReport: () => scanner.report,
    mender,
    ids: ground.ids,
    usage: ground.usage,
    damage,
    directory: options.directory.repairs,
    isReadOnly: () => circle.readOnlyReason !== undefined,
  })
  const blockFiles = new BlockFileCheck({ blocks: ground.blocks, alerts: ground.alerting.board })
  const participants = [book, scanBook, repairBook, counters]
  const workers = { copies, cleaner, scanner, counters, damage, blockFiles }
  return { ...workers, repairBook, repairer, mender, participants }
}

function openCopies({ options, metadata, space, alerting }: Ground): Promise<MetadataCopies> {
  const copying = {
    directory: options.directory.copies,
    metadata,
    nowSeconds: () => options.now().seconds,
    hasRoom: () => space.space.freeBytes > space.reserveBytes,
    alerts: alerting.board,
    ...options.copies,
  }
  return MetadataCopies.open(copying, metadata.sequence)
}

function cleanerOf(
  ground: Ground,
  data: DataPath,
  vfs: Vfs,
  { copies, book }: { readonly copies: MetadataCopies; readonly book: PassBook },
): Cleaner {
  const { options, metadata, blocks, groups, encryption, space, alerting, schedules } = ground
  return buildCleaner({
    metadata,
    data,
    blocks,
    groups,
    encryption,
    space,
    vfs,
    alerts: alerting.board,
    events: alerting.events,
    copied: () => copies.caughtUp(),
    usage: ground.usage,
    trash: ground.trash,
    verifyMetadata: () => ground.health.verify(),
    book,
    nowSeconds: () => options.now().seconds,
    clientBytes: options.clientBytes,
    isWindowOpen: seconds => schedules.openAt('cleaner', seconds) !== undefined,
    isHeld: () => ground.hold.isHeld,
    instrument: options.instrument,
  })
}

function scanningOf(
  ground: Ground,
  data: DataPath,
  vfs: Vfs,
  cleaner: Cleaner,
): Omit<ScanningOptions, 'book' | 'windowAt'> {
  const { options, metadata, blocks, groups, encryption, alerting, superblock } = ground
  return {
    metadata,
    health: ground.health,
    data,
    blocks,
    groups,
    encryption,
    vfs,
    alerts: alerting.board,
    events: alerting.events,
    isCleaning: () => cleaner.running !== undefined,
    nameHashKey: superblock.nameHashKey,
    nowSeconds: () => options.now().seconds,
    clientBytes: options.clientBytes,
  }
}

function countersOf({ options, metadata }: Ground, { dedupe }: DataPath): LifetimeCounters {
  return new LifetimeCounters(metadata, options.now().seconds, () => {
    const { read, written } = options.clientBytes()
    const operations = options.clientOperations()
    return { bytesWritten: written, bytesRead: read, operations, ...dedupe.counts }
  })
}

function damageWatchOf(ground: Ground, data: DataPath): DamageWatch {
  const { alerting, blocks, circle, encryption } = ground
  return new DamageWatch({
    alerts: alerting.board,
    blocks,
    extents: data.extents,
    reader: data.reader,
    healer: data.healer,
    refusedCount: () => data.index.refusedCount,
    fileInfo: inode => circle.vfs?.fileInfo(inode),
    hasInode: inode => circle.vfs?.hasInode(inode) ?? true,
    isLocked: group => encryption.isLocked(group),
    inFlight: data.inFlight,
  })
}
