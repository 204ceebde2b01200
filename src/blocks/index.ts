// What other folders see of the block layer.

export * from './block-store.ts'
export { DamagedRegionError } from './errors.ts'
export type { LookupKey } from './file-reader.ts'
export type { Leftovers } from './leftovers.ts'
export {
  openBlockStore,
  type BlockStoreOptions,
  type LocalBlockStore,
} from './local-block-store.ts'
export { regionSlot } from './region-cache.ts'
export { readBlockHeader, scanBlockFile, type ScannedRegion } from './scan.ts'
