// Where things lie in LevelDB's files: which files are in use, and what each range of a table, a log or a manifest holds.
// The layout is LevelDB's own (doc/table_format.md, doc/log_format.md).

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const LOG_BLOCK_BYTES = 32 * 1024
const LOG_HEADER_BYTES = 7
const FOOTER_BYTES = 48
const MAGIC_BYTES = 8
/** type and checksum behind each block of a table */
const BLOCK_TRAILER_BYTES = 5

export interface LabelledRange {
  readonly from: number
  readonly to: number
  readonly label: string
}

/** One entry of a data block; its key takes the first `sharedBytes` over from the key before it. */
export interface TableEntry {
  readonly headerAt: number
  readonly keyAt: number
  readonly valueAt: number
  readonly endAt: number
  readonly sharedBytes: number
  /** place in the table's entries of the last one whose key is whole */
  readonly restart: number
  /** the first byte of the whole key: which table of records */
  readonly recordTable: number
}

export interface TableLayout {
  readonly entries: readonly TableEntry[]
  /** of all bytes that are used */
  readonly ranges: readonly LabelledRange[]
}

export interface LiveFiles {
  readonly manifest: string
  readonly tables: readonly string[]
  readonly logs: readonly string[]
}

class Cursor {
  readonly bytes: Buffer
  at: number

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes
    this.at = at
  }

  varint(): number {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = this.bytes[this.at++]
      if (byte === undefined) throw new Error('a number reaches beyond the end')
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }

  skipBytes(): void {
    const length = this.varint()
    this.at += length
  }
}

/** The records of a log or manifest, with the range of each fragment. */
function readLog(bytes: Buffer): { records: Buffer[]; ranges: LabelledRange[] } {
  const records: Buffer[] = []
  const ranges: LabelledRange[] = []
  let fragments: Buffer[] = []
  for (let at = 0; at + LOG_HEADER_BYTES <= bytes.length;) {
    const leftBytes = LOG_BLOCK_BYTES - (at % LOG_BLOCK_BYTES)
    if (leftBytes < LOG_HEADER_BYTES) {
      at += leftBytes
      continue
    }
    const length = bytes.readUInt16LE(at + 4)
    const type = bytes[at + 6] ?? 0
    const to = at + LOG_HEADER_BYTES + length
    if (type === 0 || to > bytes.length) break
    fragments.push(bytes.subarray(at + LOG_HEADER_BYTES, to))
    ranges.push({ from: at, to, label: 'record' })
    const isEnd = type === 1 || type === 4
    if (isEnd) {
      records.push(Buffer.concat(fragments))
      fragments = []
    }
    at = to
  }
  return { records, ranges }
}

export function logRanges(bytes: Buffer, label: string): LabelledRange[] {
  return readLog(bytes).ranges.map(range => ({ ...range, label }))
}

interface Version {
  logNumber: number
  previousLogNumber: number
  readonly tables: Set<number>
}

/** A manifest's record changes the version: a tag, and what follows it. */
function applyEdit(version: Version, record: Buffer): void {
  const cursor = new Cursor(record)
  while (cursor.at < record.length) {
    const tag = cursor.varint()
    if (tag === 1) cursor.skipBytes()
    else if (tag === 2) version.logNumber = cursor.varint()
    else if (tag === 3 || tag === 4) cursor.varint()
    else if (tag === 5) {
      cursor.varint()
      cursor.skipBytes()
    } else if (tag === 6) {
      cursor.varint()
      version.tables.delete(cursor.varint())
    } else if (tag === 7) {
      cursor.varint()
      version.tables.add(cursor.varint())
      cursor.varint()
      cursor.skipBytes()
      cursor.skipBytes()
    } else if (tag === 9) version.previousLogNumber = cursor.varint()
    else throw new Error(`a manifest has the unknown tag ${tag}`)
  }
}

/** Names of the files that LevelDB would read. */
export function liveFiles(directory: string): LiveFiles {
  const manifest = readFileSync(join(directory, 'CURRENT'), 'latin1').trim()
  const version: Version = { logNumber: 0, previousLogNumber: 0, tables: new Set() }
  for (const record of readLog(readFileSync(join(directory, manifest))).records) {
    applyEdit(version, record)
  }
  const names = readdirSync(directory).sort()
  const numberOf = (name: string): number => Number.parseInt(name, 10)
  const { logNumber, previousLogNumber, tables } = version
  return {
    manifest,
    tables: names.filter(name => /\.(ldb|sst)$/.test(name) && tables.has(numberOf(name))),
    logs: names.filter(
      name =>
        name.endsWith('.log') &&
        (numberOf(name) >= logNumber || numberOf(name) === previousLogNumber),
    ),
  }
}

interface Handle {
  readonly offset: number
  readonly size: number
}

function handleAt(cursor: Cursor): Handle {
  return { offset: cursor.varint(), size: cursor.varint() }
}

interface RawEntry {
  readonly headerAt: number
  readonly keyAt: number
  readonly valueAt: number
  readonly endAt: number
  readonly sharedBytes: number
  readonly key: Buffer
}

function entriesOf(bytes: Buffer, { offset, size }: Handle): { entries: RawEntry[]; end: number } {
  const restarts = bytes.readUInt32LE(offset + size - 4)
  const end = offset + size - 4 - 4 * restarts
  const entries: RawEntry[] = []
  const cursor = new Cursor(bytes, offset)
  let key = Buffer.alloc(0)
  while (cursor.at < end) {
    const headerAt = cursor.at
    const sharedBytes = cursor.varint()
    const ownBytes = cursor.varint()
    const valueBytes = cursor.varint()
    const keyAt = cursor.at
    const valueAt = keyAt + ownBytes
    key = Buffer.concat([key.subarray(0, sharedBytes), bytes.subarray(keyAt, valueAt)])
    cursor.at = valueAt + valueBytes
    entries.push({ headerAt, keyAt, valueAt, endAt: cursor.at, sharedBytes, key })
  }
  return { entries, end }
}

/** Everything but the padding within the footer. */
export function readTable(bytes: Buffer): TableLayout {
  const footerAt = bytes.length - FOOTER_BYTES
  const footer = new Cursor(bytes, footerAt)
  const metaindex = handleAt(footer)
  const index = handleAt(footer)
  const entries: TableEntry[] = []
  const ranges: LabelledRange[] = []
  const add = ({ offset, size }: Handle, label: string): void => {
    const to = offset + size
    ranges.push({ from: offset, to, label })
    ranges.push({ from: to, to: to + BLOCK_TRAILER_BYTES, label: 'block trailer' })
  }
  for (const { valueAt } of entriesOf(bytes, index).entries) {
    const block = handleAt(new Cursor(bytes, valueAt))
    const found = entriesOf(bytes, block)
    let restart = entries.length
    for (const { key, ...entry } of found.entries) {
      if (entry.sharedBytes === 0) restart = entries.length
      entries.push({ ...entry, restart, recordTable: key[0] ?? 0 })
      ranges.push({ from: entry.headerAt, to: entry.keyAt, label: 'entry header' })
      ranges.push({ from: entry.keyAt, to: entry.valueAt, label: 'key' })
      ranges.push({ from: entry.valueAt, to: entry.endAt, label: 'value' })
    }
    const to = block.offset + block.size
    ranges.push({ from: found.end, to, label: 'restarts' })
    ranges.push({ from: to, to: to + BLOCK_TRAILER_BYTES, label: 'block trailer' })
  }
  for (const { valueAt } of entriesOf(bytes, metaindex).entries) {
    add(handleAt(new Cursor(bytes, valueAt)), 'filter')
  }
  add(metaindex, 'metaindex')
  add(index, 'index')
  ranges.push({ from: footerAt, to: footer.at, label: 'footer' })
  ranges.push({ from: bytes.length - MAGIC_BYTES, to: bytes.length, label: 'footer' })
  return { entries, ranges: ranges.filter(({ from, to }) => to > from).sort(byStart) }
}

function byStart(a: LabelledRange, b: LabelledRange): number {
  return a.from - b.from
}
