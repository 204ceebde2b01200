// The extents of a page as they are kept, on the disk and in memory: looked up and changed in place of objects, of which a
// big file would have hundreds of thousands.

import { StoreError } from '../errors.ts'
import { CHUNK_BYTES_MAX, FINGERPRINT_BYTES } from '../blocks/block-store.ts'
import type { ChunkLocation } from '../blocks/block-store.ts'
import { EXTENT_PAGE_BYTES, type Extent, type ExtentPage } from './extent.ts'
import { bufferOf } from '../buffer-of.ts'

// Header: 0 1 version   1 2 storage group   3 4 count. Then per extent:
// 0 4 start within the page   4 4 length   8 4 offset in the chunk   12 4 length of the chunk   16 4 block   20 2 page
// 22 2 ordinal   24 32 fingerprint
const VERSION = 2
const HEADER_BYTES = 7
const EXTENT_BYTES = 24 + FINGERPRINT_BYTES
const LENGTH_AT = 4
const CHUNK_OFFSET_AT = 8
const CHUNK_LENGTH_AT = 12
const BLOCK_AT = 16
const PAGE_AT = 20
const ORDINAL_AT = 22
const FINGERPRINT_AT = 24

/** The extents of a page, in order. Never changes: what changes a page makes a new one. Places are counted from 0. */
export class ExtentRecord {
  readonly bytes: Buffer

  private constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  static empty(group: number): ExtentRecord {
    const bytes = Buffer.alloc(HEADER_BYTES)
    bytes[0] = VERSION
    bytes.writeUInt16LE(group, 1)
    return new ExtentRecord(bytes)
  }

  /** @throws StoreError when the record is not exactly what this class makes: never guessed into a hole */
  static parse(value: Uint8Array): ExtentRecord {
    const bytes = headedRecord(value)
    checkLength(bytes)
    let endBytes = 0
    for (let at = HEADER_BYTES; at < bytes.length; at += EXTENT_BYTES) {
      endBytes = checkedEndBytes(bytes, at, endBytes)
    }
    return new ExtentRecord(bytes)
  }

  get group(): number {
    return this.bytes.readUInt16LE(1)
  }

  get count(): number {
    return this.bytes.readUInt32LE(3)
  }

  /** What the extents cover. */
  get mappedBytes(): number {
    let mappedBytes = 0
    for (let place = 0; place < this.count; place++) mappedBytes += this.#lengthBytes(place)
    return mappedBytes
  }

  /** Where the last extent ends, within the page or beyond it. */
  get endBytes(): number {
    const { count } = this
    return count === 0 ? 0 : this.#endBytes(count - 1)
  }

  /** The place of the first extent that ends behind this offset within the page; their count when none does. */
  firstEndingBehind(offsetBytes: number): number {
    return this.#first(place => this.#endBytes(place) > offsetBytes)
  }

  /** The place of the first extent that starts at this offset or behind it; likewise. */
  firstStartingAt(offsetBytes: number): number {
    return this.#first(place => this.#startBytes(place) >= offsetBytes)
  }

  /** Whether an extent starts at this offset within the page, or before it. */
  hasStartBy(offsetBytes: number): boolean {
    return this.count > 0 && this.firstStartingAt(offsetBytes + 1) > 0
  }

  #first(isIt: (place: number) => boolean): number {
    let [low, high] = [0, this.count]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isIt(middle)) high = middle
      else low = middle + 1
    }
    return low
  }

  /** The fingerprint is a view of the record. */
  extent(pageStartBytes: number, place: number): Extent {
    const at = placeAt(place)
    const { bytes } = this
    return {
      startBytes: pageStartBytes + bytes.readUInt32LE(at),
      lengthBytes: bytes.readUInt32LE(at + LENGTH_AT),
      chunkOffsetBytes: bytes.readUInt32LE(at + CHUNK_OFFSET_AT),
      chunkLengthBytes: bytes.readUInt32LE(at + CHUNK_LENGTH_AT),
      location: locationAt(bytes, at),
      fingerprint: bytes.subarray(at + FINGERPRINT_AT, at + EXTENT_BYTES),
    }
  }

  extents(pageStartBytes: number): Extent[] {
    return Array.from({ length: this.count }, (_, place) => this.extent(pageStartBytes, place))
  }

  /**
   * These extents instead of those from one place to before another.
   * @throws StoreError RECORD_DAMAGED unless they are in order and fit in between: what reads the record would take it for damaged
   */
  with(
    group: number,
    pageStartBytes: number,
    fromPlace: number,
    toPlace: number,
    extents: readonly Extent[],
  ): ExtentRecord {
    const from = placeAt(fromPlace)
    const to = placeAt(toPlace)
    const addedBytes = extents.length * EXTENT_BYTES
    const bytes = Buffer.allocUnsafe(from + addedBytes + this.bytes.length - to)
    bytes[0] = VERSION
    bytes.writeUInt16LE(group, 1)
    bytes.writeUInt32LE(this.count - (toPlace - fromPlace) + extents.length, 3)
    if (from > HEADER_BYTES) bytes.set(this.bytes.subarray(HEADER_BYTES, from), HEADER_BYTES)
    let at = from
    let endBytes = fromPlace === 0 ? 0 : this.#endBytes(fromPlace - 1)
    for (const extent of extents) {
      packExtent(bytes, at, pageStartBytes, extent)
      endBytes = checkedEndBytes(bytes, at, endBytes)
      at += EXTENT_BYTES
    }
    if (toPlace < this.count && this.#startBytes(toPlace) < endBytes) {
      throw new StoreError('RECORD_DAMAGED', 'Extents reach into those behind them.')
    }
    if (to < this.bytes.length) bytes.set(this.bytes.subarray(to), at)
    return new ExtentRecord(bytes)
  }

  /** The same extents with their chunks elsewhere; the record itself when all of them stay. */
  relocated(
    moved: (location: ChunkLocation, chunkLengthBytes: number) => ChunkLocation | undefined,
  ): ExtentRecord {
    let bytes: Buffer | undefined
    for (let at = HEADER_BYTES; at < this.bytes.length; at += EXTENT_BYTES) {
      const from = locationAt(this.bytes, at)
      const to = moved(from, this.bytes.readUInt32LE(at + CHUNK_LENGTH_AT))
      if (to === undefined || to === from) continue
      bytes ??= Buffer.from(this.bytes)
      packLocation(bytes, at, to)
    }
    return bytes === undefined ? this : new ExtentRecord(bytes)
  }

  #startBytes(place: number): number {
    return this.bytes.readUInt32LE(placeAt(place))
  }

  #lengthBytes(place: number): number {
    return this.bytes.readUInt32LE(placeAt(place) + LENGTH_AT)
  }

  #endBytes(place: number): number {
    return this.#startBytes(place) + this.#lengthBytes(place)
  }
}

export function packExtents(pageStartBytes: number, { group, extents }: ExtentPage): Buffer {
  return ExtentRecord.empty(group).with(group, pageStartBytes, 0, 0, extents).bytes
}

/** @throws StoreError as ExtentRecord.parse */
export function parseExtents(pageStartBytes: number, value: Uint8Array): ExtentPage {
  const record = ExtentRecord.parse(value)
  return { group: record.group, extents: record.extents(pageStartBytes) }
}

function placeAt(place: number): number {
  return HEADER_BYTES + place * EXTENT_BYTES
}

function packExtent(bytes: Buffer, at: number, pageStartBytes: number, extent: Extent): void {
  bytes.writeUInt32LE(extent.startBytes - pageStartBytes, at)
  bytes.writeUInt32LE(extent.lengthBytes, at + LENGTH_AT)
  bytes.writeUInt32LE(extent.chunkOffsetBytes, at + CHUNK_OFFSET_AT)
  bytes.writeUInt32LE(extent.chunkLengthBytes, at + CHUNK_LENGTH_AT)
  packLocation(bytes, at, extent.location)
  bytes.set(extent.fingerprint, at + FINGERPRINT_AT)
}

function packLocation(bytes: Buffer, at: number, { block, page, ordinal }: ChunkLocation): void {
  bytes.writeUInt32LE(block, at + BLOCK_AT)
  bytes.writeUInt16LE(page, at + PAGE_AT)
  bytes.writeUInt16LE(ordinal, at + ORDINAL_AT)
}

function locationAt(bytes: Buffer, at: number): ChunkLocation {
  return {
    block: bytes.readUInt32LE(at + BLOCK_AT),
    page: bytes.readUInt16LE(at + PAGE_AT),
    ordinal: bytes.readUInt16LE(at + ORDINAL_AT),
  }
}

/** Where the extent at `at` ends. @throws StoreError RECORD_DAMAGED unless it is sound, and behind the one before */
function checkedEndBytes(record: Buffer, at: number, beforeEndBytes: number): number {
  const startBytes = record.readUInt32LE(at)
  const lengthBytes = record.readUInt32LE(at + LENGTH_AT)
  if (startBytes < beforeEndBytes || startBytes >= EXTENT_PAGE_BYTES || lengthBytes === 0) {
    throw new StoreError('RECORD_DAMAGED', 'An extent record is out of order.')
  }
  const chunkLengthBytes = record.readUInt32LE(at + CHUNK_LENGTH_AT)
  if (
    chunkLengthBytes > CHUNK_BYTES_MAX ||
    record.readUInt32LE(at + CHUNK_OFFSET_AT) + lengthBytes > chunkLengthBytes
  ) {
    throw new StoreError('RECORD_DAMAGED', 'An extent reaches beyond its chunk.')
  }
  return startBytes + lengthBytes
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
  for (let at = HEADER_BYTES; at < record.length; at += EXTENT_BYTES) {
    visit(
      record.readUInt32LE(at + BLOCK_AT),
      record.readUInt16LE(at + ORDINAL_AT),
      record.readUInt32LE(at + CHUNK_LENGTH_AT),
    )
  }
}

/**
 * Tells what each extent of a record refers to, and how many bytes of the file it maps.
 * @throws StoreError RECORD_DAMAGED, UNKNOWN_VERSION
 */
export function forEachReference(
  value: Uint8Array,
  visit: (block: number, lengthBytes: number) => void,
): void {
  const record = headedRecord(value)
  checkLength(record)
  for (let at = HEADER_BYTES; at < record.length; at += EXTENT_BYTES) {
    visit(record.readUInt32LE(at + BLOCK_AT), record.readUInt32LE(at + LENGTH_AT))
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
  for (let at = HEADER_BYTES; at < record.length; at += EXTENT_BYTES) {
    extent.startBytes = record.readUInt32LE(at)
    extent.lengthBytes = record.readUInt32LE(at + LENGTH_AT)
    extent.chunkOffsetBytes = record.readUInt32LE(at + CHUNK_OFFSET_AT)
    extent.chunkLengthBytes = record.readUInt32LE(at + CHUNK_LENGTH_AT)
    extent.block = record.readUInt32LE(at + BLOCK_AT)
    extent.page = record.readUInt16LE(at + PAGE_AT)
    extent.ordinal = record.readUInt16LE(at + ORDINAL_AT)
    extent.fingerprint = record.subarray(at + FINGERPRINT_AT, at + EXTENT_BYTES)
    visit(extent)
  }
}

/** The storage group of a record, without looking at its extents. @throws StoreError UNKNOWN_VERSION */
export function groupOfExtents(value: Uint8Array): number {
  return headedRecord(value).readUInt16LE(1)
}

function checkLength(record: Buffer): void {
  if (record.length !== HEADER_BYTES + record.readUInt32LE(3) * EXTENT_BYTES) {
    throw new StoreError('RECORD_DAMAGED', 'An extent record has the wrong length.')
  }
}

function headedRecord(value: Uint8Array): Buffer {
  const record = bufferOf(value)
  if (record.length < HEADER_BYTES || record[0] !== VERSION) {
    throw new StoreError('UNKNOWN_VERSION', 'An extent record has an unknown version.')
  }
  return record
}
