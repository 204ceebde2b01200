// One inode in memory: its record's fields and what only matters while the daemon runs.

import type { FileContent } from './content.ts'
import type { FailureLog } from './failure-log.ts'
import { S_IFDIR, S_IFMT, S_IFREG } from './linux.ts'
import type { InodeFields } from './records/inode-record.ts'
import type { Attributes, ByteString, Entry, InodeNumber, Timestamp } from './types.ts'

/** what st_blocks counts in */
const STAT_BLOCK_BYTES = 512
/** what a directory shows as its size, as ext4 does */
const DIRECTORY_SIZE_BYTES = 4096

export class Inode implements InodeFields {
  readonly number: InodeNumber
  mode: number
  uid: number
  gid: number
  linkCount: number
  readonly generation: number
  sizeBytes: number
  mappedBytes: number
  readonly deviceNumber: number
  /** changes only by a repair */
  container: number
  parent: InodeNumber
  childCount: number
  hasXattrs: boolean
  accessTime: Timestamp
  modifyTime: Timestamp
  changeTime: Timestamp
  readonly birthTime: Timestamp
  readonly target: ByteString

  /** changed since the last commit was collected */
  isDirty = false
  /** in a commit that isn't durable yet */
  isCommitting = false
  /** its record goes away; kept until then, so that the record isn't read again */
  isDeleted = false
  /** whether a commit has written its record */
  isStored: boolean
  recentlyUsed = false
  /** handles, and operations that wait for something */
  pins = 0
  /** open handles and unflushed data make a content */
  content: FileContent | undefined
  /** kept when the content is closed: who opens the file next may be the first who asks */
  failures: FailureLog | undefined
  /** made by O_TMPFILE and never named: the only inode without a name that may get one */
  isNameless = false
  /** the kernel's cached pages may be older than what a direct handle wrote, or what was lost */
  isPageCacheStale = false

  constructor(number: InodeNumber, fields: InodeFields, isStored: boolean) {
    this.number = number
    this.mode = fields.mode
    this.uid = fields.uid
    this.gid = fields.gid
    this.linkCount = fields.linkCount
    this.generation = fields.generation
    this.sizeBytes = fields.sizeBytes
    this.mappedBytes = fields.mappedBytes
    this.deviceNumber = fields.deviceNumber
    this.container = fields.container
    this.parent = fields.parent
    this.childCount = fields.childCount
    this.hasXattrs = fields.hasXattrs
    this.accessTime = fields.accessTime
    this.modifyTime = fields.modifyTime
    this.changeTime = fields.changeTime
    this.birthTime = fields.birthTime
    this.target = fields.target
    this.isStored = isStored
  }

  get type(): number {
    return this.mode & S_IFMT
  }

  get isDirectory(): boolean {
    return (this.mode & S_IFMT) === S_IFDIR
  }

  get isRegular(): boolean {
    return (this.mode & S_IFMT) === S_IFREG
  }

  /** must stay in memory */
  get isPinned(): boolean {
    return (
      this.isDirty ||
      this.isCommitting ||
      this.isDeleted ||
      this.pins > 0 ||
      this.content !== undefined ||
      this.linkCount === 0
    )
  }

  /** the size that a commit made now may write down */
  get committableSizeBytes(): number {
    return this.content?.committableSizeBytes ?? this.sizeBytes
  }

  attributes(): Attributes {
    return {
      inode: this.number,
      mode: this.mode,
      linkCount: this.linkCount,
      uid: this.uid,
      gid: this.gid,
      deviceNumber: this.deviceNumber,
      sizeBytes: this.isDirectory ? DIRECTORY_SIZE_BYTES : this.sizeBytes,
      blockCount: Math.ceil(this.mappedBytes / STAT_BLOCK_BYTES),
      accessTime: this.accessTime,
      modifyTime: this.modifyTime,
      changeTime: this.changeTime,
    }
  }

  entry(): Entry {
    return { attributes: this.attributes(), generation: this.generation }
  }
}
