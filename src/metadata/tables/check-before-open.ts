// What must be right before LevelDB opens a database. LevelDB reads logs to their end and refuses any damage, also a last
// record that a power cut has torn; and it drops what lies behind some damages without a word.

import { copyFile, mkdir, open, readdir, rm } from 'node:fs/promises'
import { constants } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import createDebug from 'debug'
import { StoreError } from '../../errors.ts'
import { damageOfTableIndex } from '../../native/leveldb.ts'
import { metadataDamaged } from '../level-damage.ts'
import type { Version } from './contract.ts'
import { codeOf, listLogs, readWhole, tableName } from './files.ts'
import { readLog } from './log-file.ts'
import type { LogDamage } from './log-file.ts'
import { readVersion } from './read-version.ts'

const log = createDebug('coffer:metadata')

/** Beside the database's directory, which holds LevelDB's own files alone. */
const KEPT_SUFFIX = '.kept-logs'
/** What `copyTo` makes, and nothing else is deleted there. */
const KEPT_NAME = /^\d{6}-\d{6,}\.log$/
/** Copies of logs that are kept: each has 16 MiB and is of interest until the next few starts have gone well. */
const KEPT_LOGS_MAX = 8
/** A write that another process has in flight is over by then. */
const SETTLE_MS = 50

/**
 * Cuts the torn end of the last log off. Each batch is synced, so it holds at most the one batch that was in flight, which
 * was never acknowledged. The caller holds the store's lock.
 * @param keepAside where a log is copied before it is cut; default: `kept-logs` beside the directory, after its name
 * @throws StoreError METADATA_DAMAGED for damage elsewhere, and nothing is changed; METADATA_UNREADABLE, DISK_FULL
 */
export async function checkBeforeOpen(
  directory: string,
  keepAside = `${directory}${KEPT_SUFFIX}`,
): Promise<void> {
  try {
    const { manifest, version, findings } = await readVersion(directory)
    const damage = findings.find(({ file, isTornEnd }) => file === manifest && !isTornEnd)
    // LevelDB opens only what is understood here: it would believe a manifest elsewhere, and lengths that end the process.
    const isMissing = manifest === undefined && !(await hasCurrent(directory))
    if (isMissing) return
    if (damage !== undefined || version === undefined) {
      const { file, what } = damage ?? findings[0] ?? { file: 'CURRENT', what: 'names no manifest' }
      throw metadataDamaged(directory, `${file} ${what}`)
    }
    await checkIndexes(directory, version)
    await checkLogs(directory, version, keepAside)
  } catch (error) {
    throw openingError(error)
  }
}

/** Without CURRENT there is no database: LevelDB says so, or makes a new one. */
async function hasCurrent(directory: string): Promise<boolean> {
  return (await readdir(directory)).includes('CURRENT')
}

/**
 * LevelDB asks for as much memory as footers and indexes say: of damaged ones, more than there is, which ends the process.
 * A table that is missing is left to LevelDB, which says so.
 */
async function checkIndexes(directory: string, { tables }: Version): Promise<void> {
  for (const table of tables.values()) {
    const name = tableName(table.number)
    const damage = await damageOfTableIndex(join(directory, name), table.bytes).catch(
      (error: unknown) => {
        if (codeOf(error) !== 'ENOENT') throw error
      },
    )
    if (damage === undefined) continue
    throw metadataDamaged(directory, `the table ${name} has no sound index (${damage})`)
  }
}

async function checkLogs(directory: string, version: Version, keepAside: string): Promise<void> {
  const { logNumber, previousLogNumber } = version
  const logs = await listLogs(
    directory,
    number => number >= logNumber || number === previousLogNumber,
  )
  // A start that was cut off leaves a new log behind, which is empty: then the one before may be torn.
  let hasLaterRecords = false
  for (const { name } of logs.toReversed()) {
    const bytes = await readWhole(directory, name)
    const { records, damage } = readLog(bytes, true)
    if (damage !== undefined) {
      if (!damage.isAtEnd || hasLaterRecords) {
        throw metadataDamaged(directory, `the log ${name} ${damage.what} (at byte ${damage.at})`)
      }
      await cut(directory, name, bytes, damage, keepAside)
    }
    hasLaterRecords ||= records.length > 0
  }
}

async function cut(
  directory: string,
  name: string,
  bytes: Buffer,
  damage: LogDamage,
  keepAside: string,
): Promise<void> {
  // LevelDB has the lock that tells whether another process is at work, and gives it up when a second file on it is closed.
  await sleep(SETTLE_MS)
  if (!bytes.equals(await readWhole(directory, name))) {
    throw new StoreError('STORE_IN_USE', 'Another process is writing to this store.')
  }
  await mkdir(keepAside, { recursive: true, mode: 0o700 })
  const copy = await copyTo(join(directory, name), keepAside, name)
  log('%s %s at byte %d, and is cut there; %s is as it was', name, damage.what, damage.at, copy)
  const file = await open(join(directory, name), 'r+')
  try {
    await file.truncate(damage.at)
    await file.datasync()
  } finally {
    await file.close()
  }
}

/** A durable copy under a name that is not taken. @returns its path */
async function copyTo(path: string, folder: string, name: string): Promise<string> {
  const taken = (await readdir(folder)).filter(each => KEPT_NAME.test(each)).toSorted()
  const stem = (number: number): string => `${String(number).padStart(6, '0')}-${name}`
  const last = Number.parseInt(taken.at(-1) ?? '0', 10)
  for (const old of taken.slice(0, Math.max(0, taken.length - KEPT_LOGS_MAX + 1))) {
    await rm(join(folder, old))
  }
  const copy = join(folder, stem((Number.isNaN(last) ? 0 : last) + 1))
  await copyFile(path, copy, constants.COPYFILE_EXCL)
  for (const written of [copy, folder]) {
    const file = await open(written, 'r')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
  }
  return copy
}

function openingError(error: unknown): unknown {
  const code = codeOf(error)
  if (code === 'ENOSPC') {
    const text = "The store's disk is full, and a start needs some room. Make some, then start."
    return new StoreError('DISK_FULL', text, { cause: error })
  }
  if (error instanceof StoreError) return error
  if (typeof code !== 'string' && !(error instanceof RangeError)) return error
  return new StoreError('METADATA_UNREADABLE', 'The metadata database does not open.', {
    cause: error,
  })
}
