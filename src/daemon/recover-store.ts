// Recovery of a store whose metadata is lost, unreadable or behind: the newest state that can be had becomes a new LevelDB
// beside the old one, which is kept. Nothing in the block files is changed, and none is deleted.

import { access, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { syncDirectory, writeDurably } from '../durable-file.ts'
import { CofferError, StoreError } from '../errors.ts'
import { Trash } from '../blocks/index.ts'
import { usageRecords } from '../evidence/index.ts'
import { OfflineMetadata } from '../metadata/index.ts'
import { lockFileExclusive } from '../native/fuse-device.ts'
import {
  BlockSurvey,
  indexFromExtents,
  readNewestCopy,
  type CopyFound,
  type ExtentsFound,
} from '../recovery/index.ts'
import { BlockCensus, packBlockTotal } from './block-census.ts'
import { nextBlockId, packNextBlockId } from './block-ids.ts'
import { packBlockRecord } from './block-records.ts'
import { openCommitNote } from './commit-note.ts'
import type { RecoveryOptions, RecoveryReport } from './contract.ts'
import { copiedRecords, lookAtOldMetadata, type OldMetadata } from './old-metadata.ts'
import { StorageGroups } from './storage-groups.ts'
import { findStoreDirectory, FORMAT_LINE } from './store-directory.ts'
import type { FoundStore } from './store-directory.ts'

/** Records that are written together. */
const BATCH_RECORDS = 4096
/** Nobody reads more, and the rest is counted. */
const SHOWN_FILES_MAX = 1000
const STRANGER_SUFFIX = '.damaged'
const KEYSTORE = /^(\d{1,5})\.keystore$/

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
    const old = await lookAtOldMetadata(this.#store.metadata, this.#store.isOld)
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
    const isWhole = old.trouble === undefined && old.blocksTrouble === undefined
    if (isWhole && old.sequence >= lastSequence && !isForced) throw nothing(old)
    progress('Making the chunk index')
    const extents = await indexFromExtents(made, survey, !isDryRun)
    let keptAside: string | undefined
    if (!isDryRun) {
      // Under their names they would be strays at each start: these may be worth something yet.
      for (const path of survey.strangers) await rename(path, `${path}${STRANGER_SUFFIX}`)
      // What was freed may be in use in the state that is recovered: the next pass frees it again if it is not.
      await new Trash(this.#store.blocks).giveBack(survey.trashed)
      await this.#complete(made, survey, groups, extents)
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
      metadataTrouble: old.trouble ?? old.blocksTrouble ?? null,
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

  async #takeOld(made: OfflineMetadata): Promise<void> {
    const old = await OfflineMetadata.open(this.#store.metadata)
    try {
      let batch: { key: Uint8Array; value: Uint8Array }[] = []
      for await (const record of copiedRecords(old)) {
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
    extents: ExtentsFound,
  ): Promise<void> {
    const census = new BlockCensus()
    const records = [...survey.records()].map(record => {
      const packed = packBlockRecord(record)
      census.put(record.block, packed.value)
      return packed
    })
    await made.write([packBlockTotal(census.total), ...usageRecords(extents.usage)])
    for (let at = 0; at < records.length; at += BATCH_RECORDS) {
      await made.write(records.slice(at, at + BATCH_RECORDS))
    }
    const nextBlock = Math.max(
      nextBlockId(made),
      survey.greatestBlock + 1,
      extents.greatestBlock + 1,
    )
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
