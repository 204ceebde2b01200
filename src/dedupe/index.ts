export { AppendGatherer } from './append-gatherer.ts'
export { ChunkIndex, parseLocation } from './chunk-index.ts'
export { Deduplicator, type ChunkAppender, type DeduplicatorOptions } from './deduplicator.ts'
