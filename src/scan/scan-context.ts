// What the checks of one look at the metadata share: the snapshot, where findings go, and what is asked again and again.

import type { BlockRecord } from '../blocks/index.ts'
import { prefixEnd } from '../metadata/index.ts'
import type { MetadataSnapshot } from '../metadata/index.ts'
import type { ContainerFields } from '../vfs/index.ts'
import type { ScanParts } from './contract.ts'
import type { Found } from './subjects.ts'
import type { Suspects } from './suspects.ts'
import { bufferOf } from '../buffer-of.ts'

export interface ScanContext {
  readonly parts: ScanParts
  readonly snapshot: MetadataSnapshot
  /** only this storage group; undefined = all */
  readonly group: number | undefined
  /** of all storage groups */
  readonly containers: ReadonlyMap<number, ContainerFields>
  readonly blocks: ReadonlyMap<number, BlockPlace>
  /** block files that can't be read whole */
  readonly suspects: Suspects
  readonly found: Found
  /** called for every record with its size. @throws when the scan is stopped */
  readonly step: (bytes: number) => Promise<void>
}

/** What there is to know of a block file for whoever refers to it. */
export type BlockPlace = Pick<BlockRecord, 'group' | 'lengthBytes'>

export interface Row {
  readonly key: Buffer
  readonly value: Buffer
}

/** The whole records of a table; damaged ones are reported and left out. */
export async function* rows(
  { snapshot, found, step }: Pick<ScanContext, 'snapshot' | 'found' | 'step'>,
  from: Uint8Array,
  to = prefixEnd(from),
  reports = true,
  damaged?: (key: Buffer) => void,
): AsyncGenerator<Row, void, undefined> {
  for await (const entry of snapshot.entries(from, to)) {
    const key = bufferOf(entry.key)
    await step(key.length + (entry.value?.length ?? 0))
    if (entry.value !== undefined) {
      yield { key, value: bufferOf(entry.value) }
      continue
    }
    damaged?.(key)
    if (reports) found('record-readable', entry.damage, { key })
  }
}

/** What `parse` makes of a record; a record that it refuses is a finding. */
export function parsed<Fields>(
  { found }: Pick<ScanContext, 'found'>,
  { key }: Row,
  parse: () => Fields,
  reports = true,
): Fields | undefined {
  try {
    return parse()
  } catch (error) {
    // What a parser says of a record that it doesn't understand; anything else is a mistake in here.
    if (!(error instanceof Error) || !('code' in error)) throw error
    if (reports) {
      found('record-readable', `${error.message} (key ${key.toString('hex')})`, { key })
    }
    return undefined
  }
}

/** The 8 bytes after the table's letter. */
export function numberOf(key: Buffer): number {
  return key.readUInt32BE(1) * 2 ** 32 + key.readUInt32BE(5)
}
