export type {
  CheckedEntry,
  CommitParticipant,
  Committer,
  MetadataReader,
  MetadataSnapshot,
  MetadataView,
  MetadataWriter,
} from './contract.ts'
export { packJson, parseJson } from './json-record.ts'
export { inodeKey, keyNumber, prefixEnd, TABLE } from './keys.ts'
export { OfflineMetadata } from './offline.ts'
export { PendingGroups, PendingMap } from './pending-map.ts'
export { MetadataStore, openMetadataStore, type MetadataStoreOptions } from './store.ts'
export {
  verifyDatabase,
  type Finding,
  type TableMonitor,
  type VerifyOptions,
} from './tables/index.ts'
