export { AppendGatherer } from './append-gatherer.ts'
export { ChunkIndex } from './chunk-index.ts'
export { Deduplicator, type ChunkAppender, type DeduplicatorOptions } from './deduplicator.ts'
