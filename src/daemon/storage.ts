// Everything below the mount, put together and taken apart in order: metadata, blocks, the data path, vfs.

import createDebug from 'debug'
import { AlertBoard } from '../alerts/index.ts'
import { openBlockStore } from '../blocks/index.ts'
import type { BlockRecord, BlockStore } from '../blocks/index.ts'
import { StoreError } from '../errors.ts'
import { openMetadataStore } from '../metadata/index.ts'
import type { MetadataStore } from '../metadata/index.ts'
import type { StreamStore } from '../stream/index.ts'
import { Vfs } from '../vfs/index.ts'
import type { ByteString, InodeNumber, Timestamp } from '../vfs/index.ts'
import { BlockIds } from './block-ids.ts'
import { BlockRecordKeeper, loadBlockRecords } from './block-records.ts'
import { openCommitNote } from './commit-note.ts'
import type { CommitNote } from './commit-note.ts'
import { buildDataPath, REGION_CACHE_BYTES } from './data-path.ts'
import { SpaceGuard } from './space-guard.ts'
import { DEFAULT_GROUP, StorageGroups } from './storage-groups.ts'
import type { StoreDirectory } from './store-directory.ts'
import { Superblock } from './superblock.ts'

const log = createDebug('coffer:daemon')

export interface StorageOptions {
  readonly directory: StoreDirectory
  readonly now: () => Timestamp
  /** the kernel must forget a name: it changed without it */
  readonly entryChanged: (parent: InodeNumber, name: ByteString) => void
}

/** What the parts know of each other although they are made one after the other. */
interface Circle {
  blocks: BlockStore | undefined
  streams: StreamStore | undefined
  alerts: AlertBoard | undefined
  records: BlockRecordKeeper | undefined
  space: SpaceGuard | undefined
  readOnlyReason: string | undefined
}

interface StorageParts {
  readonly vfs: Vfs
  readonly groups: StorageGroups
  readonly alerts: AlertBoard
  readonly metadata: MetadataStore
  readonly space: SpaceGuard
  readonly blocks: BlockStore
  readonly streams: StreamStore
  readonly note: CommitNote
}

export class Storage {
  readonly vfs: Vfs
  readonly groups: StorageGroups
  readonly alerts: AlertBoard
  readonly metadata: MetadataStore
  readonly #parts: StorageParts
  readonly #circle: Readonly<Circle>

  constructor(parts: StorageParts, circle: Readonly<Circle>) {
    this.vfs = parts.vfs
    this.groups = parts.groups
    this.alerts = parts.alerts
    this.metadata = parts.metadata
    this.#parts = parts
    this.#circle = circle
  }

  get readOnlyReason(): string | undefined {
    return this.#circle.readOnlyReason
  }

  blockRecords(): Iterable<BlockRecord> {
    return this.#parts.blocks.records()
  }

  /** Stores what is unflushed, commits, ends. */
  async close(): Promise<void> {
    const { vfs, streams, metadata, space, blocks, note } = this.#parts
    await vfs.stop()
    if (this.readOnlyReason === undefined) await streams.flushAll()
    try {
      await metadata.close()
      await note.sync()
    } finally {
      space.stop()
      await note.close()
      await blocks.close()
    }
  }
}

/** @throws StoreError when the store can't be trusted or is in use; it is then left exactly as it was */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const circle: Circle = {
    blocks: undefined,
    streams: undefined,
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
        circle.alerts?.raise(
          'COMMIT_NOTE',
          'warning',
          `The commit note can't be written: ${reason}`,
        )
      }
    },
    failed: error => {
      log('commit failed: %O', error)
      circle.readOnlyReason = error.message
      const text = `The store is read-only until it is started again: ${error.message}`
      circle.alerts?.raise('STORE_READ_ONLY', 'critical', text)
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
  const alerts = new AlertBoard(
    () => now().seconds,
    () => metadata.touched(),
  )
  circle.alerts = alerts
  await alerts.load(metadata)
  alerts.clear('STORE_READ_ONLY')
  const groups = new StorageGroups()
  await groups.load(metadata)
  const superblock = new Superblock(metadata)
  const ids = new BlockIds(metadata)
  const blocks = await openBlockStore({
    directory: directory.blocks,
    records: await loadBlockRecords(metadata),
    lookupKey: () => undefined,
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
  const isReadOnly = (): boolean => circle.readOnlyReason !== undefined
  const data = buildDataPath({ metadata, blocks, groups, alerts, space, isReadOnly })
  circle.streams = data.streams
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
  const records = new BlockRecordKeeper(() => blocks.collectRecords())
  circle.records = records
  const { extents, index, streams } = data
  for (const participant of [superblock, ids, groups, vfs, extents, index, records, alerts]) {
    metadata.addParticipant(participant)
  }
  if (groups.find(DEFAULT_GROUP) === undefined) groups.add(DEFAULT_GROUP, 'fast')
  metadata.begin()
  await vfs.start()
  await metadata.commit()
  return new Storage({ vfs, groups, alerts, metadata, space, blocks, streams, note }, circle)
}

/** Nobody waits for it: data lost after the last close, or a deletion that goes on at the next start. */
function reportBackgroundFailure(alerts: AlertBoard, error: unknown): void {
  log('in the background: %O', error)
  const reason = error instanceof Error ? error.message : String(error)
  alerts.raise('BACKGROUND_FAILURE', 'critical', `Work in the background failed: ${reason}`)
}
