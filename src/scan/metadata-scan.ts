// One look at all metadata as of one commit. Every commit is one batch of all layers' changes, so that what holds between
// tables holds in each snapshot exactly, whatever clients do meanwhile. Only what is compared with the world outside of
// the snapshot (files, keys) is asked again before it is reported.

import { inodeKey, keyNumber, prefixEnd, TABLE } from '../metadata/index.ts'
import type { MetadataSnapshot } from '../metadata/index.ts'
import {
  COUNTERS_KEY,
  decodeContainer,
  decodeCounters,
  decodeInode,
  S_IFDIR,
  S_IFMT,
} from '../vfs/index.ts'
import type { ContainerFields } from '../vfs/index.ts'
import { checkBlockRecords, greatestBlock, nextBlockOf } from './block-records.ts'
import type { ScanParts } from './contract.ts'
import { checkFiles } from './files.ts'
import { checkIndexEntries } from './index-entries.ts'
import type { LostFiles } from './lost-files.ts'
import { checkNames } from './names.ts'
import { bufferOf } from '../buffer-of.ts'
import { numberOf, parsed, rows } from './scan-context.ts'
import type { ScanContext } from './scan-context.ts'
import type { Found } from './subjects.ts'
import type { Suspects } from './suspects.ts'
import { checkUsageCounters } from './usage-counters.ts'

/** Tables that the other checks read. */
const CHECKED_ELSEWHERE: ReadonlySet<number> = new Set([
  TABLE.container,
  TABLE.inode,
  TABLE.dentry,
  TABLE.xattr,
  TABLE.orphan,
  TABLE.extents,
  TABLE.chunk,
  TABLE.block,
])
const TABLES: ReadonlySet<number> = new Set(Object.values(TABLE))

export const METADATA_PHASES = [
  'database',
  'records',
  'block records',
  'names',
  'files',
  'references',
  'index',
] as const
export type MetadataPhase = (typeof METADATA_PHASES)[number]

export interface MetadataScanOptions {
  /** only this storage group's block files and index entries; names and files are always looked at whole */
  readonly group: number | undefined
  readonly found: Found
  /** block files that can't be read whole, as far as is known; those that are missing are added */
  readonly suspects: Suspects
  /** gets what can't be read any more */
  readonly lost: LostFiles
  readonly phase: (phase: MetadataPhase) => void
  /** looks at the last commit, since the store takes no further one; default: false */
  readonly isReadOnly?: boolean
  /** called for every record with its size. @throws when the scan is stopped */
  readonly step: (bytes: number) => Promise<void>
}

/** @throws what `step` throws, and what a failed commit throws */
export async function scanMetadata(parts: ScanParts, options: MetadataScanOptions): Promise<void> {
  const wasCleaning = parts.isCleaning()
  // What is in memory only would be missing.
  if (options.isReadOnly !== true) await parts.metadata.commit()
  const snapshot = parts.metadata.snapshot()
  try {
    const { group, suspects, found, step, phase } = options
    const base = { parts, snapshot, group, suspects, found, step }
    phase('database')
    for (const text of await parts.verifyDatabase()) found('database-files', text, undefined)
    phase('records')
    await checkOtherRecords(base)
    const containers = await checkContainerRecords(base)
    phase('block records')
    const blocks = await checkBlockRecords(base)
    const context: ScanContext = { ...base, containers, blocks }
    await checkCounters(context)
    phase('names')
    await checkNames(context)
    phase('files')
    await checkFiles(context, options.lost)
    phase('references')
    await checkUsageCounters(base)
    phase('index')
    await checkIndexEntries(context, wasCleaning || parts.isCleaning())
  } finally {
    await snapshot.close()
  }
}

type BaseContext = Omit<ScanContext, 'containers' | 'blocks'>

/** Tables that nothing is compared with, and records of no table. */
async function checkOtherRecords(context: BaseContext): Promise<void> {
  let from: Buffer = Buffer.alloc(0)
  for (const table of [...TABLES].sort((a, b) => a - b)) {
    await checkRecords(context, from, Buffer.of(table), false)
    if (!CHECKED_ELSEWHERE.has(table)) {
      await checkRecords(context, Buffer.of(table), prefixEnd(Buffer.of(table)), true)
    }
    from = prefixEnd(Buffer.of(table))
  }
  await checkRecords(context, from, undefined, false)
}

async function checkRecords(
  { snapshot, found, step }: BaseContext,
  from: Buffer,
  to: Buffer | undefined,
  isKnown: boolean,
): Promise<void> {
  for await (const entry of snapshot.entries(from, to)) {
    await step(entry.key.length + (entry.value?.length ?? 0))
    const hex = bufferOf(entry.key).toString('hex')
    if (!isKnown) found('table-known', `The record ${hex} belongs to no table.`, undefined)
    else if (entry.damage !== undefined)
      found('record-readable', entry.damage, { key: bufferOf(entry.key) })
  }
}

async function checkContainerRecords(context: BaseContext): Promise<Map<number, ContainerFields>> {
  const { parts, snapshot, found } = context
  const containers = new Map<number, ContainerFields>()
  for await (const row of rows(context, Buffer.of(TABLE.container))) {
    const id = parsed(context, row, () => keyNumber(row.key, 4))
    if (id === undefined) continue
    const container = parsed(context, row, () => decodeContainer(row.value, id))
    if (container === undefined) continue
    containers.set(id, container)
    if (!parts.groups.exists(container.group)) {
      found(
        'container-group',
        `Container ${id} belongs to storage group ${container.group}, which does not exist.`,
        undefined,
      )
    }
    // A container that is being deleted loses its directory a commit earlier than its record.
    if (!container.deleting && !isDirectoryOf(snapshot, container.root, id)) {
      found('container-root', `Container ${id} has no top directory.`, {
        container: id,
        root: container.root,
      })
    }
  }
  return containers
}

function isDirectoryOf(snapshot: MetadataSnapshot, number: number, container: number): boolean {
  try {
    const record = snapshot.get(inodeKey(TABLE.inode, number))
    if (record === undefined) return false
    const inode = decodeInode(record, number)
    return (inode.mode & S_IFMT) === S_IFDIR && inode.container === container
  } catch {
    return false
  }
}

/** Numbers that a counter would give out again. */
async function checkCounters(context: ScanContext): Promise<void> {
  const { snapshot, found, containers, blocks } = context
  const nextBlock = nextBlockOf(snapshot) ?? 1
  const lastBlock = greatestBlock(blocks)
  if (lastBlock >= nextBlock) {
    found('counter-block', `Block file ${lastBlock} exists, and ${nextBlock} is to come next.`, {
      next: lastBlock + 1,
    })
  }
  const record = snapshot.get(COUNTERS_KEY)
  if (record === undefined) return
  const counters = decodeCounters(record)
  const lastContainer = Math.max(0, ...containers.keys())
  if (lastContainer >= counters.nextContainer) {
    const text = `Container ${lastContainer} exists, and ${counters.nextContainer} is to come next.`
    found('counter-container', text, { next: lastContainer + 1 })
  }
  const from = inodeKey(TABLE.inode, counters.nextInode)
  for await (const { key } of snapshot.entries(from, prefixEnd(Buffer.of(TABLE.inode)))) {
    const number = numberOf(bufferOf(key))
    found('counter-inode', `Inode ${number} exists, and ${counters.nextInode} is to come next.`, {
      next: number + 1,
    })
  }
}
