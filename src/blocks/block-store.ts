// The contract of the block layer: append chunks to a group's open block file, read regions back, make it durable.
// dedupe, stream and the daemon see this and nothing else of it. No LevelDB here: what must be remembered about a
// block file is a BlockRecord, and whoever owns the commit writes it down.

import type { DeletionProof } from '../deletion-proof.ts'
import type { Secret } from '../native/secret.ts'

/** Average, largest and smallest sizes are properties of a group; these are the limits of the format. */
export const CHUNK_BYTES_MAX = 256 * 1024
/** Raw bytes of one region at most: the unit of read, compression and authentication. */
export const REGION_RAW_BYTES_MAX = 512 * 1024
/** Chunks in one region at most, so that a region's table stays small beside its data. */
export const REGION_CHUNKS_MAX = 1024
/** Regions start at multiples of this, since O_DIRECT wants it and it makes torn tails whole pages. */
export const BLOCK_PAGE_BYTES = 4096
/** A block file is closed before it would grow past this; pages then fit 16 bits with room to spare. */
export const BLOCK_FILE_BYTES_MAX = 64 * 1024 * 1024
/** A block file is closed before it would hold more chunks: ordinals have 16 bits. */
export const BLOCK_CHUNKS_MAX = 65_535
export const FINGERPRINT_BYTES = 32

/** Where a chunk lies: 8 bytes on disk. */
export interface ChunkLocation {
  /** block file id, 1 to 2^32-1, never reused within a store */
  readonly block: number
  /** the region's start in the block file, in pages of BLOCK_PAGE_BYTES, 1 to 65,535 */
  readonly page: number
  /** the chunk's place among all chunks of the block file, 0 to BLOCK_CHUNKS_MAX - 1 */
  readonly ordinal: number
}

/** A chunk to be stored. `data` lies in pooled native memory and is frozen until the append has settled. */
export interface NewChunk {
  readonly fingerprint: Uint8Array
  readonly data: Uint8Array
}

export type Compression = 'none' | 'fast' | 'best'

/** How a group's regions are sealed now. Changes take effect with the next region or block file. */
export interface SealingPolicy {
  /** storage group id, 1 to 65,535 */
  readonly group: number
  readonly compression: Compression
  /** 0 = clear (checksummed), 1-1023 = the content encryption key's id */
  readonly keyId: number
  /** the CEK; absent when keyId is 0 */
  readonly key?: Secret
}

/** What a block file holds. */
export interface BlockCounts {
  readonly regionCount: number
  readonly chunkCount: number
  /** bytes of the chunks before compression */
  readonly rawBytes: number
  /** bytes of the chunks after compression, without headers, tables and padding */
  readonly compressedBytes: number
}

/** What the commit remembers about one block file. */
export interface BlockRecord extends BlockCounts {
  readonly block: number
  readonly group: number
  readonly keyId: number
  /** what its regions were meant to be compressed with */
  readonly compression: Compression
  readonly isClosed: boolean
  /** every region that any committed metadata refers to ends at or before this */
  readonly lengthBytes: number
  /** why new data must not refer to it: damage was found in it; null = usable */
  readonly quarantine: string | null
  /** when it was freed, in seconds since 1970: it is in the trash; null = it is part of the store */
  readonly freedSeconds: number | null
}

/** Characters of a quarantine's reason at most, so that a record stays small. */
export const QUARANTINE_REASON_MAX = 200

/** A region that was read, authenticated and decompressed. Valid until `release`. */
export interface OpenRegion {
  readonly chunkCount: number
  /** ordinal of the chunk in slot 0 */
  readonly firstOrdinal: number
  fingerprintAt(slot: number): Uint8Array
  /** the chunk's raw bytes, in pooled native memory */
  chunkAt(slot: number): Uint8Array
  /** one more holder */
  retain(): void
  release(): void
}

/** A region that can't be trusted: torn, edited, swapped, of another group or key. Callers answer EIO. */
export type DamageReason =
  'missing' | 'truncated' | 'header' | 'authentication' | 'decompression' | 'table' | 'io'

/** What became of files of the trash that were to be deleted. */
export interface TrashDeletion {
  readonly deleted: readonly number[]
  /** their files have the header of another block file, or none that can be read: they are left alone */
  readonly foreign: readonly number[]
  readonly errors: readonly { readonly block: number; readonly message: string }[]
}

export interface BlockStore {
  /**
   * Packs the chunks, in order, into regions, seals and verifies them in native threads and appends them to the group's
   * open block file (opening and closing files as needed). Resolves with one location per chunk when the bytes are
   * written, which is not yet durable: see `sync`.
   * @param sequence the last durable commit's number, written into the region headers so that a start can tell
   *   whether LevelDB is behind the block files
   * @param written told how many bytes the block files have grown by
   * @throws FilesystemError ENOSPC or EIO from the disk
   */
  append(
    policy: SealingPolicy,
    chunks: readonly NewChunk[],
    sequence: number,
    written?: (bytes: number) => void,
  ): Promise<ChunkLocation[]>

  /**
   * fdatasync of every block file with unsynced bytes, and of the directories of new ones. Everything whose append had
   * resolved before the call is durable afterwards. Concurrent calls may share work. A failure is final (see promise 3):
   * the store refuses appends from then on.
   */
  sync(): Promise<void>

  /**
   * Records of the block files that changed since the last `collectRecords`, to go into the coming commit. They cover
   * exactly the appends that have resolved so far.
   */
  collectRecords(): BlockRecord[]
  /** Block files whose records leave with the coming commit: their files are gone. */
  collectForgotten(): number[]

  /** The open block files that are chosen take no more appends. */
  closeFiles(isChosen: (record: BlockRecord) => boolean): void

  /**
   * Closed block files that nothing refers to stop being part of the store: the coming commit writes down that they are in the
   * trash. `settleFreed` moves the files, after that commit: the other way round a crash would leave records of nothing.
   * Regions that are held stay readable until they are released, and reads under way end well.
   * @param nowSeconds since 1970
   */
  free(proofs: readonly DeletionProof<number>[], nowSeconds: number): void
  /** Moves the files that were freed before the last commit to the trash. What fails is tried again by the next call. */
  settleFreed(): Promise<void>
  /** Records of all freed block files, in the order in which they were freed. */
  freed(): readonly BlockRecord[]
  /** The same of those whose files have been moved to the trash. */
  trashed(): readonly BlockRecord[]
  /** what these take */
  readonly trashedBytes: number
  /** Deletes files of the trash for good. Their records leave with the coming commit. */
  deleteTrashed(proofs: readonly DeletionProof<number>[]): Promise<TrashDeletion>
  /** Brings block files of the trash back. The coming commit makes them part of the store again. @returns their ids */
  restoreTrashed(blocks: readonly number[]): Promise<number[]>

  /** No new data refers to these until `pardonAll`: the cleaner is about to free them. */
  condemn(blocks: readonly number[]): void
  pardonAll(): void
  /** Damage was found: new data doesn't refer to the block file, and nothing is appended. Written by the coming commit. */
  quarantine(block: number, reason: string): void
  /** The block file reads well again. */
  endQuarantine(block: number): void
  /** Why block files are quarantined, by id. */
  readonly quarantined: ReadonlyMap<number, string>
  /** New data may refer to what the block file holds. */
  isUsable(block: number): boolean

  /** What has been counted in a closed block file says something else than its record: the coming commit keeps it. */
  correctCounts(block: number, counts: BlockCounts): void

  /** Where a block file lies, for whoever scans it. */
  pathOf(block: number): string | undefined
  /** A block file's regions leave the cache: they are not going to be read again. */
  uncache(block: number): void

  /**
   * From the cache or from disk.
   * @param endPage where another region begins, if the caller knows: nothing is read beyond it without need
   * @throws DamagedRegionError
   */
  readRegion(block: number, page: number, endPage?: number): Promise<OpenRegion>
  /**
   * From disk into `slot` (see regionSlot), past the cache: for whoever reads everything once. @throws DamagedRegionError
   */
  readUncached(block: number, page: number, slot: Uint8Array): Promise<OpenRegion>
  /** The region if it is in the cache; retained for the caller. */
  cachedRegion(block: number, page: number): OpenRegion | undefined

  /**
   * A group's keys are about to go: its open block files are closed and synced, its regions leave the cache and no
   * handle keeps a key. The caller has let nothing of the group be read or appended any more.
   */
  forgetGroup(group: number): Promise<void>

  /** Ids of the keys that some block file of the group has in its header: also in the trash, and of files that are being made. */
  keyIdsOf(group: number): Set<number>
  /** The same by the headers of the files themselves. @throws EvidenceError when one can't be told */
  keyIdsOnDisk(group: number): Promise<Set<number>>

  /** Whether the block file has a record: regions have been written to it and it isn't deleted. */
  hasBlock(block: number): boolean

  /** All records, open files included. */
  records(): Iterable<BlockRecord>
  /** Closes open block files after the last append. Idempotent. */
  close(): Promise<void>
}
