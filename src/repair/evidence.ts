// What is left of inodes and containers whose own records are missing or can't be read: the names that lead to them, the
// entries that lie in them, their extents and attributes.

import { inodeKey, prefixEnd, TABLE } from '../metadata/index.ts'
import type { MetadataSnapshot } from '../metadata/index.ts'
import type { Discovery, NamePlace } from '../scan/index.ts'
import { EXTENT_PAGE_BYTES, forEachRawExtent, groupOfExtents } from '../stream/index.ts'
import {
  decodeContainer,
  decodeDentry,
  decodeInode,
  parseDentryKey,
  ROOT_INODE,
  S_IFDIR,
} from '../vfs/index.ts'
import type { ContainerFields } from '../vfs/index.ts'
import type { InodeFields } from '../vfs/index.ts'

const INODE_KEY_BYTES = 9
const CONTAINER_KEY_BYTES = 5

/** Of one inode without a record. */
export interface Remains {
  /** a record is there, and can't be read */
  isDamaged: boolean
  readonly names: NamePlace[]
  children: number
  subdirectories: number
  /** of its directory, or of what lies in it; undefined when neither tells */
  container: number | undefined
  extents: Extents | undefined
  hasXattrs: boolean
}

export interface Extents {
  readonly group: number
  readonly endBytes: number
  readonly mappedBytes: number
}

export interface Evidence {
  readonly remains: ReadonlyMap<number, Remains>
  readonly containers: ReadonlyMap<number, ContainerFields>
  /** containers without a record, whose top directory and storage group are known */
  readonly lostContainers: ReadonlyMap<
    number,
    { readonly name: string; readonly root: number; readonly group: number }
  >
}

export interface EvidenceOptions {
  readonly snapshot: MetadataSnapshot
  readonly groups: readonly number[]
  readonly step: () => Promise<void>
}

/** @throws what `step` throws */
export async function gatherEvidence(
  options: EvidenceOptions,
  found: readonly Discovery[],
): Promise<Evidence> {
  const { snapshot, step } = options
  const containers = await containersOf(snapshot)
  const remains = wanted(found)
  if (remains.size > 0) {
    for await (const place of names(options, Buffer.of(TABLE.dentry))) {
      remains.get(place.target)?.names.push(place)
      const parent = remains.get(place.parent)
      if (parent !== undefined) countChild(snapshot, parent, place)
    }
  }
  for (const [inode, one] of remains) {
    await step()
    one.extents = await extentsOf(snapshot, inode)
    one.hasXattrs = (await firstEntry(snapshot, inodeKey(TABLE.xattr, inode))) !== undefined
    one.container ??= containerOfNames(snapshot, one.names)
    one.container ??= containerOfGroup(containers, one.extents?.group)
  }
  const lostContainers = await lostContainersOf(options, found)
  return { remains, containers, lostContainers }
}

function wanted(found: readonly Discovery[]): Map<number, Remains> {
  const remains = new Map<number, Remains>()
  const want = (inode: number, isDamaged: boolean): void => {
    const known = remains.get(inode)
    if (known !== undefined) known.isDamaged ||= isDamaged
    else remains.set(inode, newRemains(isDamaged))
  }
  for (const { check, subject } of found) {
    if (check === 'record-readable' && subject.key[0] === TABLE.inode) {
      if (subject.key.length === INODE_KEY_BYTES) want(inodeOf(subject.key), true)
    } else if (check === 'name-inode') want(subject.target, false)
    else if (check === 'name-directory') want(subject.parent, false)
    else if (check === 'extent-inode' && !subject.exists) want(subject.inode, false)
  }
  return remains
}

function newRemains(isDamaged: boolean): Remains {
  return {
    isDamaged,
    names: [],
    children: 0,
    subdirectories: 0,
    container: undefined,
    extents: undefined,
    hasXattrs: false,
  }
}

/** The 8 bytes after the table's letter. */
export function inodeOf(key: Buffer): number {
  return key.readUInt32BE(1) * 2 ** 32 + key.readUInt32BE(5)
}

async function* names(
  { snapshot, step }: EvidenceOptions,
  from: Buffer,
): AsyncGenerator<NamePlace, void, undefined> {
  for await (const { key, value } of snapshot.entries(from, prefixEnd(from))) {
    await step()
    if (value === undefined) continue
    const place = placeAt(Buffer.from(key), value)
    if (place !== undefined) yield place
  }
}

/** undefined when the record makes no sense. */
export function placeAt(key: Buffer, value: Uint8Array): NamePlace | undefined {
  try {
    const parent = inodeOf(key)
    const { hash, name } = parseDentryKey(key)
    const { inode: target, type } = decodeDentry(value, parent)
    return { parent, name, hash, target, type }
  } catch {
    // A finding of its own.
    return undefined
  }
}

function countChild(snapshot: MetadataSnapshot, parent: Remains, { target, type }: NamePlace) {
  parent.children++
  if (type === S_IFDIR) parent.subdirectories++
  parent.container ??= inodeAt(snapshot, target)?.container
}

function inodeAt(snapshot: MetadataSnapshot, number: number): InodeFields | undefined {
  try {
    const record = snapshot.get(inodeKey(TABLE.inode, number))
    return record === undefined ? undefined : decodeInode(record, number)
  } catch {
    return undefined
  }
}

function containerOfNames(
  snapshot: MetadataSnapshot,
  places: readonly NamePlace[],
): number | undefined {
  for (const { parent } of places) {
    const container = inodeAt(snapshot, parent)?.container
    if (container !== undefined && parent !== ROOT_INODE) return container
  }
  return undefined
}

function containerOfGroup(
  containers: ReadonlyMap<number, ContainerFields>,
  group: number | undefined,
): number | undefined {
  for (const [id, container] of containers) {
    if (container.group === group && !container.deleting) return id
  }
  return undefined
}

async function extentsOf(snapshot: MetadataSnapshot, inode: number): Promise<Extents | undefined> {
  const prefix = inodeKey(TABLE.extents, inode)
  let group: number | undefined
  let endBytes = 0
  let mappedBytes = 0
  for await (const { key, value } of snapshot.entries(prefix, prefixEnd(prefix))) {
    const pageBytes = Buffer.from(key).readUInt32BE(INODE_KEY_BYTES) * EXTENT_PAGE_BYTES
    // What can't be read may reach to the page's end; reading it gives EIO.
    endBytes = Math.max(endBytes, pageBytes + (value === undefined ? EXTENT_PAGE_BYTES : 0))
    if (value === undefined) continue
    try {
      group ??= groupOfExtents(value)
      forEachRawExtent(value, ({ startBytes, lengthBytes }) => {
        endBytes = Math.max(endBytes, pageBytes + startBytes + lengthBytes)
        mappedBytes += lengthBytes
      })
    } catch {
      endBytes = Math.max(endBytes, pageBytes + EXTENT_PAGE_BYTES)
    }
  }
  return group === undefined ? undefined : { group, endBytes, mappedBytes }
}

async function containersOf(snapshot: MetadataSnapshot): Promise<Map<number, ContainerFields>> {
  const containers = new Map<number, ContainerFields>()
  const prefix = Buffer.of(TABLE.container)
  for await (const { key, value } of snapshot.entries(prefix, prefixEnd(prefix))) {
    if (value === undefined || key.length !== CONTAINER_KEY_BYTES) continue
    const id = Buffer.from(key).readUInt32BE(1)
    try {
      containers.set(id, decodeContainer(value, id))
    } catch {
      // A finding of its own.
    }
  }
  return containers
}

async function lostContainersOf(
  options: EvidenceOptions,
  found: readonly Discovery[],
): Promise<Map<number, { name: string; root: number; group: number }>> {
  const inodes = new Map<number, number[]>()
  for (const { check, subject } of found) {
    if (check !== 'inode-container') continue
    const list = inodes.get(subject.container) ?? []
    inodes.set(subject.container, list)
    list.push(subject.inode)
  }
  const lost = new Map<number, { name: string; root: number; group: number }>()
  if (inodes.size === 0) return lost
  const { snapshot, groups } = options
  for await (const { name, target, parent } of names(options, inodeKey(TABLE.dentry, ROOT_INODE))) {
    const id = inodeAt(snapshot, target)?.container
    const members = id === undefined ? undefined : inodes.get(id)
    if (parent !== ROOT_INODE || id === undefined || members === undefined) continue
    const group =
      (await groupOf(snapshot, members)) ?? (groups.length === 1 ? groups[0] : undefined)
    if (group !== undefined && groups.includes(group)) lost.set(id, { name, root: target, group })
  }
  return lost
}

/** By the first file of them that has extents. */
async function groupOf(
  snapshot: MetadataSnapshot,
  inodes: readonly number[],
): Promise<number | undefined> {
  for (const inode of inodes) {
    const value = await firstEntry(snapshot, inodeKey(TABLE.extents, inode))
    if (value !== undefined && value !== null) return groupOfExtents(value)
  }
  return undefined
}

/** null for one that can't be read, undefined for none. */
async function firstEntry(
  snapshot: MetadataSnapshot,
  prefix: Buffer,
): Promise<Uint8Array | null | undefined> {
  for await (const { value } of snapshot.entries(prefix, prefixEnd(prefix))) return value ?? null
  return undefined
}
