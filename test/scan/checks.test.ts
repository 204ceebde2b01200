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
import { CHECK_NAMES, checkNames, LostFiles, scanMetadata, Suspects } from '../../src/scan/index.ts'
import type { CheckName, ScanParts } from '../../src/scan/index.ts'
import { decodeDentry, decodeInode, nameHash, parseDentryKey } from '../../src/vfs/index.ts'
import { breaks, extentsOf, Records } from '../helpers/broken-records.ts'
import type { Place } from '../helpers/broken-records.ts'
import { contentOf, OpenStore } from '../helpers/open-store.ts'

const HASH_KEY = Buffer.alloc(32, 7)
const MIB = 2 ** 20

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
        verifyDatabase: async () => [],
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
  const database = await scan(() => {}, { verifyDatabase: async () => ['000005.ldb is cut'] })
  t.same(database.found, [{ check: 'database-files', text: '000005.ldb is cut' }])
  const tested = new Set<CheckName>([
    'block-key',
    'database-files',
    ...breaks.map(([check]) => check),
  ])
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
