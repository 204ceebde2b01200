// Every check finds exactly what it is there for: a whole store has no findings, and one change of one record breaks one
// invariant.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { readBlockHeader, regionSlot, scanBlockFile } from '../../src/blocks/index.ts'
import type { BlockRecord } from '../../src/blocks/index.ts'
import { parseBlockRecord } from '../../src/daemon/block-records.ts'
import { inodeKey, TABLE } from '../../src/metadata/index.ts'
import type { CheckedEntry, MetadataSnapshot } from '../../src/metadata/index.ts'
import { CHECK_NAMES, checkNames, LostFiles, scanMetadata, Suspects } from '../../src/scan/index.ts'
import type { CheckName, ScanParts } from '../../src/scan/index.ts'
import {
  decodeDentry,
  decodeInode,
  dentryKey,
  nameHash,
  parseDentryKey,
} from '../../src/vfs/index.ts'
import { contentOf, OpenStore } from '../helpers/open-store.ts'

const HASH_KEY = Buffer.alloc(32, 7)
const MIB = 2 ** 20

/** Records that can be changed, read as the metadata store's are. */
class Records implements MetadataSnapshot {
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

interface Place {
  readonly records: Records
  readonly inodes: { readonly file: number; readonly link: number; readonly directory: number }
  /** of the one block file */
  readonly blockKey: Buffer
}

/** What lies in a small store with a bit of everything, and how to scan a changed copy of it. */
async function storeOf(test: { teardown(done: () => Promise<void>): void }) {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-checks-'))
  test.teardown(() => rm(directory, { recursive: true, force: true }))
  const store = await OpenStore.open(directory)
  test.teardown(() => store.close())
  store.addContainer('a')
  const { vfs, metadata } = store.storage
  await store.write('a/file', contentOf(1, 5 * MIB))
  await store.write('a/two names', contentOf(2, 1000))
  store.link('a/two names', 'a/other name')
  const { root } = vfs.containerByName('a')
  const caller = { uid: 0, gid: 0, pid: 1, groups: [] }
  const { attributes } = vfs.mkdir(root, 'directory', 0o755, caller)
  const file = vfs.lookup(root, 'file')?.attributes.inode ?? 0
  const link = vfs.lookup(root, 'two names')?.attributes.inode ?? 0
  vfs.setxattr(file, 'user.x', Buffer.from('y'), 0)
  await store.sync()
  const snapshot = metadata.snapshot()
  const original = new Map<string, Buffer>()
  for await (const { key, value } of snapshot.entries(Buffer.alloc(0))) {
    if (value !== undefined) original.set(Buffer.from(key).toString('latin1'), Buffer.from(value))
  }
  await snapshot.close()
  const [record] = store.storage.blockRecords()
  if (record === undefined) throw new Error('the store has no block file')
  const superblock = original.get('Sstore') ?? HASH_KEY
  const path = join(directory, 'store', 'blocks', '1', '000000', '00000001.blk')
  const scan = async (change: (place: Place) => void, parts: Partial<ScanParts> = {}) => {
    const records = new Records()
    for (const [name, value] of original) records.map.set(name, value)
    const [blockKey = Buffer.alloc(5)] = records.keys(TABLE.block)
    change({ records, inodes: { file, link, directory: attributes.inode }, blockKey })
    const found: { check: CheckName; text: string }[] = []
    const lost = new LostFiles()
    await scanMetadata(
      {
        metadata: { commit: async () => {}, touched: () => {}, snapshot: () => records },
        blocks: {
          hasBlock: () => true,
          records: (): BlockRecord[] => [record],
          pathOf: () => path,
          readUncached: () => Promise.reject(new Error('no data is read')),
          regionSlot,
          scan: scanBlockFile,
          header: readBlockHeader,
        },
        groups: {
          exists: id => id === 1,
          nameOf: id => `group ${id}`,
          isLocked: () => false,
          isKeyKnown: () => true,
          fingerprintOf: () => undefined,
          beginRead: () => () => {},
        },
        isCleaning: () => false,
        hashOf: nameHash(superblock.subarray(1)),
        parseBlockRecord,
        ...parts,
      },
      {
        group: undefined,
        suspects: new Suspects(),
        found: (check, text) => found.push({ check, text }),
        lost,
        phase: () => {},
        step: async () => {},
      },
    )
    return { found, lost }
  }
  return { scan, file, link, root, record }
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

type Break = readonly [check: CheckName, breaks: (place: Place) => void, also?: CheckName[]]

const dentryOf = ({ records }: Place, wanted: string): Buffer => {
  const key = records.keys(TABLE.dentry).find(each => parseDentryKey(each).name === wanted)
  if (key === undefined) throw new Error(`no name ${wanted}`)
  return key
}
const containerOf = ({ records }: Place): Buffer => records.keys(TABLE.container)[0] ?? Buffer.of()
const extentsOf = ({ records, inodes }: Place): Buffer =>
  records.keys(TABLE.extents).find(key => key.readUInt32BE(5) === inodes.file) ?? Buffer.of()
const fileOf = ({ inodes }: Place): Buffer => inodeKey(TABLE.inode, inodes.file)
const directoryOf = ({ inodes }: Place): Buffer => inodeKey(TABLE.inode, inodes.directory)
const orphanOf = (inode: number): Buffer => inodeKey(TABLE.orphan, inode)
const superblockKey = (name: string): Buffer => Buffer.from(`S${name}`)
/** the container's record: version, flags, group 2, root 8, time 12, sizes 8, files 8 */
const CONTAINER_AT = { group: 2, bytes: 24, files: 32 }
const patchInt = (at: number, delta: number) => (value: Buffer) =>
  void value.writeUInt32BE(value.readUInt32BE(at) + delta, at)

const breaks: readonly Break[] = [
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
  ],
  [
    'extent-group',
    place => place.records.patch(extentsOf(place), value => void value.writeUInt16LE(2, 1)),
    ['extent-place'],
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

t.test('a whole store has no findings', async t => {
  const { scan } = await storeOf(t)
  const { found, lost } = await scan(() => {})
  t.same(found, [])
  t.equal(lost.fileCount, 0)
})

t.test('each check finds what breaks its invariant, and the others stay silent', async t => {
  const { scan } = await storeOf(t)
  for (const [check, change, also = []] of breaks) {
    const { found } = await scan(change)
    const checks = new Set(found.map(each => each.check))
    t.ok(checks.has(check), `${check} is found`)
    t.same(
      [...checks].filter(each => each !== check && !also.includes(each)),
      [],
      `${check}: ${JSON.stringify(found)}`,
    )
  }
  const key = await scan(
    ({ records, blockKey }) => {
      records.patch(blockKey, value => void value.writeUInt16LE(3, 4))
    },
    {
      groups: {
        exists: () => true,
        nameOf: () => 'vault',
        isLocked: () => false,
        isKeyKnown: () => false,
        fingerprintOf: () => undefined,
        beginRead: () => () => {},
      },
    },
  )
  t.ok(key.found.some(({ check, text }) => check === 'block-key' && text.includes('key 3')))
  const tested = new Set<CheckName>(['block-key', ...breaks.map(([check]) => check)])
  t.same(
    CHECK_NAMES.filter(check => !tested.has(check)),
    [],
    'every check has a test',
  )
})

t.test('what has no block file any more is lost, range by range', async t => {
  const { scan, file, record } = await storeOf(t)
  const { lost } = await scan(({ records, blockKey }) => records.delete(blockKey))
  const found = lost.list().find(({ inode }) => inode === file)
  t.match(found, {
    rangeCount: 1,
    lostBytes: 5 * MIB,
    block: record.block,
    ranges: [{ startBytes: 0, lengthBytes: 5 * MIB }],
  })
  const unreadable = await scan(place => place.records.set(extentsOf(place), null))
  t.match(unreadable.lost.list(), [{ inode: file, block: 0, ranges: [{ startBytes: 0 }] }])
  t.same(
    unreadable.found.map(({ check }) => check),
    ['record-readable'],
    'the sum says nothing then',
  )
})

t.test('the cleaner deletes index entries later than block files', async t => {
  const { scan } = await storeOf(t)
  const change = ({ records }: Place): void => {
    for (const key of records.keys(TABLE.chunk))
      records.patch(key, value => void value.writeUInt32LE(999, 1))
  }
  t.not((await scan(change)).found.length, 0)
  t.same((await scan(change, { isCleaning: () => true })).found, [])
})

t.test('inodes in small windows give the same counts', async t => {
  const records = new Records()
  const { scan } = await storeOf(t)
  await scan(place => {
    for (const [name, value] of place.records.map)
      if (/^[ID]/.test(name)) records.map.set(name, value)
  })
  const found: string[] = []
  const containers = new Map()
  const hashOf = (name: string): number => {
    const key = records.keys(TABLE.dentry).find(each => parseDentryKey(each).name === name)
    return key === undefined ? 0 : parseDentryKey(key).hash
  }
  const context = {
    parts: { hashOf } as unknown as ScanParts,
    snapshot: records,
    group: undefined,
    containers,
    blocks: new Map(),
    suspects: new Suspects(),
    found: (check: CheckName, text: string) => void found.push(`${check}: ${text}`),
    step: async () => {},
  }
  for (const windowInodesMax of [1, 2, 3, 100]) await checkNames(context, windowInodesMax)
  t.same(found, [])
  const [victim] = records.keys(TABLE.dentry).filter(key => {
    const dentry = decodeDentry(records.get(key) ?? Buffer.of(), 1)
    return (
      decodeInode(records.get(inodeKey(TABLE.inode, dentry.inode)) ?? Buffer.of(), 1).linkCount ===
      1
    )
  })
  records.delete(victim ?? Buffer.of())
  const counts: number[] = []
  for (const windowInodesMax of [1, 2, 3, 100]) {
    found.length = 0
    await checkNames(context, windowInodesMax)
    counts.push(found.length)
  }
  t.ok((counts[0] ?? 0) > 0)
  t.equal(new Set(counts).size, 1, `the same in windows of every size: ${counts.join(' ')}`)
})
