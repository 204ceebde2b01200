// Everything below the mount, put together: metadata, blocks, dedupe, streams, vfs. Opened by the daemon, and by tests
// and benchmarks that want no mount.

import createDebug from 'debug'
import { AlertBoard } from '../alerts/index.ts'
import { openBlockStore, REGION_RAW_BYTES_MAX } from '../blocks/index.ts'
import type { BlockRecord, BlockStore } from '../blocks/index.ts'
import { AppendGatherer, ChunkIndex, Deduplicator } from '../dedupe/index.ts'
import { FilesystemError } from '../errors.ts'
import { openMetadataStore } from '../metadata/index.ts'
import type { MetadataStore } from '../metadata/index.ts'
import { allocateArena, cutAndFingerprint } from '../native/data-path.ts'
import { ExtentMap, StoredReader, StreamBuffers, StreamStore } from '../stream/index.ts'
import { Vfs } from '../vfs/index.ts'
import type { ByteString, InodeNumber, Timestamp } from '../vfs/index.ts'
import { BlockRecordKeeper, loadBlockRecords } from './block-records.ts'
import { SpaceGuard } from './space-guard.ts'
import { chunkBytesMax, DEFAULT_GROUP, StorageGroups } from './storage-groups.ts'
import type { StorageGroup } from './storage-groups.ts'
import type { StoreDirectory } from './store-directory.ts'
import { Superblock } from './superblock.ts'

const log = createDebug('coffer:daemon')

/** Unflushed data of all writers together. */
const STREAM_BUFFER_BYTES = 96 * 1024 * 1024
/** Opened regions that reads share. */
const REGION_CACHE_BYTES = 128 * 1024 * 1024

export interface StorageOptions {
  readonly directory: StoreDirectory
  readonly now: () => Timestamp
  /** the kernel must forget a name: it changed without it */
  readonly entryChanged: (parent: InodeNumber, name: ByteString) => void
}

export class Storage {
  readonly vfs: Vfs
  readonly groups: StorageGroups
  readonly alerts: AlertBoard
  readonly metadata: MetadataStore
  readonly space: SpaceGuard
  readonly #blocks: BlockStore
  readonly #streams: StreamStore
  readonly #state: { readOnlyReason: string | undefined }

  constructor(parts: {
    vfs: Vfs
    groups: StorageGroups
    alerts: AlertBoard
    metadata: MetadataStore
    space: SpaceGuard
    blocks: BlockStore
    streams: StreamStore
    state: { readOnlyReason: string | undefined }
  }) {
    this.vfs = parts.vfs
    this.groups = parts.groups
    this.alerts = parts.alerts
    this.metadata = parts.metadata
    this.space = parts.space
    this.#blocks = parts.blocks
    this.#streams = parts.streams
    this.#state = parts.state
  }

  get readOnlyReason(): string | undefined {
    return this.#state.readOnlyReason
  }

  blockRecords(): Iterable<BlockRecord> {
    return this.#blocks.records()
  }

  /** Stores what is unflushed, commits, ends. */
  async close(): Promise<void> {
    await this.vfs.stop()
    if (this.#state.readOnlyReason === undefined) await this.#streams.flushAll()
    try {
      await this.metadata.close()
    } finally {
      this.space.stop()
      await this.#blocks.close()
    }
  }
}

/** @throws StoreError when the store can't be trusted or is in use */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { directory, now } = options
  const state: { readOnlyReason: string | undefined } = { readOnlyReason: undefined }
  const late: { blocks?: BlockStore; streams?: StreamStore; alerts?: AlertBoard } = {}
  const metadata = await openMetadataStore({
    directory: directory.metadata,
    createIfMissing: directory.isNew,
    syncData: async () => late.blocks?.sync(),
    flushData: async () => late.streams?.flushAll(),
    failed: error => {
      log('commit failed: %O', error)
      const cause = error.message
      state.readOnlyReason = cause
      late.alerts?.raise('STORE_READ_ONLY', 'critical', `The store is read-only: ${cause}`)
    },
  })
  try {
    return await assemble()
  } catch (error) {
    await metadata.close().catch((closing: unknown) => log('after a failed start: %O', closing))
    throw error
  }

  async function assemble(): Promise<Storage> {
    const alerts = new AlertBoard(
      () => now().seconds,
      () => metadata.touched(),
    )
    const groups = new StorageGroups()
    late.alerts = alerts
    await alerts.load(metadata)
    alerts.clear('STORE_READ_ONLY')
    await groups.load(metadata)
    const superblock = new Superblock(metadata)
    const blocks = await openBlockStore({
      directory: directory.blocks,
      records: await loadBlockRecords(metadata),
      lookupKey: () => undefined,
      cacheBytes: REGION_CACHE_BYTES,
      verify: true,
      now: () => now().seconds,
      committedSequence: metadata.sequence,
    })
    late.blocks = blocks
    const index = new ChunkIndex(metadata)
    const extents = new ExtentMap(metadata)
    const space = new SpaceGuard(directory.path)
    await space.start()
    const gatherer = new AppendGatherer(blocks)
    const dedupe = new Deduplicator({
      index,
      blocks: gatherer,
      policyOf: id => ({ group: id, compression: groups.byId(id).compression, keyId: 0 }),
      sequence: () => metadata.sequence,
      added: chunkCount => metadata.touched(chunkCount),
    })
    const reader = new StoredReader({
      extents,
      regions: blocks,
      pinnedRegionsMax: Math.floor(REGION_CACHE_BYTES / REGION_RAW_BYTES_MAX / 4),
      damaged: (inode, block, error) => {
        log('damage: inode %d, block %d: %s', inode, block, error.message)
        alerts.raise(
          `DAMAGED_BLOCK_${block}`,
          'critical',
          `Block file ${block} is damaged (${error.message}); inode ${inode} can't be read whole.`,
        )
      },
    })
    const streams = new StreamStore({
      buffers: new StreamBuffers(new Uint8Array(allocateArena(STREAM_BUFFER_BYTES, { prefault: true }))),
      extents,
      reader,
      cut: (id, data, isEnd) => cutAndFingerprint(data, cutParameters(groups.byId(id)), isEnd),
      store: (id, chunks) => dedupe.store(id, chunks),
      hurry: () => gatherer.hurry(),
      readStored: (inode, startBytes, target) => reader.copy(inode, startBytes, target),
      reserve: (_group, lengthBytes) => {
        if (state.readOnlyReason !== undefined) throw new FilesystemError('EROFS')
        space.reserve(lengthBytes, 0)
      },
      commit: () => metadata.commit(),
    })
    late.streams = streams
    const vfs = new Vfs({
      metadata,
      committer: metadata,
      content: streams,
      now,
      statistics: () => space.space,
      hashKey: superblock.nameHashKey,
      entryChanged: options.entryChanged,
      isReadOnly: () => state.readOnlyReason !== undefined,
      reportError: error => log('background: %O', error),
    })
    // Order matters only in that all of them collect in one turn.
    const records = new BlockRecordKeeper(() => blocks.collectRecords())
    for (const participant of [superblock, groups, vfs, extents, index, records, alerts]) {
      metadata.addParticipant(participant)
    }
    if (groups.find(DEFAULT_GROUP) === undefined) groups.add(DEFAULT_GROUP, 'fast')
    await vfs.start()
    await metadata.commit()
    return new Storage({ vfs, groups, alerts, metadata, space, blocks, streams, state })
  }
}

function cutParameters(group: StorageGroup) {
  return {
    keyLow: group.cutConstants[0],
    keyHigh: group.cutConstants[1],
    averageBytes: group.chunkSizeBytes,
    maxBytes: chunkBytesMax(group),
    fingerprintKey: group.fingerprintKey,
  }
}
