// What the keys of a storage group need from the rest of the daemon.

import type { KeystorePlaces, PlaceFinding } from './keystore-places.ts'
import type { ScryptParameters } from './passphrase.ts'

export interface GroupKeysOptions {
  readonly group: number
  readonly places: KeystorePlaces
  readonly nowSeconds: () => number
  /** ids that some block of the group has */
  readonly usedIds: () => ReadonlySet<number>
  /** whether the group has data, or a container that data can come into */
  readonly hasData: () => boolean
  /** sequence of the last keystore that is remembered; 0 = there never was one */
  readonly recordedSequence: () => number
  /** whether anything apart from keystores says that the group is or was encrypted */
  readonly isKnownEncrypted: () => boolean
  /** a keystore that was proved is in a place: remember its sequence durably */
  readonly written: (sequence: number) => Promise<void>
  /** a place that was wrong or can't be written */
  readonly found: (findings: readonly PlaceFinding[]) => void
  readonly scrypt?: ScryptParameters
}
