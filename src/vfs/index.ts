export {
  containerKey,
  COUNTERS_KEY,
  decodeContainer,
  decodeCounters,
  type ContainerFields,
} from './records/container-record.ts'
export { decodeDentry, dentryKey, parseDentryKey, type Dentry } from './records/dentry-record.ts'
export { decodeInode, type InodeFields } from './records/inode-record.ts'
export { decodeXattrs } from './records/xattr-record.ts'
export {
  LOST_AND_FOUND,
  Mending,
  type MendedName,
  type SalvagedDirectory,
  type SalvagedFile,
} from './mending.ts'
export { ROOT_INODE } from './inode-table.ts'
export { nameHash, type NameHash } from './name-hash.ts'
export { S_IFDIR, S_IFMT, S_IFREG } from './linux.ts'
export { shown, type ContainerInfo } from './containers.ts'
export type { ContentRead, ContentStore, FileContent } from './content.ts'
export type * from './types.ts'
export { Vfs, type FileInfo, type HeldCounts } from './vfs.ts'
export type { DiskTotals, VfsOptions } from './vfs-parts.ts'
