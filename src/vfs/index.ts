export type { ContainerInfo } from './containers.ts'
export type { ContentRead, ContentStore, FileContent } from './content.ts'
export type * from './types.ts'
export { Vfs, type DiskTotals, type VfsOptions } from './vfs.ts'
