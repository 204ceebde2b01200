// A copy of the metadata that replaces an older one must not have lost records: while it is written, its extents are counted
// and compared with the counters of the same commit.

import { EvidenceError } from '../deletion-proof.ts'
import { compareUsage, UsageTally } from '../evidence/index.ts'
import { prefixEnd, TABLE } from '../metadata/index.ts'
import type { MetadataView } from '../metadata/index.ts'
import type { CopyGeneration } from './copy-generation.ts'

/**
 * Writes all records of a view into a generation.
 * @param check called now and then; ends the work by what it throws
 * @throws EvidenceError when the view has lost records
 */
export async function writeProvedSnapshot(
  generation: CopyGeneration,
  view: MetadataView,
  check: () => void,
): Promise<void> {
  const counted = new UsageTally()
  await generation.writeSnapshot(view, check, (key, value) => {
    if (key[0] === TABLE.extents) counted.add(value, 1)
  })
  const recorded = new UsageTally()
  const prefix = Buffer.of(TABLE.usage)
  for await (const { key, value } of view.range(prefix, prefixEnd(prefix))) {
    recorded.addRecord(key, value)
  }
  const differences = compareUsage(counted, recorded)
  if (differences.length > 0) throw new EvidenceError(`${differences.join('; ')}.`)
}
