// Lets all extents that refer to moved chunks follow them.

import { prefixEnd, TABLE } from '../metadata/index.ts'
import { forEachLocation } from '../stream/index.ts'
import type { CleanerExtents, CleanerMetadata } from './contract.ts'
import type { PassWatcher } from './mark.ts'
import type { Relocations } from './relocations.ts'

/** Extent pages that are changed between two commits: some 100 extents each wait in memory. */
const RELOCATED_PAGES_MAX = 256

export interface RelocateParts {
  readonly metadata: CleanerMetadata
  readonly extents: CleanerExtents
  readonly watcher: PassWatcher
  /** called between records */
  readonly breathe: () => Promise<void>
}

/** It is not stopped half-way. Afterwards no extent refers to a moved chunk's old place, in memory; a commit makes it durable. */
export async function relocateExtents(
  { metadata, extents, watcher, breathe }: RelocateParts,
  relocations: Relocations,
): Promise<void> {
  watcher.relocations = relocations
  try {
    // Extents that were put before the watcher knew are in LevelDB after this, and found by the scan.
    await metadata.commit()
    const prefix = Buffer.from([TABLE.extents])
    let changed = 0
    for await (const { key, value } of metadata.range(prefix, prefixEnd(prefix))) {
      let isConcerned = false
      forEachLocation(value, block => {
        isConcerned ||= relocations.has(block)
      })
      if (isConcerned) {
        extents.relocate(key, location => relocations.get(location))
        if (++changed % RELOCATED_PAGES_MAX === 0) await metadata.commit()
      }
      await breathe()
    }
  } finally {
    watcher.relocations = undefined
  }
}
