// An extent maps a range of a file to (a part of) a chunk. A hole is the absence of an extent.

import { StoreError } from '../errors.ts'
import { CHUNK_BYTES_MAX, FINGERPRINT_BYTES } from '../blocks/block-store.ts'
import type { ChunkLocation } from '../blocks/block-store.ts'

export interface Extent {
  readonly startBytes: number
  readonly lengthBytes: number
  /** where the extent's first byte lies within its chunk */
  readonly chunkOffsetBytes: number
  /** of the whole chunk */
  readonly chunkLengthBytes: number
  readonly fingerprint: Uint8Array
  readonly location: ChunkLocation
}

/**
 * Extents are kept in pages by the place where they start. A chunk is shorter than a page, so that an offset's extent is
 * in its own page or in the one before.
 */
export const EXTENT_PAGE_BYTES = 4 * 1024 * 1024

/** The extents of one page of one file, and the storage group that their chunks belong to. */
export interface ExtentPage {
  readonly group: number
  /** ascending */
  readonly extents: readonly Extent[]
}

// Header: 0 1 version   1 2 storage group   3 4 count. Then per extent:
// 0 4 start within the page   4 4 length   8 4 offset in the chunk   12 4 length of the chunk   16 4 block   20 2 page
// 22 2 ordinal   24 32 fingerprint
const PAGE_VERSION = 2
const PAGE_HEADER_BYTES = 7
const EXTENT_BYTES = 24 + FINGERPRINT_BYTES

export function packExtents(pageStartBytes: number, { group, extents }: ExtentPage): Buffer {
  const record = Buffer.allocUnsafe(PAGE_HEADER_BYTES + extents.length * EXTENT_BYTES)
  record[0] = PAGE_VERSION
  record.writeUInt16LE(group, 1)
  record.writeUInt32LE(extents.length, 3)
  let at = PAGE_HEADER_BYTES
  for (const extent of extents) {
    record.writeUInt32LE(extent.startBytes - pageStartBytes, at)
    record.writeUInt32LE(extent.lengthBytes, at + 4)
    record.writeUInt32LE(extent.chunkOffsetBytes, at + 8)
    record.writeUInt32LE(extent.chunkLengthBytes, at + 12)
    record.writeUInt32LE(extent.location.block, at + 16)
    record.writeUInt16LE(extent.location.page, at + 20)
    record.writeUInt16LE(extent.location.ordinal, at + 22)
    record.set(extent.fingerprint, at + 24)
    at += EXTENT_BYTES
  }
  return record
}

/** @throws StoreError when the record is not exactly what packExtents makes: never guessed into a hole */
export function parseExtents(pageStartBytes: number, value: Uint8Array): ExtentPage {
  const record = headedRecord(value)
  checkLength(record)
  const extents: Extent[] = []
  let endBytes = 0
  for (let at = PAGE_HEADER_BYTES; at < record.length; at += EXTENT_BYTES) {
    endBytes = checkedEndBytes(record, at, endBytes)
    extents.push({
      startBytes: pageStartBytes + record.readUInt32LE(at),
      lengthBytes: record.readUInt32LE(at + 4),
      chunkOffsetBytes: record.readUInt32LE(at + 8),
      chunkLengthBytes: record.readUInt32LE(at + 12),
      location: {
        block: record.readUInt32LE(at + 16),
        page: record.readUInt16LE(at + 20),
        ordinal: record.readUInt16LE(at + 22),
      },
      // A copy: LevelDB's buffer holds the whole page alive otherwise.
      fingerprint: Uint8Array.prototype.slice.call(record, at + 24, at + EXTENT_BYTES),
    })
  }
  return { group: record.readUInt16LE(1), extents }
}

/**
 * What a record's extents cover, without making objects of them. `endBytes`: where the last one ends, within the page
 * or beyond it.
 * @throws StoreError as parseExtents
 */
export function measureExtents(value: Uint8Array): { mappedBytes: number; endBytes: number } {
  const record = headedRecord(value)
  checkLength(record)
  let endBytes = 0
  let mappedBytes = 0
  for (let at = PAGE_HEADER_BYTES; at < record.length; at += EXTENT_BYTES) {
    endBytes = checkedEndBytes(record, at, endBytes)
    mappedBytes += record.readUInt32LE(at + 4)
  }
  return { mappedBytes, endBytes }
}

/** Where the extent at `at` ends. @throws StoreError RECORD_DAMAGED unless it is sound, and behind the one before */
function checkedEndBytes(record: Buffer, at: number, beforeEndBytes: number): number {
  const startBytes = record.readUInt32LE(at)
  const lengthBytes = record.readUInt32LE(at + 4)
  if (startBytes < beforeEndBytes || startBytes >= EXTENT_PAGE_BYTES || lengthBytes === 0) {
    throw new StoreError('RECORD_DAMAGED', 'An extent record is out of order.')
  }
  const chunkLengthBytes = record.readUInt32LE(at + 12)
  if (
    chunkLengthBytes > CHUNK_BYTES_MAX ||
    record.readUInt32LE(at + 8) + lengthBytes > chunkLengthBytes
  ) {
    throw new StoreError('RECORD_DAMAGED', 'An extent reaches beyond its chunk.')
  }
  return startBytes + lengthBytes
}

/** A page as the record that it was read from: objects are made when somebody asks for them, which a copy never does. */
export class PackedPage implements ExtentPage {
  readonly group: number
  readonly record: Uint8Array
  readonly #pageStartBytes: number
  #extents: readonly Extent[] | undefined

  /** @param record of one extent at least; stays as it is. @throws StoreError UNKNOWN_VERSION */
  constructor(pageStartBytes: number, record: Uint8Array) {
    this.group = groupOfExtents(record)
    this.record = record
    this.#pageStartBytes = pageStartBytes
  }

  /** @throws StoreError RECORD_DAMAGED */
  get extents(): readonly Extent[] {
    this.#extents ??= parseExtents(this.#pageStartBytes, this.record).extents
    return this.#extents
  }
}

/**
 * Tells where the chunks of a record's extents lie, without making objects of them: a scan of a whole store sees millions.
 * @throws StoreError RECORD_DAMAGED, UNKNOWN_VERSION
 */
export function forEachLocation(
  value: Uint8Array,
  visit: (block: number, ordinal: number, chunkLengthBytes: number) => void,
): void {
  const record = headedRecord(value)
  checkLength(record)
  for (let at = PAGE_HEADER_BYTES; at < record.length; at += EXTENT_BYTES) {
    visit(record.readUInt32LE(at + 16), record.readUInt16LE(at + 22), record.readUInt32LE(at + 12))
  }
}

/** An extent as a scan sees it: one object for all extents of a record, good until the next one. */
export interface RawExtent {
  /** within the page */
  startBytes: number
  lengthBytes: number
  chunkOffsetBytes: number
  chunkLengthBytes: number
  block: number
  page: number
  ordinal: number
  /** a view of the record */
  fingerprint: Uint8Array
}

/**
 * Visits the extents of a record whatever they say.
 * @throws StoreError RECORD_DAMAGED, UNKNOWN_VERSION when the record's length doesn't fit its count
 */
export function forEachRawExtent(value: Uint8Array, visit: (extent: RawExtent) => void): void {
  const record = headedRecord(value)
  checkLength(record)
  const extent: RawExtent = {
    startBytes: 0,
    lengthBytes: 0,
    chunkOffsetBytes: 0,
    chunkLengthBytes: 0,
    block: 0,
    page: 0,
    ordinal: 0,
    fingerprint: record,
  }
  for (let at = PAGE_HEADER_BYTES; at < record.length; at += EXTENT_BYTES) {
    extent.startBytes = record.readUInt32LE(at)
    extent.lengthBytes = record.readUInt32LE(at + 4)
    extent.chunkOffsetBytes = record.readUInt32LE(at + 8)
    extent.chunkLengthBytes = record.readUInt32LE(at + 12)
    extent.block = record.readUInt32LE(at + 16)
    extent.page = record.readUInt16LE(at + 20)
    extent.ordinal = record.readUInt16LE(at + 22)
    extent.fingerprint = record.subarray(at + 24, at + EXTENT_BYTES)
    visit(extent)
  }
}

/** The storage group of a record, without looking at its extents. @throws StoreError UNKNOWN_VERSION */
export function groupOfExtents(value: Uint8Array): number {
  return headedRecord(value).readUInt16LE(1)
}

function checkLength(record: Buffer): void {
  if (record.length !== PAGE_HEADER_BYTES + record.readUInt32LE(3) * EXTENT_BYTES) {
    throw new StoreError('RECORD_DAMAGED', 'An extent record has the wrong length.')
  }
}

function headedRecord(value: Uint8Array): Buffer {
  const record = Buffer.from(value.buffer, value.byteOffset, value.length)
  if (record.length < PAGE_HEADER_BYTES || record[0] !== PAGE_VERSION) {
    throw new StoreError('UNKNOWN_VERSION', 'An extent record has an unknown version.')
  }
  return record
}
