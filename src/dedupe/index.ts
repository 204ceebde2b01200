export { AppendGatherer } from './append-gatherer.ts'
export {
  ChunkIndex,
  type ChunkDoubter,
  indexEntry,
  indexRange,
  parseLocation,
} from './chunk-index.ts'
export {
  Deduplicator,
  type ChunkAppender,
  type DeduplicatorOptions,
  type HitChecker,
} from './deduplicator.ts'
export { ChunkFilter } from './chunk-filter.ts'
export { saveFilter } from './filter-file.ts'
export { FilterKeeper } from './filter-keeper.ts'
export { CHECKED_SHARE, HitCheck, type HitCheckOptions } from './hit-check.ts'
