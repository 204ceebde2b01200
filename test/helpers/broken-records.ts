// Records of a small store that can be changed, and for every check what breaks it.

import { inodeKey, TABLE } from '../../src/metadata/index.ts'
import type { CheckedEntry, MetadataSnapshot } from '../../src/metadata/index.ts'
import type { CheckName } from '../../src/scan/index.ts'
import { dentryKey, parseDentryKey } from '../../src/vfs/index.ts'

const MIB = 2 ** 20

/** Records that can be changed, read as the metadata store's are. */
export class Records implements MetadataSnapshot {
  readonly map = new Map<string, Buffer | null>()

  get(key: Uint8Array): Buffer | undefined {
    const value = this.map.get(Buffer.from(key).toString('latin1'))
    if (value === null) throw new Error('damaged')
    return value
  }

  async *entries(from: Uint8Array, to?: Uint8Array): AsyncGenerator<CheckedEntry> {
    const low = Buffer.from(from).toString('latin1')
    const high = to === undefined ? '\u0100' : Buffer.from(to).toString('latin1')
    for (const name of [...this.map.keys()].sort()) {
      const value = this.map.get(name)
      if (name < low || name >= high) continue
      const key = Buffer.from(name, 'latin1')
      if (value === null || value === undefined) yield { key, damage: 'The record is damaged.' }
      else yield { key, value }
    }
  }

  async close(): Promise<void> {}

  keys(table: number): Buffer[] {
    const letter = String.fromCharCode(table)
    return [...this.map.keys()]
      .sort()
      .filter(name => name.startsWith(letter))
      .map(name => Buffer.from(name, 'latin1'))
  }

  set(key: Uint8Array, value: Uint8Array | null): void {
    this.map.set(Buffer.from(key).toString('latin1'), value && Buffer.from(value))
  }

  /** @param patch changes a copy of the payload */
  patch(key: Uint8Array, patch: (value: Buffer) => void): void {
    const value = Buffer.from(this.get(key) ?? Buffer.alloc(0))
    patch(value)
    this.set(key, value)
  }

  delete(key: Uint8Array): void {
    this.map.delete(Buffer.from(key).toString('latin1'))
  }
}

export interface Place {
  readonly records: Records
  readonly inodes: { readonly file: number; readonly link: number; readonly directory: number }
  /** of the one block file */
  readonly blockKey: Buffer
}

/** Offsets in an inode's record: see docs/format.md. */
const AT = {
  linkCount: 13,
  size: 21,
  mapped: 29,
  container: 41,
  parent: 45,
  children: 53,
  flags: 57,
}
const EXTENT_AT = 7
/** in the record of a storage group's counters */
const USAGE_BYTES_AT = 17

export type Break = readonly [check: CheckName, breaks: (place: Place) => void, also?: CheckName[]]

export const dentryOf = ({ records }: Place, wanted: string): Buffer => {
  const key = records.keys(TABLE.dentry).find(each => parseDentryKey(each).name === wanted)
  if (key === undefined) throw new Error(`no name ${wanted}`)
  return key
}
export const containerOf = ({ records }: Place): Buffer =>
  records.keys(TABLE.container)[0] ?? Buffer.of()
export const extentsOf = ({ records, inodes }: Place): Buffer =>
  records.keys(TABLE.extents).find(key => key.readUInt32BE(5) === inodes.file) ?? Buffer.of()
export const fileOf = ({ inodes }: Place): Buffer => inodeKey(TABLE.inode, inodes.file)
const directoryOf = ({ inodes }: Place): Buffer => inodeKey(TABLE.inode, inodes.directory)
const orphanOf = (inode: number): Buffer => inodeKey(TABLE.orphan, inode)
const superblockKey = (name: string): Buffer => Buffer.from(`S${name}`)
/** the container's record: version, flags, group 2, root 8, time 12, sizes 8, files 8 */
const CONTAINER_AT = { group: 2, bytes: 24, files: 32 }
const patchInt = (at: number, delta: number) => (value: Buffer) =>
  void value.writeUInt32BE(value.readUInt32BE(at) + delta, at)

export const breaks: readonly Break[] = [
  [
    'record-readable',
    place => place.records.set(inodeKey(TABLE.xattr, place.inodes.file), null),
    ['xattr-flag'],
  ],
  ['table-known', place => place.records.set(Buffer.from('?what'), Buffer.of(1))],
  [
    'counter-inode',
    place => place.records.patch(superblockKey('inode'), value => void value.writeUInt32BE(4, 5)),
  ],
  [
    'counter-container',
    place => place.records.patch(superblockKey('inode'), value => void value.writeUInt32BE(1, 9)),
  ],
  [
    'counter-block',
    place => place.records.patch(superblockKey('block'), value => void value.writeUInt32LE(1, 1)),
  ],
  [
    'name-inode',
    place => {
      const key = dentryOf(place, 'other name')
      place.records.patch(key, value => void value.writeUInt32BE(999, 5))
    },
    ['inode-links'],
  ],
  [
    'name-directory',
    place => {
      const name = 'in nothing'
      const from = place.records.get(dentryOf(place, 'file')) ?? Buffer.of()
      place.records.set(dentryKey(999, 3, name), from)
    },
    ['inode-links'],
  ],
  [
    'name-type',
    place =>
      place.records.patch(dentryOf(place, 'file'), value => void value.writeUInt32BE(0o120000, 9)),
  ],
  [
    'name-hash',
    place => {
      const key = dentryOf(place, 'file')
      const value = place.records.get(key) ?? Buffer.of()
      place.records.delete(key)
      place.records.set(dentryKey(key.readUInt32BE(5), 3, 'file'), value)
    },
  ],
  [
    'name-container',
    place => {
      place.records.patch(directoryOf(place), patchInt(AT.container, 1))
    },
    ['inode-container'],
  ],
  ['inode-links', place => place.records.patch(fileOf(place), patchInt(AT.linkCount, 1))],
  ['inode-children', place => place.records.patch(directoryOf(place), patchInt(AT.children, 1))],
  ['inode-parent', place => place.records.patch(directoryOf(place), patchInt(AT.parent + 4, 100))],
  ['inode-lost', place => place.records.delete(dentryOf(place, 'file')), ['inode-children']],
  [
    'inode-container',
    place => place.records.patch(directoryOf(place), patchInt(AT.container, 5)),
    ['name-container'],
  ],
  ['inode-mapped', place => place.records.patch(fileOf(place), patchInt(AT.mapped + 4, 1))],
  ['orphan-mark', place => place.records.set(orphanOf(place.inodes.file), Buffer.of(1))],
  ['orphan-mark', place => place.records.set(orphanOf(999), Buffer.of(1))],
  ['xattr-flag', place => place.records.patch(fileOf(place), value => void (value[AT.flags] = 0))],
  ['xattr-inode', place => place.records.set(inodeKey(TABLE.xattr, 999), Buffer.of(1, 0, 0))],
  [
    'extent-inode',
    place => {
      const key = inodeKey(TABLE.extents, 999, 4)
      place.records.set(key, place.records.get(extentsOf(place)) ?? Buffer.of())
    },
    ['usage-counters'],
  ],
  [
    'usage-counters',
    place => {
      const key = place.records.keys(TABLE.usage).find(each => each.length === 3) ?? Buffer.of()
      place.records.patch(key, patchInt(USAGE_BYTES_AT, 1))
    },
  ],
  [
    'extent-group',
    place => place.records.patch(extentsOf(place), value => void value.writeUInt16LE(2, 1)),
    ['extent-place', 'usage-counters'],
  ],
  [
    'extent-shape',
    place =>
      place.records.patch(
        extentsOf(place),
        value => void value.writeUInt32LE(value.readUInt32LE(EXTENT_AT + 12) + 1, EXTENT_AT + 8),
      ),
  ],
  [
    'extent-block',
    place =>
      place.records.patch(extentsOf(place), value => void value.writeUInt32LE(999, EXTENT_AT + 16)),
    ['usage-counters'],
  ],
  [
    'extent-place',
    place =>
      place.records.patch(extentsOf(place), value => void value.writeUInt16LE(0, EXTENT_AT + 20)),
  ],
  [
    'container-root',
    place => {
      const key = containerOf(place)
      place.records.patch(key, value => void value.writeUInt32BE(999, 8))
    },
  ],
  [
    'container-group',
    place =>
      place.records.patch(
        containerOf(place),
        value => void value.writeUInt16BE(9, CONTAINER_AT.group),
      ),
    ['extent-group'],
  ],
  [
    'container-files',
    place => place.records.patch(containerOf(place), patchInt(CONTAINER_AT.files + 4, 1)),
  ],
  [
    'container-bytes',
    place => place.records.patch(containerOf(place), patchInt(CONTAINER_AT.bytes + 4, 1)),
  ],
  [
    'index-block',
    place =>
      place.records.patch(
        place.records.keys(TABLE.chunk)[0] ?? Buffer.of(),
        value => void value.writeUInt32LE(999, 1),
      ),
  ],
  [
    'index-place',
    place =>
      place.records.patch(
        place.records.keys(TABLE.chunk)[0] ?? Buffer.of(),
        value => void value.writeUInt16LE(65_000, 5),
      ),
  ],
  [
    'block-record',
    place => place.records.patch(place.blockKey, value => void value.writeUInt32LE(70_000, 14)),
  ],
  [
    'block-file',
    place => place.records.patch(place.blockKey, value => void value.writeUInt32LE(64 * MIB, 6)),
  ],
  [
    'block-header',
    place => place.records.patch(place.blockKey, value => void value.writeUInt16LE(3, 4)),
  ],
]
