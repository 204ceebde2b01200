// What the encryption of the storage groups needs of the rest of a storage.

import type { AlertBoard } from '../alerts/index.ts'
import type { KeystoreErasures } from './keystore-erasures.ts'
import type { StorageGroups } from './storage-groups.ts'

export interface EncryptionOptions {
  readonly groups: StorageGroups
  readonly erasures: KeystoreErasures
  readonly primaryDirectory: string
  readonly backupDirectory: string
  /** identity of the store, and those that it had before */
  readonly store: string
  readonly formerStores: readonly string[]
  readonly alerts: AlertBoard
  /** what was done, for the history */
  readonly record: (code: 'KEY_ROTATED' | 'GROUP_UNLOCKED', text: string) => void
  readonly nowSeconds: () => number
  readonly commit: () => Promise<void>
  /** what a group's data was cut and named with is in its keystore alone from now on */
  readonly secretsDropped: () => void
  /** ids of the keys that some block of the group has in its header */
  readonly usedKeyIds: (group: number) => ReadonlySet<number>
  /** whether the group has block files, or containers that data can come into */
  readonly hasData: (group: number) => boolean
  /** the same by the headers of the files. @throws EvidenceError when one can't be told */
  readonly keyIdsOnDisk: (group: number) => Promise<ReadonlySet<number>>
  /** what is in flight is in block files, and their records say so */
  readonly settle: () => Promise<void>
  /** the group's data leaves memory: caches of ours and of the kernel, and open block files */
  readonly forget: (group: number) => Promise<void>
}
