// Puts everything below the mount together, in order: metadata, what all stands on, the data path, vfs, what looks after it.

import type { AlertBoard } from '../alerts/index.ts'
import { reporterOf, reportInternalError } from '../internal-errors.ts'
import type { MetadataStore } from '../metadata/index.ts'
import { Vfs } from '../vfs/index.ts'
import { writeDurably } from '../durable-file.ts'
import { BlockRecordKeeper } from './block-records.ts'
import { emptyCircle, type Circle } from './circle.ts'
import { reportDamagedBlock } from './cleaning.ts'
import { openCommitNote, type CommitNote } from './commit-note.ts'
import { buildDataPath, type DataPath } from './data-path.ts'
import { openGround, type Ground } from './open-ground.ts'
import { checkCommitNote, openMetadata, withRemedy } from './open-metadata.ts'
import { openUpkeep } from './open-upkeep.ts'
import { DEFAULT_GROUP } from './storage-groups.ts'
import { FORMAT_LINE } from './store-directory.ts'
import { Storage, type StorageOptions } from './storage.ts'
import { StoreRegistry } from './store-registry.ts'

/** @throws StoreError when the store can't be trusted or is in use; it is then left exactly as it was */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const circle = emptyCircle()
  const note = await openCommitNote(options.directory.commitNote)
  const metadata = await openMetadata(options.directory, circle, note).catch(
    async (error: unknown) => {
      await note.close()
      throw withRemedy(error, options.directory)
    },
  )
  try {
    checkCommitNote(note, metadata.sequence)
    const storage = await assemble(options, metadata, note, circle)
    await rememberStore(options)
    return storage
  } catch (error) {
    circle.space?.stop()
    await circle.filter?.stop()
    await metadata.abandon()
    await circle.blocks?.close()
    await note.close()
    throw withRemedy(error, options.directory)
  }
}

async function assemble(
  options: StorageOptions,
  metadata: MetadataStore,
  note: CommitNote,
  circle: Circle,
): Promise<Storage> {
  const ground = await openGround(options, metadata, circle)
  const { alerting, groups, superblock, schedules, encryption, ids, blocks, filter } = ground
  const { erasures } = ground
  const data = openDataPath(ground)
  const vfs = buildVfs(ground, data)
  const records = new BlockRecordKeeper(blocks, ground.census)
  circle.records = records
  const upkeep = await openUpkeep(ground, data, vfs)
  const { index, extents } = data
  // The counters after the extents: what these tell of a commit goes into the same one.
  const layers = [
    superblock,
    ids,
    groups,
    erasures,
    vfs,
    extents,
    ground.usage,
    index,
    records,
    schedules,
  ]
  const { mender, participants } = upkeep
  for (const each of [mender, ...layers, ...participants, ...alerting.participants]) {
    metadata.addParticipant(each)
  }
  if (groups.find(DEFAULT_GROUP) === undefined) groups.add(DEFAULT_GROUP, 'fast')
  await filter.start()
  metadata.begin()
  await encryption.load()
  await vfs.start()
  circle.vfs = vfs
  endAlertsOfMissing(ground, vfs)
  await metadata.commit()
  await encryption.eraseDeleted()
  if (options.directory.isOld) {
    await writeDurably('format', options.directory.format, FORMAT_LINE)
  }
  upkeep.copies.start()
  ground.health.verifyBeside()
  upkeep.blockFiles.start()
  const rebuildParts = {
    metadata,
    index,
    blocks,
    inFlight: data.inFlight,
    isLocked: (group: number) => encryption.isLocked(group),
    damaged: (block: number, reason: string) =>
      reportDamagedBlock(blocks, alerting.board, block, reason),
  }
  const { streams } = data
  return new Storage({ ...ground, ...upkeep, vfs, streams, note, index, rebuildParts }, circle)
}

/** So that a later start knows that its disk is missing. A backup place that can't be written is said where it matters. */
async function rememberStore(options: StorageOptions): Promise<void> {
  const { directory, keystoreBackup, storePath, now } = options
  const registry = new StoreRegistry(keystoreBackup)
  await registry
    .remember(storePath, directory.identity, new Date(now().seconds * 1000))
    .catch(reporterOf('remembering the store'))
}

function openDataPath(ground: Ground): DataPath {
  const { options, metadata, circle, filter, blocks, groups, encryption } = ground
  const { alerting, space, quota } = ground
  const data = buildDataPath({
    metadata,
    usage: ground.usage,
    filter: filter.filter,
    blocks,
    groups,
    encryption,
    alerts: alerting.board,
    space,
    quota,
    isReadOnly: () => circle.readOnlyReason !== undefined,
    fileInfo: inode => circle.vfs?.fileInfo(inode),
    pagesChanged: options.pagesChanged,
  })
  circle.streams = data.streams
  circle.recent = data.recent
  circle.gatherer = data.gatherer
  circle.inFlight = data.inFlight
  circle.reads = data.reads
  return data
}

function buildVfs(ground: Ground, data: DataPath): Vfs {
  const { options, metadata, circle, alerting, space, quota, superblock } = ground
  return new Vfs({
    metadata,
    committer: metadata,
    content: data.streams,
    now: options.now,
    statistics: group =>
      group === undefined ? space.clientSpace : quota.within(group, space.clientSpace),
    hashKey: superblock.nameHashKey,
    entryChanged: options.entryChanged,
    isReadOnly: () => circle.readOnlyReason !== undefined,
    reportError: error => reportBackgroundFailure(alerting.board, error),
  })
}

/** An earlier daemon may have left alerts about what was deleted. Files and block files are looked at by DamageWatch. */
function endAlertsOfMissing({ alerting, groups }: Ground, vfs: Vfs): void {
  const { board } = alerting
  const containers = new Set(vfs.containers().map(({ name }) => name))
  board.endOfMissing('group', name => groups.find(name) !== undefined)
  board.endOfMissing('container', name => containers.has(name))
}

/** Nobody waits for it: a deletion that goes on at the next start. */
function reportBackgroundFailure(alerts: AlertBoard, error: unknown): void {
  reportInternalError('work in the background', error)
  const reason = error instanceof Error ? error.message : String(error)
  alerts.raise('BACKGROUND_FAILURE', `Work in the background failed: ${reason}`)
}
