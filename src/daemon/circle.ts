// What the parts of a storage know of each other although they are made one after the other.

import type { AlertBoard } from '../alerts/index.ts'
import type { BlockStore } from '../blocks/index.ts'
import type { AppendGatherer, FilterKeeper } from '../dedupe/index.ts'
import type { MetadataStore } from '../metadata/index.ts'
import type { MetadataCopies } from '../recovery/index.ts'
import type { InFlight, RecentChunks, StreamStore } from '../stream/index.ts'
import type { InodeNumber, Vfs } from '../vfs/index.ts'
import type { BlockRecordKeeper } from './block-records.ts'
import type { MetadataHealth } from './metadata-health.ts'
import type { SpaceGuard } from './space-guard.ts'

/** Each is undefined until it has been made. */
export interface Circle {
  blocks: BlockStore | undefined
  streams: StreamStore | undefined
  recent: RecentChunks | undefined
  gatherer: AppendGatherer | undefined
  inFlight: InFlight | undefined
  reads: InFlight | undefined
  vfs: Vfs | undefined
  alerts: AlertBoard | undefined
  records: BlockRecordKeeper | undefined
  filter: FilterKeeper | undefined
  copies: MetadataCopies | undefined
  space: SpaceGuard | undefined
  health: MetadataHealth | undefined
  readOnlyReason: string | undefined
}

export function emptyCircle(): Circle {
  return {
    blocks: undefined,
    streams: undefined,
    recent: undefined,
    gatherer: undefined,
    inFlight: undefined,
    reads: undefined,
    vfs: undefined,
    alerts: undefined,
    records: undefined,
    filter: undefined,
    copies: undefined,
    space: undefined,
    health: undefined,
    readOnlyReason: undefined,
  }
}

/** Everything that was accepted is in block files, and a commit says so. */
export async function settle(circle: Circle, metadata: MetadataStore): Promise<void> {
  const isOver = circle.gatherer?.hurry()
  try {
    await circle.streams?.flushAll()
  } finally {
    isOver?.()
  }
  await metadata.commit()
}

/** A group's data leaves our caches and the kernel's. */
export async function forgetGroup(
  circle: Circle,
  group: number,
  pagesChanged: (inode: InodeNumber) => Promise<void>,
): Promise<void> {
  circle.recent?.wipe()
  await circle.blocks?.forgetGroup(group)
  for (const inode of circle.vfs?.knownFilesOf(group) ?? []) await pagesChanged(inode)
}
