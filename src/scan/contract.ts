// What a scan needs of the layers below, and nothing else of them.

import type { BlockRecord, OpenRegion, ScannedRegion } from '../blocks/index.ts'
import type { MetadataSnapshot } from '../metadata/index.ts'

export interface ScanMetadata {
  commit(): Promise<void>
  touched(): void
  /** all records as of the last commit */
  snapshot(): MetadataSnapshot
}

export interface ScanBlocks {
  /** whether the block file is part of the store now */
  hasBlock(block: number): boolean
  records(): Iterable<BlockRecord>
  pathOf(block: number): string | undefined
  /** past the cache, into `slot`. @throws DamagedRegionError */
  readUncached(block: number, page: number, slot: Uint8Array): Promise<OpenRegion>
  /** memory for one region */
  regionSlot(): Uint8Array
  /** @throws errors of the file system */
  scan(path: string): AsyncIterable<ScannedRegion>
  /** undefined when the file has no header of a known version */
  header(path: string): Promise<BlockHeaderFields | undefined>
}

export interface BlockHeaderFields {
  readonly group: number
  readonly block: number
  readonly keyId: number
}

export interface ScanGroups {
  exists(group: number): boolean
  nameOf(group: number): string
  isLocked(group: number): boolean
  /** whether a block file may be sealed with it; undefined when nobody can tell now */
  isKeyKnown(group: number, keyId: number): boolean | undefined
  /** the fingerprint that the group gives to these bytes; undefined while it is locked */
  fingerprintOf(group: number, data: Uint8Array): Promise<Uint8Array> | undefined
  /** keys are in use until the returned function is called */
  beginRead(): () => void
}

/** How fast a scan goes, and whether it is told to stop. */
export interface ScanPace {
  readonly isStopped: boolean
  stop(): void
  /** between records. @throws when it was stopped */
  step(): Promise<void>
  /** after so much work with the disk. @throws when it was stopped */
  rest(workMs: number): Promise<void>
  /** Waits until `bytes`, which took `workMs`, are no more than so many a millisecond. @throws when it was stopped */
  atMost(bytesPerMs: number, bytes: number, workMs: number): Promise<void>
}

export interface ScanParts {
  readonly metadata: ScanMetadata
  readonly blocks: ScanBlocks
  readonly groups: ScanGroups
  /** a pass of the cleaner is under way */
  readonly isCleaning: () => boolean
  /** the place of a name in its directory */
  readonly hashOf: (name: string) => number
  /** @throws StoreError UNKNOWN_VERSION */
  /** Verifies the files of the metadata database, past the page cache. @returns what is wrong, in words */
  readonly verifyDatabase: () => Promise<readonly string[]>
  readonly parseBlockRecord: (key: Uint8Array, value: Uint8Array) => BlockRecord
}
