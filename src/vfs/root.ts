// The mount's root: a directory whose entries are the containers.

import type { InodeFields } from './records/inode-record.ts'
import { ROOT_INODE } from './inode-table.ts'
import { S_IFDIR } from './linux.ts'
import type { Timestamp } from './types.ts'

const ROOT_PERMISSIONS = 0o755

/** as it is in a new store */
export function rootFields(now: Timestamp): InodeFields {
  return {
    mode: S_IFDIR | ROOT_PERMISSIONS,
    uid: 0,
    gid: 0,
    linkCount: 2,
    generation: 1,
    sizeBytes: 0,
    mappedBytes: 0,
    deviceNumber: 0,
    container: 0,
    parent: ROOT_INODE,
    childCount: 0,
    hasXattrs: false,
    accessTime: now,
    modifyTime: now,
    changeTime: now,
    birthTime: now,
    target: '',
  }
}
