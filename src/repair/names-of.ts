// All names of some inodes: one look at all names.

import { prefixEnd, TABLE } from '../metadata/index.ts'
import type { MetadataSnapshot } from '../metadata/index.ts'
import type { NamePlace } from '../scan/index.ts'
import { placeAt } from './evidence.ts'

/** @throws what `step` throws */
export async function namesOf(
  snapshot: MetadataSnapshot,
  inodes: ReadonlySet<number>,
  step: () => Promise<void>,
): Promise<NamePlace[]> {
  const names: NamePlace[] = []
  if (inodes.size === 0) return names
  const prefix = Buffer.of(TABLE.dentry)
  for await (const { key, value } of snapshot.entries(prefix, prefixEnd(prefix))) {
    await step()
    const place = value === undefined ? undefined : placeAt(Buffer.from(key), value)
    if (place !== undefined && inodes.has(place.target)) names.push(place)
  }
  return names
}
