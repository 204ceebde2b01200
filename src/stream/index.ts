export { StreamBuffers } from './buffers.ts'
export { EXTENT_PAGE_BYTES, FILE_BYTES_MAX, type ExtentPage } from './extent.ts'
export {
  forEachLocation,
  forEachRawExtent,
  forEachReference,
  groupOfExtents,
  parseExtents,
  type RawExtent,
} from './extent-record.ts'
export { ExtentMap, type ExtentWatcher } from './extent-map.ts'
export type { ExtentObserver } from './extent-pages.ts'
export { Healer, type HealerOptions } from './healer.ts'
export { InFlight } from './in-flight.ts'
export { FileStream } from './file-stream.ts'
export type { CutResult } from './cut-chunks.ts'
export { RecentChunks } from './recent-chunks.ts'
export { StoredReader } from './reader.ts'
export { StreamStore, type StreamStoreOptions } from './stream-store.ts'
