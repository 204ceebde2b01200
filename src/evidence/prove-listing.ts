// Proves that the extents which a snapshot lists are all there are: three sources must agree.

import { EvidenceError } from '../deletion-proof.ts'
import type { MetadataSnapshot } from '../metadata/index.ts'
import { compareUsage } from './compare-usage.ts'
import { countersIn, countExtents, type MappedBytesOf } from './count-extents.ts'

export interface ListingOptions {
  readonly metadata: { snapshot(): MetadataSnapshot }
  readonly mappedBytesOf: MappedBytesOf
  /** told of each extent record */
  readonly visit: (record: Uint8Array) => void
  /** called between records; what it throws ends the walk */
  readonly step: () => Promise<void>
}

/**
 * Walks over all extents, and compares their sums with the commits' counters and with what each inode says.
 * @throws EvidenceError when they disagree; StoreError RECORD_DAMAGED, METADATA_DAMAGED: what can't be read may refer to
 *   anything
 */
export async function proveListing(options: ListingOptions): Promise<void> {
  const { metadata, mappedBytesOf, visit, step } = options
  const snapshot = metadata.snapshot()
  try {
    const { usage, disagreements } = await countExtents({ snapshot, mappedBytesOf, visit, step })
    const all = [...compareUsage(usage, await countersIn(snapshot)), ...disagreements]
    if (all.length > 0) throw new EvidenceError(`${all.join('; ')}.`)
  } finally {
    await snapshot.close()
  }
}
