// Everything below the mount, put together and taken apart in order: metadata, blocks, the data path, vfs.

import createDebug from 'debug'
import type { AlertBoard, CofferEvent } from '../alerts/index.ts'
import { openBlockStore } from '../blocks/index.ts'
import type { BlockRecord, BlockStore } from '../blocks/index.ts'
import { localZone, PassBook, ScheduleBook } from '../cleaner/index.ts'
import type { Cleaner, PassParts } from '../cleaner/index.ts'
import type { AppendGatherer, ChunkIndex } from '../dedupe/index.ts'
import { StoreError } from '../errors.ts'
import { openMetadataStore } from '../metadata/index.ts'
import type { MetadataStore } from '../metadata/index.ts'
import type { InFlight, StreamStore } from '../stream/index.ts'
import { Vfs } from '../vfs/index.ts'
import type { ByteString, InodeNumber, Timestamp } from '../vfs/index.ts'
import { openAlerting } from './alerting.ts'
import type { Alerting } from './alerting.ts'
import { BlockIds } from './block-ids.ts'
import { BlockRecordKeeper, loadBlockRecords } from './block-records.ts'
import { buildCleaner } from './cleaning.ts'
import { openCommitNote } from './commit-note.ts'
import type { CommitNote } from './commit-note.ts'
import { backupFolder, Encryption } from './encryption.ts'
import { DamageWatch } from './damage-watch.ts'
import { buildDataPath, REGION_CACHE_BYTES } from './data-path.ts'
import { LifetimeCounters } from './lifetime-counters.ts'
import { QuotaGuard } from './quota-guard.ts'
import { SpaceGuard } from './space-guard.ts'
import type { DiskSpace } from './space-guard.ts'
import { DEFAULT_GROUP, StorageGroups } from './storage-groups.ts'
import type { StoreDirectory } from './store-directory.ts'
import { Superblock } from './superblock.ts'

const log = createDebug('coffer:daemon')

export interface StorageOptions {
  readonly directory: StoreDirectory
  readonly now: () => Timestamp
  /** folder of the second copies of keystores, shared by several stores */
  readonly keystoreBackup: string
  /** the kernel must forget a file's pages */
  readonly pagesChanged: (inode: InodeNumber) => Promise<void>
  /** for the daemon's log */
  readonly recorded: (event: CofferEvent) => void
  /** the kernel must forget a name: it changed without it */
  readonly entryChanged: (parent: InodeNumber, name: ByteString) => void
  /** what clients have read and written so far */
  readonly clientBytes: () => { readonly read: number; readonly written: number }
  /** requests of the mount so far */
  readonly clientOperations: () => number
  /** for tests: comes between the cleaner and what it works on */
  readonly instrument?: (parts: PassParts) => PassParts
}

/** What the parts know of each other although they are made one after the other. */
interface Circle {
  blocks: BlockStore | undefined
  streams: StreamStore | undefined
  gatherer: AppendGatherer | undefined
  inFlight: InFlight | undefined
  vfs: Vfs | undefined
  alerts: AlertBoard | undefined
  records: BlockRecordKeeper | undefined
  space: SpaceGuard | undefined
  readOnlyReason: string | undefined
}

interface StorageParts {
  readonly vfs: Vfs
  readonly groups: StorageGroups
  readonly encryption: Encryption
  readonly alerting: Alerting
  readonly schedules: ScheduleBook
  readonly metadata: MetadataStore
  readonly space: SpaceGuard
  readonly quota: QuotaGuard
  readonly blocks: BlockStore
  readonly streams: StreamStore
  readonly note: CommitNote
  readonly cleaner: Cleaner
  readonly counters: LifetimeCounters
  readonly index: ChunkIndex
  readonly damage: DamageWatch
}

export class Storage {
  readonly vfs: Vfs
  readonly groups: StorageGroups
  readonly encryption: Encryption
  readonly alerts: AlertBoard
  readonly alerting: Alerting
  readonly schedules: ScheduleBook
  readonly metadata: MetadataStore
  readonly cleaner: Cleaner
  readonly counters: LifetimeCounters
  readonly damage: DamageWatch
  readonly #parts: StorageParts
  readonly #circle: Readonly<Circle>

  constructor(parts: StorageParts, circle: Readonly<Circle>) {
    this.vfs = parts.vfs
    this.groups = parts.groups
    this.encryption = parts.encryption
    this.alerting = parts.alerting
    this.alerts = parts.alerting.board
    this.schedules = parts.schedules
    this.metadata = parts.metadata
    this.cleaner = parts.cleaner
    this.counters = parts.counters
    this.damage = parts.damage
    this.#parts = parts
    this.#circle = circle
  }

  get readOnlyReason(): string | undefined {
    return this.#circle.readOnlyReason
  }

  get space(): DiskSpace {
    return this.#parts.space.space
  }

  /** Entries of the chunk index that were written since the start. */
  get indexEntriesAdded(): number {
    return this.#parts.index.addedCount
  }

  blockRecords(): Iterable<BlockRecord> {
    return this.#parts.blocks.records()
  }

  /** Raises and clears what is to be said about quotas. */
  reportQuotas(): void {
    this.#parts.quota.report(this.alerts)
  }

  /** Everything that was accepted is durable. */
  async flush(): Promise<void> {
    await this.#parts.streams.flushAll()
    await this.metadata.commit()
  }

  /** Stores what is unflushed, commits, ends. */
  async close(): Promise<void> {
    const { vfs, streams, metadata, space, blocks, note, cleaner } = this.#parts
    await this.damage.stop()
    await vfs.stop()
    await cleaner.close()
    if (this.readOnlyReason === undefined) await streams.flushAll()
    this.alerting.stopping()
    try {
      await metadata.close()
      await note.sync()
    } finally {
      space.stop()
      await note.close()
      await blocks.close()
      this.encryption.close()
    }
  }
}

/** @throws StoreError when the store can't be trusted or is in use; it is then left exactly as it was */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const circle: Circle = {
    blocks: undefined,
    streams: undefined,
    gatherer: undefined,
    inFlight: undefined,
    vfs: undefined,
    alerts: undefined,
    records: undefined,
    space: undefined,
    readOnlyReason: undefined,
  }
  const note = await openCommitNote(options.directory.commitNote)
  const metadata = await openMetadata(options, circle, note).catch(async (error: unknown) => {
    await note.close()
    throw error
  })
  try {
    checkCommitNote(note, metadata.sequence)
    return await assemble(options, metadata, note, circle)
  } catch (error) {
    circle.space?.stop()
    await metadata.abandon()
    await circle.blocks?.close()
    await note.close()
    throw error
  }
}

function openMetadata(
  options: StorageOptions,
  circle: Circle,
  note: CommitNote,
): Promise<MetadataStore> {
  return openMetadataStore({
    directory: options.directory.metadata,
    createIfMissing: options.directory.isNew,
    syncData: async () => circle.blocks?.sync(),
    flushData: async () => circle.streams?.flushAll(),
    committed: async sequence => {
      try {
        await note.write(sequence)
        if (circle.records?.takeClosed() === true) await note.sync()
      } catch (error) {
        // A note that says too little finds less, but what it finds is true: no reason to stop writing.
        log('commit note: %O', error)
        const reason = error instanceof Error ? error.message : String(error)
        circle.alerts?.raise('COMMIT_NOTE', `The commit note can't be written: ${reason}`)
      }
    },
    failed: error => {
      log('commit failed: %O', error)
      circle.readOnlyReason = error.message
      const text = `The store is read-only until it is started again: ${error.message}`
      circle.alerts?.raise('STORE_READ_ONLY', text)
    },
  })
}

/** @throws StoreError METADATA_BEHIND */
function checkCommitNote(note: CommitNote, sequence: number): void {
  if (note.found === undefined || note.found <= sequence) return
  throw new StoreError(
    'METADATA_BEHIND',
    `The metadata is at commit ${sequence}, older than commit ${note.found}, which was durable: ` +
      'nothing is touched. Put the newer metadata back.',
  )
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
    commit: () => metadata.commit(),
    usedKeyIds: group => circle.blocks?.keyIdsOf(group) ?? new Set(),
    settle: async () => {
      await settle(circle, metadata)
      // The cleaner reads and seals with the group's keys too.
      await circle.inFlight?.settled()
    },
    forget: group => forgetGroup(options, circle, group),
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
  const isReadOnly = (): boolean => circle.readOnlyReason !== undefined
  const fileInfo = (inode: number) => circle.vfs?.fileInfo(inode)
  const data = buildDataPath({
    metadata,
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
  circle.gatherer = data.gatherer
  circle.inFlight = data.inFlight
  const vfs = new Vfs({
    metadata,
    committer: metadata,
    content: data.streams,
    now,
    statistics: () => space.space,
    hashKey: superblock.nameHashKey,
    entryChanged: options.entryChanged,
    isReadOnly,
    reportError: error => reportBackgroundFailure(alerts, error),
  })
  const records = new BlockRecordKeeper(blocks)
  circle.records = records
  const { extents, index, streams } = data
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
    book,
    nowSeconds: () => now().seconds,
    clientBytes: options.clientBytes,
    isWindowOpen: seconds => schedules.openAt(seconds) !== undefined,
    instrument: options.instrument,
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
    fileInfo,
    isLocked: group => encryption.isLocked(group),
    inFlight: data.inFlight,
  })
  const participants = [
    superblock,
    ids,
    groups,
    vfs,
    extents,
    index,
    records,
    book,
    schedules,
    counters,
    ...alerting.participants,
  ]
  for (const participant of participants) metadata.addParticipant(participant)
  if (groups.find(DEFAULT_GROUP) === undefined) groups.add(DEFAULT_GROUP, 'fast')
  metadata.begin()
  await encryption.load()
  await vfs.start()
  circle.vfs = vfs
  await metadata.commit()
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
      counters,
      index,
      damage,
    },
    circle,
  )
}

/** Everything that was accepted is in block files, and a commit says so. */
async function settle(circle: Circle, metadata: MetadataStore): Promise<void> {
  const isOver = circle.gatherer?.hurry()
  try {
    await circle.streams?.flushAll()
  } finally {
    isOver?.()
  }
  await metadata.commit()
}

/** A group's data leaves our caches and the kernel's. */
async function forgetGroup(options: StorageOptions, circle: Circle, group: number): Promise<void> {
  await circle.blocks?.forgetGroup(group)
  for (const inode of circle.vfs?.knownFilesOf(group) ?? []) await options.pagesChanged(inode)
}

/** Nobody waits for it: data lost after the last close, or a deletion that goes on at the next start. */
function reportBackgroundFailure(alerts: AlertBoard, error: unknown): void {
  log('in the background: %O', error)
  const reason = error instanceof Error ? error.message : String(error)
  alerts.raise('BACKGROUND_FAILURE', `Work in the background failed: ${reason}`)
}
