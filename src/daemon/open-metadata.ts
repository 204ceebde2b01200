// The metadata of a store, opened for this daemon: what its commits do besides, and whether it can be trusted.

import { StoreError } from '../errors.ts'
import { reportInternalError } from '../internal-errors.ts'
import { openMetadataStore } from '../metadata/index.ts'
import type { MetadataStore } from '../metadata/index.ts'
import type { Circle } from './circle.ts'
import type { CommitNote } from './commit-note.ts'
import type { StoreDirectory } from './store-directory.ts'

/** Opens the database, or makes it in a new store. @throws StoreError as openDatabase does */
export function openMetadata(
  directory: StoreDirectory,
  circle: Circle,
  note: CommitNote,
): Promise<MetadataStore> {
  return openMetadataStore({
    directory: directory.metadata,
    createIfMissing: directory.isNew,
    syncData: async () => circle.blocks?.sync(),
    checkRoom: async () => circle.space?.checkCommit(),
    storeFirst: () => circle.vfs?.storeSuccessors(),
    flushData: async () => circle.streams?.flushAll(),
    observer: {
      put: (key, value) => circle.copies?.put(key, value),
      delete: key => circle.copies?.delete(key),
    },
    committed: async sequence => {
      circle.copies?.committed(sequence)
      circle.filter?.look()
      try {
        await note.write(sequence)
        if (circle.records?.takeClosed() === true) await note.sync()
        circle.alerts?.clear('COMMIT_NOTE')
      } catch (error) {
        // A note that says too little finds less, but what it finds is true: no reason to stop writing.
        reportInternalError('writing the commit note', error)
        const reason = error instanceof Error ? error.message : String(error)
        circle.alerts?.raise('COMMIT_NOTE', `The commit note can't be written: ${reason}`)
      }
    },
    damaged: ({ file, what }) => circle.health?.found(file, what),
    failed: error => {
      reportInternalError('a commit', error)
      circle.readOnlyReason = error.message
      circle.alerts?.raise('STORE_READ_ONLY', readOnlyText(error))
    },
  })
}

/** What the alert says of a failed commit. Damaged metadata is not over by a restart, so none is promised. */
export function readOnlyText(error: Error): string {
  const isDamage = 'code' in error && error.code === 'METADATA_DAMAGED'
  return `The store is read-only${isDamage ? '' : ' until it is started again'}: ${error.message}`
}

/** Codes of metadata that this store can't go on with, and that a recovery may replace. */
const RECOVERABLE = new Set([
  'METADATA_BEHIND',
  'METADATA_UNREADABLE',
  'METADATA_DAMAGED',
  'RECORD_DAMAGED',
])

/** An error of a start, with what to do where the metadata is at fault, also as the cause of another failure. */
export function withRemedy(error: unknown, { path }: StoreDirectory): unknown {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (!('code' in at) || typeof at.code !== 'string' || !RECOVERABLE.has(at.code)) continue
    if (at.message.includes('coffer recover')) return at
    const remedy = `Put the right metadata back, or see what "coffer recover --store ${path} --dry-run" can bring back.`
    return new StoreError(at.code, `${at.message} ${remedy}`, { cause: error })
  }
  return error
}

/** @throws StoreError METADATA_BEHIND */
export function checkCommitNote(note: CommitNote, sequence: number): void {
  if (note.found === undefined || note.found <= sequence) return
  throw new StoreError(
    'METADATA_BEHIND',
    `The metadata is at commit ${sequence}, older than commit ${note.found}, which was durable: ` +
      'nothing is touched.',
  )
}
