// What other folders see of the block layer.

export * from './block-store.ts'
export {
  ChainWriter,
  deleteChain,
  lastPiece,
  listChainFiles,
  readChain,
  type ChainEnd,
  type ChainPlace,
} from './chain.ts'
export { DamagedRegionError } from './errors.ts'
export type { LookupKey } from './file-reader.ts'
export type { LocalBlockStore } from './local-block-store.ts'
export { openBlockStore, type BlockStoreOptions, type Reconciled } from './open-block-store.ts'
export { BLOCK_NAMES } from './paths.ts'
export { listBlockFiles } from './reconcile.ts'
export { regionSlot } from './region-cache.ts'
export { readBlockHeader, scanBlockFile, type ScannedRegion } from './scan.ts'
export { Trash, TRASH_FOLDER, type PlacedBlock } from './trash.ts'
