export { readNewestCopy, type CopyFound, type RecordSink } from './copy-reader.ts'
export { isCopied } from './copy-format.ts'
export { rebuildIndex, type RebuildCounts, type RebuildParts } from './rebuild-index.ts'
export { MetadataCopies, type MetadataCopiesOptions } from './metadata-copies.ts'
