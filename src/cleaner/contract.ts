// What the cleaner needs of the layers below, and nothing else of them. It knows no files and no names.

import type { BlockStore, ChunkLocation, Compression, SealingPolicy } from '../blocks/index.ts'
import type { BlockUsage, MappedBytesOf } from '../evidence/index.ts'
import type { MetadataReader, MetadataSnapshot } from '../metadata/index.ts'
import type { ExtentWatcher } from '../stream/index.ts'

export interface CleanerMetadata extends MetadataReader {
  readonly sequence: number
  commit(): Promise<void>
  snapshot(): MetadataSnapshot
  touched(recordCount?: number): void
}

export interface CleanerExtents {
  /** how often something was taken away */
  readonly droppedCount: number
  watch(watcher: ExtentWatcher | undefined): void
  relocate(key: Uint8Array, moved: (location: ChunkLocation) => ChunkLocation | undefined): void
}

export interface CleanerIndex {
  /** undefined also for what lies in a condemned block file */
  lookup(
    group: number,
    fingerprints: readonly Uint8Array[],
  ): Promise<readonly (ChunkLocation | undefined)[]>
  add(group: number, fingerprint: Uint8Array, location: ChunkLocation): void
  sweep(
    hasBlock: (block: number) => boolean,
    pause: (deletedCount: number) => Promise<void>,
  ): Promise<number>
}

/** Stores that may hold a location which nothing else refers to yet. */
export interface CleanerInFlight {
  begin(): () => void
  settled(): Promise<void>
}

export interface CleanerGroups {
  ids(): number[]
  /** undefined for a group that has been deleted */
  compressionOf(group: number): Compression | undefined
  isLocked(group: number): boolean
  /** @throws FilesystemError ENOKEY */
  policyOf(group: number): SealingPolicy
  needsReseal(group: number, keyId: number): boolean
  retireUnusedKeys(group: number): Promise<number[]>
}

export interface CleanerSpace {
  readonly freeBytes: number
  /** kept free for deletes and the cleaner: clients get ENOSPC before it is touched */
  readonly reserveBytes: number
}

/** How the keys of an encrypted group are erased while the trash holds files that are sealed with them. */
export const keyRetirements = ['wait', 'empty-trash'] as const
export type KeyRetirement = (typeof keyRetirements)[number]

export interface CleanerTrash {
  /** The listing of extents was compared with counters and inodes, and is whole. */
  listingProved(): void
  /** Deletes what has been in the trash long enough. */
  expire(): Promise<void>
  /** Gives up the oldest until there is so much more room. @returns bytes that were given up */
  makeRoom(bytes: number): Promise<number>
  /** A group's keys that no block file uses any more are about to be erased: what needs them in the trash goes, or stays. */
  beforeRetirement(group: number): Promise<void>
}

export interface PassParts {
  readonly metadata: CleanerMetadata
  readonly extents: CleanerExtents
  readonly index: CleanerIndex
  readonly blocks: BlockStore
  readonly inFlight: CleanerInFlight
  readonly groups: CleanerGroups
  /** Checks the metadata database's own files. @throws StoreError METADATA_DAMAGED */
  readonly verifyMetadata: () => Promise<void>
  /** the counters of references, as of the last commit */
  readonly usage: { of(block: number): BlockUsage }
  /** what an inode record says that its file maps */
  readonly mappedBytesOf: MappedBytesOf
  /** what is freed goes there */
  readonly trash: CleanerTrash
  readonly nowSeconds: () => number
  /** deletions that clients have asked for are done as far as they can be */
  readonly settleDeletions: () => Promise<void>
  readonly space: () => Promise<CleanerSpace>
  /**
   * what has been committed is in the copy of the metadata too: before that, a block file that an older state refers to
   * isn't deleted
   */
  readonly copied: () => Promise<void>
  /** a block file can't be read whole */
  readonly damaged: (block: number, reason: string) => void
}
