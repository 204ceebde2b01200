// One table against the manifest.

import { join } from 'node:path'
import { verifyTable } from '../../native/leveldb.ts'
import type { Finding, TableRecord } from './contract.ts'
import { tableName } from './files.ts'
import { compareKeys, userKeyOf } from './internal-key.ts'
import { reasonOf } from './read-version.ts'

/** What is wrong with a table; undefined for a sound one. */
export async function checkTable(
  directory: string,
  table: TableRecord,
  fromDisk: boolean,
): Promise<Finding | undefined> {
  const file = tableName(table.number)
  // Where only the table is known to be damaged, all that lies in it is.
  const whole = { file, from: userKeyOf(table.smallest), to: userKeyOf(table.largest) }
  try {
    const report = await verifyTable(join(directory, file), table.bytes, fromDisk)
    if (report.reason !== undefined) {
      const { reason, offset, from = whole.from, to = whole.to } = report
      return { file, what: `${reason} (at byte ${offset})`, from, to }
    }
    if (
      Buffer.compare(report.smallestKey, table.smallest) !== 0 ||
      Buffer.compare(report.largestKey, table.largest) !== 0
    ) {
      return { ...whole, what: 'holds other keys than the manifest says' }
    }
    return undefined
  } catch (error) {
    return { ...whole, what: reasonOf(error) }
  }
}

/** Tables of one level that hold the same keys, which only level 0 may have. */
export function findOverlaps(tables: Iterable<TableRecord>): Finding[] {
  const ordered = [...tables]
    .filter(({ level }) => level > 0)
    .toSorted((a, b) => a.level - b.level || compareKeys(a.smallest, b.smallest))
  const findings: Finding[] = []
  for (const [index, table] of ordered.entries()) {
    const before = ordered[index - 1]
    const file = tableName(table.number)
    if (compareKeys(table.smallest, table.largest) > 0) {
      findings.push({ file, what: 'ends before it begins' })
    }
    if (before === undefined || before.level !== table.level) continue
    if (compareKeys(before.largest, table.smallest) < 0) continue
    const range = { from: userKeyOf(table.smallest), to: userKeyOf(before.largest) }
    findings.push({ file, what: `overlaps ${tableName(before.number)} on its level`, ...range })
  }
  return findings
}
