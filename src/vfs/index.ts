export { shown, type ContainerInfo } from './containers.ts'
export type { ContentRead, ContentStore, FileContent } from './content.ts'
export type * from './types.ts'
export { Vfs, type DiskTotals, type FileInfo, type VfsOptions } from './vfs.ts'
