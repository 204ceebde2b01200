// Marking: which chunks do the extents of all files refer to? A consistent view, while everybody goes on working.
//
// The watcher sees every extent that is put from before the commit on; the commit brings everything older into LevelDB;
// the scan sees LevelDB as of its beginning. So every extent that exists at any moment from then on has been seen.

import type { ChunkLocation } from '../blocks/index.ts'
import { proveListing } from '../evidence/index.ts'
import { forEachLocation } from '../stream/index.ts'
import type { ExtentWatcher } from '../stream/index.ts'
import type { PassParts } from './contract.ts'
import type { Liveness } from './liveness.ts'
import type { Relocations } from './relocations.ts'

/** What is put during a pass is live, and what points to a moved chunk follows it. */
export class PassWatcher implements ExtentWatcher {
  readonly #liveness: Liveness
  /** set while extents are being relocated */
  relocations: Relocations | undefined

  constructor(liveness: Liveness) {
    this.#liveness = liveness
  }

  put(location: ChunkLocation, chunkLengthBytes: number): ChunkLocation {
    const place = this.relocations?.get(location) ?? location
    this.#liveness.mark(place, chunkLengthBytes)
    return place
  }
}

/**
 * Marks what the extents in LevelDB refer to, and proves that the listing is whole: its sums are those that the commits have
 * counted, and each file maps what its inode says. The watcher must be in place and a commit made before.
 * @param step called between records
 * @throws StoreError RECORD_DAMAGED: what can't be read may refer to anything, so nothing may be freed; EvidenceError when
 *   the listing and the counters, or the inodes, disagree
 */
export async function markExtents(
  { metadata, mappedBytesOf }: Pick<PassParts, 'metadata' | 'mappedBytesOf'>,
  liveness: Liveness,
  step: () => Promise<void>,
): Promise<void> {
  await proveListing({
    metadata,
    mappedBytesOf,
    visit: record => {
      forEachLocation(record, (block, ordinal, chunkLengthBytes) => {
        liveness.markAt(block, ordinal, chunkLengthBytes)
      })
    },
    step,
  })
}
