export type {
  CheckedEntry,
  CommitParticipant,
  Committer,
  MetadataReader,
  MetadataSnapshot,
  MetadataWriter,
} from './contract.ts'
export { inodeKey, prefixEnd, TABLE } from './keys.ts'
export { PendingMap } from './pending-map.ts'
export { MetadataStore, openMetadataStore, type MetadataStoreOptions } from './store.ts'
