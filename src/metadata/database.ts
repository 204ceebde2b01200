// Opens LevelDB with our sizes, and only a LevelDB that verifies what it reads.

import { realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { Level } from 'level'
import { StoreError } from '../errors.ts'
import { checkBeforeOpen } from './tables/index.ts'

export type Database = Level<Uint8Array, Buffer>

/** 16 MiB was as good as any in measurements, and 64 MiB slower. */
const WRITE_BUFFER_BYTES = 16 * 1024 * 1024
const CACHE_BYTES = 16 * 1024 * 1024
/** Larger tables than LevelDB's 2 MiB, so that a big index doesn't run through the table cache. */
const TABLE_FILE_BYTES = 16 * 1024 * 1024
/** strerror(ENOSPC), which is all that LevelDB hands on. */
const NO_SPACE = 'No space left on device'

export interface DatabaseOptions {
  /** directory of the LevelDB database */
  readonly directory: string
  readonly createIfMissing: boolean
  /** where a log is copied before its torn end is cut off; default: `kept-logs` in the database's directory */
  readonly keptLogs?: string
}

/**
 * Opens (or makes) the database. The end of a log that a power cut has torn is cut off first.
 * @throws StoreError STORE_IN_USE, DISK_FULL, METADATA_DAMAGED, METADATA_UNREADABLE, LEVELDB_UNCHECKED
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  requireChecks()
  const directory = realpathSync(options.directory)
  await checkBeforeOpen(directory, options.keptLogs)
  const database = new Level<Uint8Array, Buffer>(directory, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    createIfMissing: options.createIfMissing,
    // Fingerprints don't compress, and uncompressed tables are read straight from the mapping.
    compression: false,
    writeBufferSize: WRITE_BUFFER_BYTES,
    cacheSize: CACHE_BYTES,
    maxFileSize: TABLE_FILE_BYTES,
  })
  try {
    await database.open()
  } catch (error) {
    throw openingError(error)
  }
  return database
}

function openingError(error: unknown): StoreError {
  const cause = error instanceof Error ? error.cause : undefined
  const isLocked = cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_LOCKED'
  if (isLocked) {
    return new StoreError('STORE_IN_USE', 'Another daemon has this store open.', { cause: error })
  }
  // LevelDB begins with writing. Nothing is damaged, so no remedy for damage may be offered.
  if (cause instanceof Error && cause.message.includes(NO_SPACE)) {
    const text = "The store's disk is full, and a start needs some room. Make some, then start."
    return new StoreError('DISK_FULL', text, { cause: error })
  }
  return new StoreError('METADATA_UNREADABLE', 'The metadata database does not open.', {
    cause: error,
  })
}

/**
 * Refuses the prebuilt LevelDB, which compares no checksums: native/leveldb/checked.h.
 * @throws StoreError LEVELDB_UNCHECKED
 */
function requireChecks(): void {
  const level = createRequire(createRequire(import.meta.url).resolve('level'))
  const binding: unknown = level('classic-level/binding.js')
  if (hasChecks(binding) && binding.cofferChecks() === 1) return
  throw new StoreError(
    'LEVELDB_UNCHECKED',
    'The LevelDB in node_modules does not verify checksums: run `npm run setup`.',
  )
}

function hasChecks(binding: unknown): binding is { cofferChecks(): unknown } {
  return typeof binding === 'object' && binding !== null && 'cofferChecks' in binding
}
