// Recovery of a store whose metadata is lost, unreadable or behind: the newest state that can be had becomes a new LevelDB
// beside the old one, which is kept. Nothing in the block files is changed, and none is deleted.

import { access, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import createDebug from 'debug'
import { syncDirectory, writeDurably } from '../durable-file.ts'
import { CofferError, StoreError } from '../errors.ts'
import { OfflineMetadata } from '../metadata/index.ts'
import { lockFileExclusive } from '../native/fuse-device.ts'
import {
  BlockSurvey,
  indexFromExtents,
  isCopied,
  readNewestCopy,
  type CopyFound,
} from '../recovery/index.ts'
import { nextBlockId, packNextBlockId } from './block-ids.ts'
import { packBlockRecord } from './block-records.ts'
import { openCommitNote } from './commit-note.ts'
import type { RecoveryOptions, RecoveryReport } from './contract.ts'
import { StorageGroups } from './storage-groups.ts'
import { findStoreDirectory, FORMAT_LINE } from './store-directory.ts'
import type { FoundStore } from './store-directory.ts'

const log = createDebug('coffer:recover')

/** Records that are written together. */
const BATCH_RECORDS = 4096
/** Nobody reads more, and the rest is counted. */
const SHOWN_FILES_MAX = 1000
/** The tables whose records are made again lie between these; LevelDB's keys are ordered. */
const ALL_KEYS = [Buffer.of(0), Buffer.of(0x42), Buffer.of(0x44), Buffer.of(0xff)] as const
const STRANGER_SUFFIX = '.damaged'
const KEYSTORE = /^(\d{1,5})\.keystore$/

/** What was found of the old LevelDB. */
interface OldMetadata {
  readonly sequence: number
  /** undefined when every record that matters can be read */
  readonly trouble: string | undefined
}

/**
 * @throws StoreError NOT_A_STORE, UNKNOWN_VERSION, STORE_IN_USE, NOTHING_TO_RECOVER when the metadata is whole and not
 *   behind, NO_COPY when there is nothing to recover from; the store is then as it was
 */
export async function recoverStore(options: RecoveryOptions): Promise<RecoveryReport> {
  const store = await findStoreDirectory(options.store)
  lock(store)
  return new Recovery(store, options).run()
}

class Recovery {
  readonly #store: FoundStore
  readonly #options: RecoveryOptions
  /** the new LevelDB, until it is put in the old one's place */
  readonly #newPath: string

  constructor(store: FoundStore, options: RecoveryOptions) {
    this.#store = store
    this.#options = options
    this.#newPath = join(store.path, 'metadata.recovering')
  }

  async run(): Promise<RecoveryReport> {
    const { progress } = this.#options
    progress('Looking at the metadata')
    const old = await this.#lookAtOld()
    const noted = await readNote(this.#store)
    let made: OfflineMetadata | undefined
    try {
      progress('Reading the copies of the metadata')
      const sink = async (): Promise<OfflineMetadata> => {
        await made?.close()
        made = await OfflineMetadata.create(this.#newPath)
        return made
      }
      const copy = await readNewestCopy(this.#store.copies, sink)
      const usesOld = old.trouble === undefined && old.sequence > (copy?.sequence ?? -1)
      if (usesOld) await this.#takeOld(await sink())
      if (made === undefined || (copy === undefined && !usesOld)) throw noCopy(old)
      return await this.#rebuild(made, { old, copy: usesOld ? undefined : copy, noted })
    } finally {
      // Closing it twice does no harm; after the renames there is nothing at its path.
      await made?.close()
      await rm(this.#newPath, { recursive: true, force: true })
    }
  }

  async #rebuild(
    made: OfflineMetadata,
    found: { old: OldMetadata; copy: CopyFound | undefined; noted: number },
  ): Promise<RecoveryReport> {
    const { isDryRun, isForced, progress } = this.#options
    const { old, copy, noted } = found
    const groups = new StorageGroups()
    await groups.load(made)
    progress('Reading the headers of the block files')
    const survey = await BlockSurvey.of(
      this.#store.blocks,
      id => groups.list().find(group => group.id === id)?.compression,
      count => {
        if (count % 1000 === 0) progress(`${count} block files`)
      },
    )
    const lastSequence = Math.max(noted, survey.sequence, old.sequence, copy?.sequence ?? 0)
    if (old.trouble === undefined && old.sequence >= lastSequence && !isForced) throw nothing(old)
    progress('Making the chunk index')
    const extents = await indexFromExtents(made, survey, !isDryRun)
    let keptAside: string | undefined
    if (!isDryRun) {
      // A start deletes what is called a block file and has no record: these may be worth something yet.
      for (const path of survey.strangers) await rename(path, `${path}${STRANGER_SUFFIX}`)
      await this.#complete(made, survey, groups, extents.greatestBlock)
      // Beyond everything that was ever there, so that nothing looks newer than the metadata.
      await made.setSequence(lastSequence + 1)
      await made.close()
      keptAside = await this.#putInPlace()
    }
    const lost = [...extents.lostBytes].map(([inode, bytes]) => ({ inode, bytes }))
    return {
      isDryRun,
      source: copy === undefined ? 'metadata' : 'copy',
      sequence: copy?.sequence ?? old.sequence,
      writtenAt: copy === undefined ? null : new Date(copy.seconds * 1000).toISOString(),
      lastSequence,
      metadataTrouble: old.trouble ?? null,
      blockFiles: [...survey.records()].length,
      unreadableBlockFiles: survey.strangers.map(path =>
        isDryRun ? path : `${path}${STRANGER_SUFFIX}`,
      ),
      extents: extents.extents,
      lostFiles: lost.slice(0, SHOWN_FILES_MAX),
      lostFileCount: lost.length,
      lostBytes: lost.reduce((sum, { bytes }) => sum + bytes, 0),
      keptAside: keptAside ?? null,
    }
  }

  async #lookAtOld(): Promise<OldMetadata> {
    const path = join(this.#store.metadata, 'CURRENT')
    const isThere = await access(path).then(
      () => true,
      () => false,
    )
    if (!isThere) return { sequence: 0, trouble: 'It is missing.' }
    let metadata: OfflineMetadata | undefined
    let sequence = 0
    try {
      metadata = await OfflineMetadata.open(this.#store.metadata)
      sequence = metadata.sequence
      for await (const _ of recordsOf(metadata));
      return { sequence, trouble: undefined }
    } catch (error) {
      log('old metadata: %O', error)
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
      const reason = cause instanceof Error ? cause.message : String(cause)
      return { sequence, trouble: `It can't be read: ${reason}` }
    } finally {
      await metadata?.close()
    }
  }

  async #takeOld(made: OfflineMetadata): Promise<void> {
    const old = await OfflineMetadata.open(this.#store.metadata)
    try {
      let batch: { key: Uint8Array; value: Uint8Array }[] = []
      for await (const record of recordsOf(old)) {
        if (batch.push(record) < BATCH_RECORDS) continue
        await made.write(batch)
        batch = []
      }
      await made.write(batch)
    } finally {
      await old.close()
    }
  }

  /** Block records, and the counters, which must be beyond everything that was ever given out. */
  async #complete(
    made: OfflineMetadata,
    survey: BlockSurvey,
    groups: StorageGroups,
    referredBlock: number,
  ): Promise<void> {
    const records = [...survey.records()].map(packBlockRecord)
    for (let at = 0; at < records.length; at += BATCH_RECORDS) {
      await made.write(records.slice(at, at + BATCH_RECORDS))
    }
    const nextBlock = Math.max(nextBlockId(made), survey.greatestBlock + 1, referredBlock + 1)
    const keystores = await readdir(this.#store.keystores).catch(() => [])
    const keyed = keystores.map(name => Number(KEYSTORE.exec(name)?.[1] ?? 0))
    const lastGroup = Math.max(groups.lastId, survey.greatestGroup, ...keyed)
    await made.write([packNextBlockId(nextBlock), StorageGroups.lastIdRecord(lastGroup)])
  }

  /** @returns where the old one is now; undefined when there was none */
  async #putInPlace(): Promise<string | undefined> {
    const { path, metadata } = this.#store
    const name = `metadata.lost-${this.#options.now().toISOString().replaceAll(':', '')}`
    const aside = join(path, name)
    const hadOld = await rename(metadata, aside).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
        return false
      },
    )
    // A crash here leaves a store without metadata: it is refused, and can be recovered again.
    await rename(this.#newPath, metadata)
    await syncDirectory(path)
    if (!this.#store.hasFormat) await writeDurably('format', join(path, 'FORMAT'), FORMAT_LINE)
    return hadOld ? aside : undefined
  }
}

/** What is copied, of a database that is whole. @throws StoreError RECORD_DAMAGED, and what LevelDB throws */
async function* recordsOf(
  metadata: OfflineMetadata,
): AsyncGenerator<{ key: Uint8Array; value: Uint8Array }, void, undefined> {
  const [first, leftOut, after, last] = ALL_KEYS
  for (const [from, to] of [
    [first, leftOut],
    [after, last],
  ] as const) {
    for await (const record of metadata.range(from, to)) if (isCopied(record.key)) yield record
  }
}

async function readNote({ commitNote }: FoundStore): Promise<number> {
  const isThere = await access(commitNote).then(
    () => true,
    () => false,
  )
  if (!isThere) return 0
  const note = await openCommitNote(commitNote)
  await note.close()
  return note.found ?? 0
}

/** The lock ends with the process. */
function lock({ lock: path, path: store }: FoundStore): void {
  try {
    lockFileExclusive(path)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code !== 'EAGAIN' && code !== 'EWOULDBLOCK') throw cause
    const text = `A daemon has the store ${store} open; "coffer stop" ends it.`
    throw new StoreError('STORE_IN_USE', text, { cause })
  }
}

function nothing({ sequence }: OldMetadata): CofferError {
  const text = `The metadata is whole and at its last commit, ${sequence}: there is nothing to recover. --force makes it again all the same.`
  return new CofferError('NOTHING_TO_RECOVER', text)
}

function noCopy({ trouble }: OldMetadata): StoreError {
  const text = `There is no copy of the metadata that could be recovered from, and the metadata itself is of no use. ${trouble ?? ''}`
  return new StoreError('NO_COPY', text.trim())
}
