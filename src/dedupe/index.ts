export { AppendGatherer } from './append-gatherer.ts'
export { ChunkIndex, indexEntry, indexRange, parseLocation } from './chunk-index.ts'
export {
  Deduplicator,
  type ChunkAppender,
  type DeduplicatorOptions,
  type HitChecker,
} from './deduplicator.ts'
export { CHECKED_SHARE, HitCheck, type HitCheckOptions } from './hit-check.ts'
