// Everything below the mount, as the daemon and its control methods see it, and how it is taken apart.

import { EvidenceError } from '../deletion-proof.ts'
import type { AlertBoard, CofferEvent } from '../alerts/index.ts'
import type { BlockRecord, BlockStore } from '../blocks/index.ts'
import type { ScheduleBook } from '../cleaner/index.ts'
import type { Cleaner, KeyRetirement, PassParts, TrashCollector } from '../cleaner/index.ts'
import type { RepairBook, Repairer } from '../repair/index.ts'
import type { Scanner } from '../scan/index.ts'
import { indexRange } from '../dedupe/index.ts'
import type { ChunkIndex, FilterKeeper } from '../dedupe/index.ts'
import type { MetadataStore } from '../metadata/index.ts'
import type { MetadataCopies, MetadataCopiesOptions, RebuildParts } from '../recovery/index.ts'
import type { StreamStore } from '../stream/index.ts'
import type { Vfs } from '../vfs/index.ts'
import type { ByteString, InodeNumber, Timestamp } from '../vfs/index.ts'
import type { Alerting } from './alerting.ts'
import type { BlockFileCheck } from './block-file-check.ts'
import type { CommitNote } from './commit-note.ts'
import type { Encryption } from './encryption.ts'
import type { DamageWatch } from './damage-watch.ts'
import type { MaintenanceHold } from './maintenance-hold.ts'
import type { MetadataHealth } from './metadata-health.ts'
import type { LifetimeCounters } from './lifetime-counters.ts'
import type { QuotaGuard } from './quota-guard.ts'
import type { SpaceGuard } from './space-guard.ts'
import type { DiskSpace } from './space-guard.ts'
import type { StorageGroups } from './storage-groups.ts'
import type { StoreDirectory } from './store-directory.ts'
import type { Circle } from './circle.ts'

/** A stop waits so long for the first copy of the metadata. */
const FIRST_COPY_MS = 10_000

export interface StorageOptions {
  readonly directory: StoreDirectory
  readonly now: () => Timestamp
  /** folder of the second copies of keystores, shared by several stores */
  readonly keystoreBackup: string
  /** the store's path as the administrator wrote it */
  readonly storePath: string
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
  /** for tests: when copies of the metadata are made */
  readonly copies?: Partial<MetadataCopiesOptions>
  readonly trash: TrashSettings
}

/** What becomes of freed block files. */
export interface TrashSettings {
  readonly keepSeconds: number
  readonly keyRetirement: KeyRetirement
}

export interface StorageParts {
  readonly vfs: Vfs
  readonly groups: StorageGroups
  readonly encryption: Encryption
  readonly alerting: Alerting
  readonly schedules: ScheduleBook
  readonly metadata: MetadataStore
  readonly space: SpaceGuard
  readonly quota: QuotaGuard
  readonly trash: TrashCollector
  readonly health: MetadataHealth
  readonly hold: MaintenanceHold
  readonly blocks: BlockStore
  readonly streams: StreamStore
  readonly note: CommitNote
  readonly cleaner: Cleaner
  readonly scanner: Scanner
  readonly repairer: Repairer
  readonly repairBook: RepairBook
  readonly counters: LifetimeCounters
  readonly index: ChunkIndex
  readonly filter: FilterKeeper
  readonly damage: DamageWatch
  readonly blockFiles: BlockFileCheck
  readonly copies: MetadataCopies
  readonly rebuildParts: RebuildParts
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
  readonly scanner: Scanner
  readonly repairer: Repairer
  readonly repairBook: RepairBook
  readonly counters: LifetimeCounters
  readonly damage: DamageWatch
  readonly blockFiles: BlockFileCheck
  readonly trash: TrashCollector
  readonly hold: MaintenanceHold
  readonly #parts: StorageParts
  readonly #circle: Readonly<Circle>
  #closing: Promise<void> | undefined

  constructor(parts: StorageParts, circle: Readonly<Circle>) {
    this.vfs = parts.vfs
    this.groups = parts.groups
    this.encryption = parts.encryption
    this.alerting = parts.alerting
    this.alerts = parts.alerting.board
    this.schedules = parts.schedules
    this.metadata = parts.metadata
    this.cleaner = parts.cleaner
    this.scanner = parts.scanner
    this.repairer = parts.repairer
    this.repairBook = parts.repairBook
    this.counters = parts.counters
    this.damage = parts.damage
    this.blockFiles = parts.blockFiles
    this.trash = parts.trash
    this.hold = parts.hold
    this.#parts = parts
    this.#circle = circle
  }

  get readOnlyReason(): string | undefined {
    return this.#circle.readOnlyReason
  }

  /** Written by clients, not in block files yet. */
  get unflushedBytes(): number {
    return this.#parts.streams.unflushedBytes
  }

  get space(): DiskSpace {
    return this.#parts.space.space
  }

  /** Entries of the chunk index that were written since the start. */
  get indexEntriesAdded(): number {
    return this.#parts.index.addedCount
  }

  /** Of memory; 0 while it isn't complete, and LevelDB is asked for every chunk. */
  get chunkFilterBytes(): number {
    const { filter } = this.#parts.filter
    return filter.isComplete ? filter.bytes : 0
  }

  /** About what the chunk index takes on disk. */
  async indexSizeBytes(): Promise<number> {
    const { from, to } = indexRange()
    return await this.metadata.sizeBytes(from, to)
  }

  get copies(): MetadataCopies {
    return this.#parts.copies
  }

  /** What makes the chunk index again from the block files. */
  get rebuildParts(): RebuildParts {
    return this.#parts.rebuildParts
  }

  blockRecords(): Iterable<BlockRecord> {
    return this.#parts.blocks.records()
  }

  /**
   * Deletes from the trash what has been there long enough, and more where room is short; erases the keys that only these
   * files had. Called regularly.
   */
  async tickTrash(): Promise<void> {
    await this.#parts.blocks.settleFreed()
    await this.#parts.space.relieve()
    await this.trash.expire()
    // A pass that runs erases keys itself.
    if (this.cleaner.running !== undefined) return
    for (const group of this.trash.takeEmptiedGroups()) {
      if (this.encryption.isLocked(group)) continue
      await this.encryption.retireUnusedKeys(group).catch((error: unknown) => {
        if (!(error instanceof EvidenceError)) throw error
        this.alerts.raise('EVIDENCE_DISAGREES', error.message)
      })
    }
  }

  /** Verifies new tables of the metadata database. Called regularly. */
  async lookAtMetadata(): Promise<void> {
    await this.#parts.health.look()
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

  /** Stores what is unflushed, commits, ends. Every further call waits for the first. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { vfs, streams, metadata, space, blocks, note, cleaner, scanner, repairer } = this.#parts
    const { copies, filter } = this.#parts
    await this.damage.stop()
    await this.blockFiles.stop()
    // They are told to stop before a verification that they wait for is ended: then it is no failure of theirs.
    const closings = [repairer.close(), scanner.close(), cleaner.close()]
    await this.metadata.monitor.stop()
    await Promise.all(closings)
    await vfs.stop()
    await this.trash.settled()
    if (this.readOnlyReason === undefined) await streams.flushAll()
    this.alerting.stopping()
    await copies.stopping(FIRST_COPY_MS)
    await filter.stop()
    try {
      await metadata.close()
      if (this.readOnlyReason === undefined) {
        await filter.save(metadata.sequence, space.space.freeBytes - space.reserveBytes)
      }
      await copies.close()
      await note.sync()
    } finally {
      space.stop()
      await note.close()
      await blocks.close()
      this.encryption.close()
    }
  }
}
