export { rebuildIndex, type RebuildCounts, type RebuildParts } from './rebuild-index.ts'
