// Verifies all files of a database, also while LevelDB works with it: what a compaction removes or makes meanwhile is no
// damage.

import type { Finding, TableRecord, Version, VerifyOptions } from './contract.ts'
import { codeOf, listLogs, tableName } from './files.ts'
import { readSettled, readVersion, reasonOf } from './read-version.ts'
import { checkTable, findOverlaps } from './verify-table.ts'
import { isSound } from './write-batch.ts'

/**
 * Checks CURRENT, the manifest, each table that belongs to the database when it begins, and the logs.
 * @returns everything that is wrong; empty for a sound database
 */
export async function verifyDatabase(
  directory: string,
  options: VerifyOptions = {},
): Promise<Finding[]> {
  const { version, findings } = await readVersion(directory)
  if (version === undefined) return [...findings]
  const result = [...findings, ...findOverlaps(version.tables.values())]
  result.push(...(await verifyTables(directory, [...version.tables.values()], options)))
  result.push(...(await verifyLogs(directory, version, options.signal)))
  return result
}

/** Tables that are wrong and still belong to the database. */
export async function verifyTables(
  directory: string,
  tables: readonly TableRecord[],
  { fromDisk = false, signal, progress }: VerifyOptions,
): Promise<Finding[]> {
  const totalBytes = tables.reduce((sum, { bytes }) => sum + bytes, 0)
  const findings: Finding[] = []
  let doneBytes = 0
  for (const table of tables) {
    signal?.throwIfAborted()
    const finding = await checkTable(directory, table, fromDisk)
    if (finding !== undefined && (await isLive(directory, table))) findings.push(finding)
    doneBytes += table.bytes
    progress?.(doneBytes, totalBytes)
  }
  return findings
}

/** Whether a table still belongs to the database. One that can't be told does: its damage must not be lost. */
async function isLive(directory: string, { number }: TableRecord): Promise<boolean> {
  const { version } = await readVersion(directory)
  return version === undefined || version.tables.has(number)
}

async function verifyLogs(
  directory: string,
  version: Version,
  signal: AbortSignal | undefined,
): Promise<Finding[]> {
  const { logNumber, previousLogNumber } = version
  const logs = await listLogs(
    directory,
    number => number >= logNumber || number === previousLogNumber,
  )
  const findings: Finding[] = []
  // A manifest names the log that follows on its tables. One that is gone may have been flushed meanwhile.
  const isThere = logNumber === 0 || logs.some(({ number }) => number === logNumber)
  if (!isThere && (await isNeeded(directory, logNumber))) {
    findings.push({ file: logNameOf(logNumber), what: 'is missing' })
  }
  for (const { name, number } of logs) {
    signal?.throwIfAborted()
    const finding = await verifyLog(directory, name)
    if (finding !== undefined && (await isNeeded(directory, number))) findings.push(finding)
  }
  return findings
}

async function verifyLog(directory: string, name: string): Promise<Finding | undefined> {
  try {
    const { records, damage } = await readSettled(directory, name)
    if (damage !== undefined) {
      return { file: name, what: damage.what, ...(damage.isAtEnd && { isTornEnd: true }) }
    }
    return records.every(isSound) ? undefined : { file: name, what: 'has a batch that is none' }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { file: name, what: 'is missing' }
    return { file: name, what: reasonOf(error) }
  }
}

async function isNeeded(directory: string, log: number): Promise<boolean> {
  const { version } = await readVersion(directory)
  return version === undefined || log >= version.logNumber || log === version.previousLogNumber
}

function logNameOf(number: number): string {
  return tableName(number).replace(/ldb$/, 'log')
}
