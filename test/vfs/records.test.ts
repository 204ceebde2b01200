// Records: what goes in comes out, and what is damaged or of another version is refused.

import fc from 'fast-check'
import { test } from 'tap'
import {
  decodeContainer,
  decodeCounters,
  encodeContainer,
  encodeCounters,
} from '../../src/vfs/records/container-record.ts'
import {
  decodeDentry,
  dentryKey,
  encodeDentry,
  parseDentryKey,
} from '../../src/vfs/records/dentry-record.ts'
import { decodeInode, encodeInode } from '../../src/vfs/records/inode-record.ts'
import { decodeXattrs, encodeXattrs } from '../../src/vfs/records/xattr-record.ts'
import { failure } from './fakes.ts'

/** decoded records are plain objects, so what they are compared with is, too */
const PLAIN = { noNullPrototype: true }

const u16 = fc.integer({ min: 0, max: 2 ** 16 - 1 })
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const size = fc.maxSafeNat()
const timestamp = fc.record(
  {
    seconds: fc.maxSafeInteger(),
    nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
  },
  PLAIN,
)
const bytes = (max: number): fc.Arbitrary<string> =>
  fc
    .uint8Array({ minLength: 1, maxLength: max })
    .map(array => Buffer.from(array).toString('latin1'))

const inode = fc.record(
  {
    mode: u32,
    uid: u32,
    gid: u32,
    linkCount: u32,
    generation: u32,
    sizeBytes: size,
    mappedBytes: size,
    deviceNumber: u32,
    container: u32,
    parent: size,
    childCount: u32,
    hasXattrs: fc.boolean(),
    accessTime: timestamp,
    modifyTime: timestamp,
    changeTime: timestamp,
    birthTime: timestamp,
    target: bytes(4095),
  },
  PLAIN,
)
const container = fc.record(
  {
    name: bytes(255),
    group: u16,
    root: size,
    created: timestamp,
    deleting: fc.boolean(),
    logicalBytes: size,
    fileCount: size,
  },
  PLAIN,
)
const dentry = fc.record({ inode: size, type: u32 }, PLAIN)
const counters = fc.record({ nextInode: size, nextContainer: u32 }, PLAIN)
const xattrs = fc
  .array(fc.tuple(bytes(255), fc.uint8Array({ maxLength: 1000 })))
  .map(entries => new Map(entries))

test('round trips', async t => {
  const property = fc.property(
    inode,
    container,
    dentry,
    counters,
    xattrs,
    (anInode, aContainer, aDentry, someCounters, someXattrs) => {
      const record = encodeInode(anInode, anInode.sizeBytes, anInode.mappedBytes)
      t.strictSame(decodeInode(record, 7), anInode)
      t.strictSame(
        decodeContainer(encodeContainer(aContainer, aContainer.logicalBytes), 7),
        aContainer,
      )
      t.strictSame(decodeDentry(encodeDentry(aDentry), 7), aDentry)
      t.strictSame(decodeCounters(encodeCounters(someCounters)), someCounters)
      t.strictSame(decodeXattrs(encodeXattrs(someXattrs), 7), someXattrs)
    },
  )
  fc.assert(property, { numRuns: 50 })
})

test('keys of names keep the order of hashes', async t => {
  const hash = fc.integer({ min: 3, max: 2 ** 52 - 1 })
  const property = fc.property(hash, hash, bytes(255), (first, second, name) => {
    const key = dentryKey(2 ** 40, first, name)
    t.strictSame(parseDentryKey(key), { hash: first, name })
    const order = Math.sign(Buffer.compare(key, dentryKey(2 ** 40, second, name)))
    t.equal(order, Math.sign(first - second))
  })
  fc.assert(property, { numRuns: 50 })
})

test('damaged records and other versions', async t => {
  const record = Buffer.from(encodeDentry({ inode: 5, type: 0o100000 }))
  const decode = (changed: Uint8Array): (() => unknown) => {
    return () => decodeDentry(changed, 7)
  }
  t.equal(await failure(decode(record)), undefined)
  t.equal(await failure(decode(record.subarray(0, -1))), 'RECORD_DAMAGED')
  t.equal(await failure(decode(Buffer.alloc(0))), 'RECORD_DAMAGED')
  t.equal(await failure(decode(Buffer.concat([record, Buffer.of(0)]))), 'RECORD_DAMAGED')
  record[0] = 2
  t.equal(await failure(decode(record)), 'RECORD_VERSION_UNKNOWN')
})
