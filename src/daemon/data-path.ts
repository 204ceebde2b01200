// The way of a file's bytes, put together: streams over dedupe over blocks.

import createDebug from 'debug'
import type { AlertBoard } from '../alerts/index.ts'
import { REGION_RAW_BYTES_MAX } from '../blocks/index.ts'
import type { BlockStore } from '../blocks/index.ts'
import { AppendGatherer, ChunkIndex, Deduplicator, HitCheck } from '../dedupe/index.ts'
import type { ChunkDoubter } from '../dedupe/index.ts'
import { FilesystemError } from '../errors.ts'
import type { UsageCounters } from '../evidence/index.ts'
import { reportInternalError } from '../internal-errors.ts'
import type { MetadataStore } from '../metadata/index.ts'
import { allocateArena, cutAndFingerprint, cutAndFingerprintNow } from '../native/data-path.ts'
import type { CutParameters } from '../native/data-path.ts'
import {
  ExtentMap,
  Healer,
  InFlight,
  RecentChunks,
  StoredReader,
  StreamBuffers,
  StreamStore,
} from '../stream/index.ts'
import { shown } from '../vfs/index.ts'
import type { FileInfo } from '../vfs/index.ts'
import type { Encryption } from './encryption.ts'
import type { QuotaGuard } from './quota-guard.ts'
import type { SpaceGuard } from './space-guard.ts'
import { chunkBytesMax } from './storage-groups.ts'
import type { StorageGroup, StorageGroups } from './storage-groups.ts'

const log = createDebug('coffer:daemon')

/** 20 µs of work, where another thread's wake-up and the way back cost this one 50. */
const CUT_NOW_BYTES = 64 * 1024

/** Unflushed data of all writers together. */
const STREAM_BUFFER_BYTES = 96 * 1024 * 1024
/** Opened regions that reads share. */
export const REGION_CACHE_BYTES = 128 * 1024 * 1024
/** A quarter of the cache's slots: the rest is for reads ahead and for reads that copy. */
const PINNED_REGIONS_MAX = REGION_CACHE_BYTES / REGION_RAW_BYTES_MAX / 4

export interface DataPathOptions {
  readonly metadata: MetadataStore
  readonly usage: UsageCounters
  readonly filter: ChunkDoubter
  readonly blocks: BlockStore
  readonly groups: StorageGroups
  readonly encryption: Encryption
  readonly alerts: AlertBoard
  readonly space: SpaceGuard
  readonly quota: QuotaGuard
  readonly isReadOnly: () => boolean
  /** undefined for a file that is gone */
  readonly fileInfo: (inode: number) => FileInfo | undefined
  /** the kernel's cached pages and size of a file are not its own any more */
  readonly pagesChanged: (inode: number) => Promise<void>
}

export interface DataPath {
  readonly index: ChunkIndex
  readonly dedupe: Deduplicator
  readonly extents: ExtentMap
  readonly reader: StoredReader
  readonly recent: RecentChunks
  readonly streams: StreamStore
  readonly gatherer: AppendGatherer
  readonly inFlight: InFlight
  /** reads that may still look for regions */
  readonly reads: InFlight
  readonly healer: Healer
}

export function buildDataPath(options: DataPathOptions): DataPath {
  const { metadata, blocks, groups, encryption, space } = options
  const inFlight = new InFlight()
  const reads = new InFlight()
  const isUsable = (block: number): boolean => blocks.isUsable(block)
  const readRegion = (block: number, page: number) => blocks.readRegion(block, page)
  const suspected = (block: number, { message }: Error): void => {
    log('block file %d: %s', block, message)
    blocks.quarantine(block, message)
    const text = `Block file ${block} is damaged (${message}).`
    options.alerts.raise('DAMAGED_BLOCK', text, String(block))
  }
  const index = new ChunkIndex(metadata, isUsable, options.filter)
  const extents = new ExtentMap(metadata, options.usage, recordCount =>
    metadata.touched(recordCount),
  )
  const gatherer = new AppendGatherer(blocks)
  const dedupe = new Deduplicator({
    index,
    blocks: gatherer,
    hits: new HitCheck({ readRegion, damaged: suspected, random: Math.random }),
    policyOf: id => encryption.policyOf(id),
    sequence: () => metadata.sequence,
    added: chunkCount => metadata.touched(chunkCount),
  })
  const healer = new Healer({
    extents,
    metadata,
    lookup: async (group, fingerprints) => {
      const found = await index.locate(group, fingerprints)
      return found.map(location => location && (isUsable(location.block) ? location : undefined))
    },
    readRegion,
    suspects: blocks,
    isLocked: group => encryption.isLocked(group),
    beginStore: () => inFlight.begin(),
  })
  const recent = new RecentChunks()
  const reader = new StoredReader({
    extents,
    recent,
    regions: blocks,
    pinnedRegionsMax: PINNED_REGIONS_MAX,
    suspected,
    heal: (inode, startBytes, endBytes) => healer.healRange(inode, startBytes, endBytes),
    damaged: (inode, block, { message }) => reportDamage(options, inode, block, message),
  })
  const streams = new StreamStore({
    buffers: new StreamBuffers(
      // Touched as it is used: a daemon that begins or idles shouldn't take what only many writers need.
      new Uint8Array(allocateArena(STREAM_BUFFER_BYTES)),
    ),
    extents,
    reader,
    recent,
    cut: (id, data, isEnd) => {
      const parameters = { ...cutSizes(groups.byId(id)), key: encryption.chunkKeyOf(id) }
      const isSmall = data.length <= CUT_NOW_BYTES
      return (isSmall ? cutAndFingerprintNow : cutAndFingerprint)(data, parameters, isEnd)
    },
    store: (id, chunks) => dedupe.store(id, chunks),
    beginStore: () => inFlight.begin(),
    beginRead: () => reads.begin(),
    hurry: () => gatherer.hurry(),
    readStored: (inode, startBytes, target) => reader.copy(inode, startBytes, target),
    checkAccess: group => encryption.checkAccess(group),
    reserve: (group, lengthBytes) => {
      if (options.isReadOnly()) throw new FilesystemError('EROFS')
      options.quota.reserve(group, lengthBytes)
      return space.reserve(lengthBytes)?.then(() => {
        if (options.isReadOnly()) throw new FilesystemError('EROFS')
      })
    },
    lost: (inode, error) => {
      reportLoss(options, inode, error)
      options
        .pagesChanged(inode)
        .catch((failure: unknown) =>
          reportInternalError('dropping the pages of lost data', failure),
        )
    },
    commit: () => metadata.commit(),
  })
  return {
    index,
    dedupe,
    extents,
    reader,
    recent,
    streams,
    gatherer,
    inFlight,
    reads,
    healer,
  }
}

function reportDamage(
  { alerts, fileInfo }: DataPathOptions,
  inode: number,
  block: number | undefined,
  reason: string,
): void {
  const file = fileInfo(inode)
  const what =
    block === undefined ? `the metadata is damaged (${reason})` : `block file ${block} is damaged`
  const damage = `can't be read whole: ${what}.`
  if (file === undefined) {
    alerts.raise('DAMAGED_FILE', `Inode ${inode}, which has no name, ${damage}`, String(inode))
    return
  }
  const container = shown(file.container)
  const remedy = `Its path: "find ${container} -inum ${inode}" in the mount.`
  const text = `Inode ${inode} of container ${container} ${damage} ${remedy}`
  alerts.raise('DAMAGED_FILE', text, String(inode))
}

function reportLoss({ alerts, fileInfo }: DataPathOptions, inode: number, error: Error): void {
  const file = fileInfo(inode)
  const place = file === undefined ? '' : ` of container ${shown(file.container)}`
  const what = `could not be stored, and is not in it: ${error.message}`
  const text = `Data that was accepted for inode ${inode}${place} ${what}`
  alerts.raise('DATA_LOST', text, String(inode))
}

function cutSizes(group: StorageGroup): Pick<CutParameters, 'averageBytes' | 'maxBytes'> {
  return { averageBytes: group.chunkSizeBytes, maxBytes: chunkBytesMax(group) }
}
