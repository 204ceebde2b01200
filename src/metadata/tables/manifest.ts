// A manifest's records: edits of the set of tables. Added up, they are the current version.

import type { TableRecord, Version } from './contract.ts'
import { ByteReader } from './byte-reader.ts'
import { isInternalKey } from './internal-key.ts'

const TAG = {
  comparator: 1,
  logNumber: 2,
  nextFileNumber: 3,
  lastSequence: 4,
  compactPointer: 5,
  deletedFile: 6,
  newFile: 7,
  previousLogNumber: 9,
} as const
const LEVELS = 7
const COMPARATOR = 'leveldb.BytewiseComparator'

/** What LevelDB refuses to open a manifest without. */
interface Numbers {
  logNumber?: number
  nextFileNumber?: number
  lastSequence?: number
  previousLogNumber?: number
}

/** @throws RangeError for edits that make no sense */
export function addUp(edits: readonly Buffer[]): Version {
  const tables = new Map<number, TableRecord>()
  const numbers: Numbers = {}
  for (const edit of edits) applyEdit(edit, tables, numbers)
  const { logNumber, nextFileNumber, lastSequence, previousLogNumber = 0 } = numbers
  if (logNumber === undefined || nextFileNumber === undefined || lastSequence === undefined) {
    throw new RangeError('lacks one of the numbers that each has')
  }
  return { tables, logNumber, nextFileNumber, lastSequence, previousLogNumber }
}

function applyEdit(edit: Buffer, tables: Map<number, TableRecord>, numbers: Numbers): void {
  const reader = new ByteReader(edit)
  const added: TableRecord[] = []
  const deleted: number[] = []
  while (!reader.isAtEnd) {
    const tag = reader.varint()
    if (tag === TAG.comparator) requireComparator(reader.slice())
    else if (tag === TAG.logNumber) numbers.logNumber = reader.varint()
    else if (tag === TAG.previousLogNumber) numbers.previousLogNumber = reader.varint()
    else if (tag === TAG.nextFileNumber) numbers.nextFileNumber = reader.varint()
    else if (tag === TAG.lastSequence) numbers.lastSequence = reader.varint()
    else if (tag === TAG.compactPointer) {
      levelOf(reader)
      reader.slice()
    } else if (tag === TAG.deletedFile) {
      levelOf(reader)
      deleted.push(reader.varint())
    } else if (tag === TAG.newFile) added.push(tableOf(reader))
    else throw new RangeError('has an edit of an unknown kind')
  }
  // A table that changes its level is deleted and added in one edit.
  for (const number of deleted) tables.delete(number)
  for (const table of added) tables.set(table.number, table)
}

function tableOf(reader: ByteReader): TableRecord {
  const level = levelOf(reader)
  const number = reader.varint()
  const bytes = reader.varint()
  const smallest = reader.slice()
  const largest = reader.slice()
  if (!isInternalKey(smallest) || !isInternalKey(largest)) {
    throw new RangeError('has a key that is none')
  }
  return { level, number, bytes, smallest, largest }
}

function levelOf(reader: ByteReader): number {
  const level = reader.varint()
  if (level >= LEVELS) throw new RangeError('has a level that there is not')
  return level
}

function requireComparator(name: Buffer): void {
  if (name.toString('latin1') !== COMPARATOR) throw new RangeError('is of another order of keys')
}
