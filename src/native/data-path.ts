// The typed face of the addon's data path: memory, cutting, fingerprints, block files. Nothing here knows about
// records, caches or groups' policies; src/blocks does.

import { loadAddon } from './addon.ts'
import type { Secret, SecretHandle } from './secret.ts'

/** The fingerprint key of 32 bytes and two multipliers of 4. */
export const CHUNK_KEY_BYTES = 40

/** What a cut depends on; all of it is secret or a property of a group. */
export interface CutParameters {
  /** CHUNK_KEY_BYTES: the fingerprint key, then two 32-bit multipliers, which are made odd */
  readonly key: Secret
  readonly averageBytes: number
  /** at most CHUNK_BYTES_MAX */
  readonly maxBytes: number
}

export interface CutResult {
  readonly lengths: Uint32Array
  /** 32 bytes a chunk, in order */
  readonly fingerprints: Uint8Array
  /** the lengths' sum; the rest is undecided and belongs before the stream's next bytes */
  readonly consumedBytes: number
}

declare const handleBrand: unique symbol
/** An open block file inside the addon. */
export interface BlockFileHandle {
  readonly [handleBrand]: true
}

export interface BlockIdentity {
  readonly group: number
  readonly block: number
  readonly keyId: number
  /** the content encryption key of 32 bytes; absent when keyId is 0 */
  readonly key?: Secret
}

/** In the region header; the order of the Compression words. */
export const ALGORITHM = { none: 0, fast: 1, best: 2 } as const

export interface AppendBatch {
  readonly sequence: number
  readonly algorithm: number
  /** open every region again and compare before it counts as written */
  readonly verify: boolean
  /** not to be changed until the promise has settled, nor may the chunks' memory be */
  readonly datas: readonly Uint8Array[]
  /** those of all chunks, one behind the other: an array of small arrays costs more than sealing the chunks does */
  readonly fingerprints: Uint8Array
  /** how many of the chunks go into each region; at most BATCH_REGIONS_MAX */
  readonly counts: Uint32Array
}

export const BATCH_REGIONS_MAX = 8

export interface AppendResult {
  /** one a region */
  readonly pages: Uint32Array
  /** of each region's first chunk within the block file */
  readonly ordinals: Uint32Array
  /** where the batch ends in the file */
  readonly endBytes: number
  readonly writtenBytes: number
  readonly compressedBytes: number
}

export interface ReadResult {
  readonly chunkCount: number
  /** the first chunk's place within the block file */
  readonly firstOrdinal: number
}

export interface ParsedBlockHeader {
  readonly group: number
  readonly keyId: number
  readonly block: number
  readonly createdSeconds: number
}

export interface ParsedRegionHeader {
  readonly group: number
  readonly keyId: number
  readonly block: number
  readonly page: number
  readonly sequence: number
  readonly algorithm: number
  readonly rawBytes: number
  readonly storedBytes: number
  readonly chunkCount: number
  readonly firstOrdinal: number
  /** header, table, data and padding */
  readonly fileBytes: number
}

/** data, key, window, maxBytes, isEnd */
export type CutArguments = [Uint8Array, SecretHandle, number, number, boolean]

/** A block file's identity as the addon takes it. */
type NativeIdentity = Omit<BlockIdentity, 'key'> & { readonly key?: SecretHandle }

export interface DataPathAddon {
  allocateArena(bytes: number, prefault: boolean): ArrayBuffer
  cutAndFingerprint(...cut: CutArguments): Promise<CutResult>
  cutAndFingerprintNow(...cut: CutArguments): CutResult
  createBlockFile(
    path: string,
    identity: NativeIdentity,
    createdSeconds: number,
  ): Promise<BlockFileHandle>
  openBlockFile(path: string, identity: NativeIdentity): Promise<BlockFileHandle>
  closeBlockFile(handle: BlockFileHandle): void
  appendRegions(
    handle: BlockFileHandle,
    sequence: number,
    algorithm: number,
    verify: boolean,
    datas: readonly Uint8Array[],
    fingerprints: Uint8Array,
    counts: Uint32Array,
  ): Promise<AppendResult>
  readRegion(
    handle: BlockFileHandle,
    page: number,
    guessBytes: number,
    out: Uint8Array,
  ): Promise<ReadResult>
  syncBlockFile(handle: BlockFileHandle): Promise<void>
  syncDirectory(path: string): Promise<void>
  trimMemory(): Promise<void>
  parseBlockHeader(bytes: Uint8Array): ParsedBlockHeader | null
  parseRegionHeader(bytes: Uint8Array): ParsedRegionHeader | null
}

const addon = loadAddon() as DataPathAddon

/** The mean length of an AE chunk is (e - 1) windows. */
const WINDOWS_PER_AVERAGE = 1.718

/** Memory for data: 2 MiB-aligned, of huge pages where the kernel has them, touched now if asked. */
export function allocateArena(bytes: number, options: { prefault?: boolean } = {}): ArrayBuffer {
  return addon.allocateArena(bytes, options.prefault ?? false)
}

/**
 * Cuts and names the chunks of `data`, which must stay as it is until the promise has settled. Cuts depend on the bytes
 * from a chunk's start on only, not on how a stream is handed over; the undecided rest isn't consumed unless `isEnd`.
 */
export function cutAndFingerprint(
  data: Uint8Array,
  parameters: CutParameters,
  isEnd: boolean,
): Promise<CutResult> {
  return addon.cutAndFingerprint(...cutArguments(data, parameters, isEnd))
}

/** The same in this turn, on this thread: for data of which the work is less than that of waking another thread. */
export function cutAndFingerprintNow(
  data: Uint8Array,
  parameters: CutParameters,
  isEnd: boolean,
): CutResult {
  return addon.cutAndFingerprintNow(...cutArguments(data, parameters, isEnd))
}

/** What the addon's functions take. */
export function cutArguments(
  data: Uint8Array,
  parameters: CutParameters,
  isEnd: boolean,
): CutArguments {
  const window = Math.max(1, Math.round(parameters.averageBytes / WINDOWS_PER_AVERAGE))
  return [data, parameters.key.handle, window, parameters.maxBytes, isEnd]
}

function nativeIdentity({ key, ...rest }: BlockIdentity): NativeIdentity {
  return { ...rest, ...(key && { key: key.handle }) }
}

/**
 * Makes a block file that isn't there yet. Rejects with an Error whose `code` is the errno's name, KEY_UNUSABLE for a key
 * of zeros.
 * @throws CofferError KEY_WIPED
 */
export function createBlockFile(
  path: string,
  identity: BlockIdentity,
  createdSeconds: number,
): Promise<BlockFileHandle> {
  return addon.createBlockFile(path, nativeIdentity(identity), createdSeconds)
}

/** Opens for reading. Rejects with a code DAMAGE_<reason> or an errno's name. */
export function openBlockFile(path: string, identity: BlockIdentity): Promise<BlockFileHandle> {
  return addon.openBlockFile(path, nativeIdentity(identity))
}

/** Jobs that use the file still end well. */
export function closeBlockFile(handle: BlockFileHandle): void {
  addon.closeBlockFile(handle)
}

/** Seals, verifies and writes one batch of regions. Rejects with an Error whose `code` is the errno's name. */
export function appendRegions(handle: BlockFileHandle, batch: AppendBatch): Promise<AppendResult> {
  return addon.appendRegions(
    handle,
    batch.sequence,
    batch.algorithm,
    batch.verify,
    batch.datas,
    batch.fingerprints,
    batch.counts,
  )
}

/**
 * Reads and opens one region: its table (36 bytes a chunk) and then the raw bytes come to lie in `out`, which has
 * REGION_SLOT_BYTES at least. Rejects with a code DAMAGE_<reason>.
 */
export function readRegion(
  handle: BlockFileHandle,
  page: number,
  guessBytes: number,
  out: Uint8Array,
): Promise<ReadResult> {
  return addon.readRegion(handle, page, guessBytes, out)
}

/** fdatasync, on threads that do nothing else. */
export function syncBlockFile(handle: BlockFileHandle): Promise<void> {
  return addon.syncBlockFile(handle)
}

/** fsync of a directory, so that the names in it are durable. */
export function syncDirectory(path: string): Promise<void> {
  return addon.syncDirectory(path)
}

/** Gives memory that the allocator holds and nobody uses back to the kernel, on a thread that does nothing else. */
export function trimMemory(): Promise<void> {
  return addon.trimMemory()
}

/** null when the page isn't a block header of this version; it has 4096 bytes. */
export function parseBlockHeader(page: Uint8Array): ParsedBlockHeader | null {
  return addon.parseBlockHeader(page)
}

/** null when the bytes aren't a region's header. It has a checksum, which is no proof of origin. */
export function parseRegionHeader(bytes: Uint8Array): ParsedRegionHeader | null {
  return addon.parseRegionHeader(bytes)
}
