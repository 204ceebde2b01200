// Targets: the records of names, inodes and file contents, and access lists. What these decoders accept, their encoders
// must write again byte for byte.

import { packFrame, parseFrame } from '../../src/metadata/frame.ts'
import { inodeKey, TABLE } from '../../src/metadata/index.ts'
import { EXTENT_PAGE_BYTES } from '../../src/stream/extent.ts'
import {
  forEachLocation,
  groupOfExtents,
  packExtents,
  parseExtents,
} from '../../src/stream/extent-record.ts'
import { aclAfterChmod, inheritAcl, withAccessAcl } from '../../src/vfs/acl.ts'
import {
  decodeContainer,
  decodeCounters,
  encodeContainer,
  encodeCounters,
} from '../../src/vfs/records/container-record.ts'
import { decodeDentry, encodeDentry } from '../../src/vfs/records/dentry-record.ts'
import { decodeInode, encodeInode } from '../../src/vfs/records/inode-record.ts'
import { decodeXattrs, encodeXattrs } from '../../src/vfs/records/xattr-record.ts'
import { parseSequence, packSequence } from '../../src/metadata/sequence.ts'
import { accepted, sameBytes, type FuzzTarget } from './target.ts'

const TIME = { seconds: 1_700_000_000, nanoseconds: 999_999_999 }
const KEY = inodeKey(TABLE.inode, 77)
const PAGE_START = 3 * EXTENT_PAGE_BYTES

const inode = {
  mode: 0o100644,
  uid: 1000,
  gid: 1000,
  linkCount: 1,
  generation: 3,
  sizeBytes: 5_000_000_000,
  mappedBytes: 4096,
  deviceNumber: 0,
  container: 1,
  parent: 0,
  childCount: 0,
  hasXattrs: true,
  accessTime: TIME,
  modifyTime: { seconds: -5, nanoseconds: 0 },
  changeTime: TIME,
  birthTime: TIME,
  target: '',
}

const container = {
  name: 'backups',
  group: 1,
  root: 2,
  created: TIME,
  deleting: false,
  logicalBytes: 12_345,
  fileCount: 6,
}

const extent = {
  startBytes: PAGE_START,
  lengthBytes: 5000,
  chunkOffsetBytes: 100,
  chunkLengthBytes: 30_000,
  location: { block: 4, page: 17, ordinal: 200 },
  fingerprint: new Uint8Array(32).fill(9),
}

const xattrs = new Map([
  ['user.a', Buffer.from('value')],
  ['security.capability', Buffer.alloc(20)],
])

function roundTrip<Value>(
  name: string,
  samples: readonly Uint8Array[],
  decode: (bytes: Uint8Array) => Value,
  encode: (value: Value) => Uint8Array,
): FuzzTarget {
  return {
    name,
    samples,
    run(input) {
      const value = accepted(() => decode(input))
      if (value !== undefined) sameBytes(input, encode(value))
    },
  }
}

const frame: FuzzTarget = {
  name: 'frame',
  samples: [packFrame(KEY, Buffer.from('payload')), packFrame(KEY, Buffer.alloc(0))],
  run(input) {
    const payload = accepted(() => parseFrame(KEY, Buffer.from(input)))
    if (payload !== undefined) sameBytes(input, packFrame(KEY, payload))
  },
}

const extents = roundTrip(
  'record-extents',
  [
    packExtents(PAGE_START, { group: 1, extents: [] }),
    packExtents(PAGE_START, {
      group: 2,
      extents: [extent, { ...extent, startBytes: PAGE_START + 5000 }],
    }),
  ],
  bytes => {
    const page = parseExtents(PAGE_START, bytes)
    // Whoever only looks for locations sees the same.
    let count = 0
    forEachLocation(bytes, () => count++)
    if (count !== page.extents.length || groupOfExtents(bytes) !== page.group) {
      throw new Error('a scan sees something else than a read')
    }
    return page
  },
  page => packExtents(PAGE_START, page),
)

/** A scan has to bear what a read refuses. */
const scannedExtents: FuzzTarget = {
  name: 'scanned-extents',
  samples: extents.samples,
  run(input) {
    accepted(() => forEachLocation(input, () => {}))
    accepted(() => groupOfExtents(input))
  },
}

// 2 version, then entries: owner, a user, group, mask, others
const ACL = Buffer.from(
  '0200000001000700ffffffff02000600e803000004000500ffffffff10000700ffffffff20000500ffffffff',
  'hex',
)

const acl: FuzzTarget = {
  name: 'acl',
  samples: [ACL, ACL.subarray(0, 28)],
  run(input) {
    accepted(() => withAccessAcl(0o100644, input))
    accepted(() => aclAfterChmod(input, 0o751))
    accepted(() => inheritAcl(input, 0o100640))
  },
}

export const namespaceTargets: readonly FuzzTarget[] = [
  frame,
  roundTrip('sequence', [packSequence(0), packSequence(2 ** 40)], parseSequence, packSequence),
  roundTrip(
    'record-inode',
    [
      encodeInode(inode, inode.sizeBytes, inode.mappedBytes),
      encodeInode({ ...inode, mode: 0o120777, target: '../x' }, 4, 0),
    ],
    bytes => decodeInode(bytes, 77),
    fields => encodeInode(fields, fields.sizeBytes, fields.mappedBytes),
  ),
  roundTrip(
    'record-dentry',
    [encodeDentry({ inode: 2 ** 40, type: 0o040000 })],
    bytes => decodeDentry(bytes, 1),
    encodeDentry,
  ),
  roundTrip(
    'record-xattrs',
    [encodeXattrs(xattrs), encodeXattrs(new Map())],
    bytes => decodeXattrs(bytes, 77),
    encodeXattrs,
  ),
  roundTrip(
    'record-container',
    [encodeContainer(container, 12_345), encodeContainer({ ...container, deleting: true }, 0)],
    bytes => decodeContainer(bytes, 5),
    fields => encodeContainer(fields, fields.logicalBytes),
  ),
  roundTrip(
    'record-counters',
    [encodeCounters({ nextInode: 2 ** 41, nextContainer: 9 })],
    decodeCounters,
    encodeCounters,
  ),
  extents,
  scannedExtents,
  acl,
]
