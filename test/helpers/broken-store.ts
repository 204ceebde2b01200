// A small store with a bit of everything, and copies of it with records that are changed behind its back.

import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packFrame, parseFrame } from '../../src/metadata/frame.ts'
import { BlockCensus, packBlockTotal } from '../../src/daemon/block-census.ts'
import { openDatabase } from '../../src/metadata/database.ts'
import { TABLE } from '../../src/metadata/index.ts'
import { Records } from './broken-records.ts'
import type { Place } from './broken-records.ts'
import { contentOf, OpenStore } from './open-store.ts'

const MIB = 2 ** 20
const CALLER = { uid: 0, gid: 0, pid: 1, groups: [] }

export const FILE_CONTENT = contentOf(1, 5 * MIB)
export const LINKED_CONTENT = contentOf(2, 1000)

export interface BrokenStores {
  readonly inodes: Place['inodes']
  /** A copy with this change, closed. @returns its directory */
  broken(change: (place: Place) => void): Promise<string>
}

export async function brokenStores(test: {
  teardown(done: () => Promise<void>): void
}): Promise<BrokenStores> {
  const top = await mkdtemp(join(tmpdir(), 'coffer-broken-'))
  test.teardown(() => rm(top, { recursive: true, force: true }))
  const original = join(top, 'original')
  const inodes = await makeStore(original)
  let count = 0
  return {
    inodes,
    broken: async change => {
      const directory = join(top, String(count++))
      await cp(original, directory, { recursive: true })
      await changeRecords(join(directory, 'store', 'metadata'), inodes, change)
      return directory
    },
  }
}

async function makeStore(directory: string): Promise<Place['inodes']> {
  const store = await OpenStore.open(directory)
  store.addContainer('a')
  const { vfs } = store.storage
  await store.write('a/file', FILE_CONTENT)
  await store.write('a/two names', LINKED_CONTENT)
  store.link('a/two names', 'a/other name')
  const { root } = vfs.containerByName('a')
  const { attributes } = vfs.mkdir(root, 'directory', 0o755, CALLER)
  vfs.mkdir(attributes.inode, 'nested', 0o755, CALLER)
  const file = vfs.lookup(root, 'file')?.attributes.inode ?? 0
  const link = vfs.lookup(root, 'two names')?.attributes.inode ?? 0
  vfs.setxattr(file, 'user.x', Buffer.from('y'), 0)
  await store.sync()
  await store.close()
  return { file, link, directory: attributes.inode }
}

async function changeRecords(
  metadata: string,
  inodes: Place['inodes'],
  change: (place: Place) => void,
): Promise<void> {
  const database = await openDatabase({ directory: metadata, createIfMissing: false })
  try {
    const records = new Records()
    for await (const [key, frame] of database.iterator()) {
      records.map.set(Buffer.from(key).toString('latin1'), Buffer.from(parseFrame(key, frame)))
    }
    const before = new Map(records.map)
    const [blockKey = Buffer.alloc(5)] = records.keys(TABLE.block)
    change({ records, inodes, blockKey })
    countBlocks(records)
    for (const name of before.keys()) {
      if (!records.map.has(name)) await database.del(Buffer.from(name, 'latin1'))
    }
    for (const [name, value] of records.map) {
      if (before.get(name) === value) continue
      const key = Buffer.from(name, 'latin1')
      await database.put(key, value === null ? damagedFrame(key) : packFrame(key, value))
    }
  } finally {
    await database.close()
  }
}

/** As if a commit had written the changed block records: a total that disagrees would keep the store from being opened. */
function countBlocks(records: Records): void {
  const census = new BlockCensus()
  for (const key of records.keys(TABLE.block)) {
    census.put(key.readUInt32BE(1), records.get(key) ?? Buffer.alloc(0))
  }
  const { key, value } = packBlockTotal(census.total)
  records.set(key, value)
}

/** One whose checksum is wrong. */
function damagedFrame(key: Buffer): Buffer {
  const frame = packFrame(key, Buffer.from('what was here'))
  frame[frame.length - 1] = (frame.at(-1) ?? 0) ^ 1
  return frame
}
