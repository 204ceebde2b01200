// What LevelDB says of a damaged database, in our words.

import { dirname } from 'node:path'
import { StoreError } from '../errors.ts'

/** `getSync` gives a failed read no code, only LevelDB's message. */
const IO_ERROR_PREFIX = 'IO error: '

/** Turns what LevelDB throws where a file is damaged or unreadable into METADATA_DAMAGED; other errors stay as they are. */
export function damageOf(error: unknown, directory: string): unknown {
  if (!isCorruption(error) && !isReadFailure(error)) return error
  return metadataDamaged(directory, error.message, error)
}

/** The same for a write: one that the disk refuses is no damage. */
export function writeDamageOf(error: unknown, directory: string): unknown {
  return isCorruption(error) ? metadataDamaged(directory, error.message, error) : error
}

/** @param what the damaged file or LevelDB's message, without a full stop */
export function metadataDamaged(directory: string, what: string, cause?: unknown): StoreError {
  const store = dirname(directory)
  return new StoreError(
    'METADATA_DAMAGED',
    `The metadata database is damaged: ${what}. ` +
      `See what "coffer recover --store ${store} --dry-run" can bring back.`,
    { cause },
  )
}

function isCorruption(error: unknown): error is Error {
  return codeOf(error) === 'LEVEL_CORRUPTION'
}

function isReadFailure(error: unknown): error is Error {
  if (codeOf(error) === 'LEVEL_IO_ERROR') return true
  return error instanceof Error && error.message.startsWith(IO_ERROR_PREFIX)
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
