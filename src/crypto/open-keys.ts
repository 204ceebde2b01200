// What is in memory of a group that is open.

import type { Secret } from '../native/secret.ts'
import { INTERVAL_DAYS_DEFAULT, wipeKeyring, type Keyring } from './keyring.ts'
import type { ScryptParameters } from './passphrase.ts'

/** The keys, and what a change of them is written with. */
export interface OpenKeys {
  readonly keyring: Keyring
  readonly wrappingKey: Secret
  readonly salt: Uint8Array
  readonly scrypt: ScryptParameters
}

/** Of a group that has got its first passphrase. */
export const NEW_KEYRING: Omit<Keyring, 'chunkKey'> = {
  isOn: false,
  mode: 'internal',
  intervalDays: INTERVAL_DAYS_DEFAULT,
  epoch: 0,
  keys: [],
}

/** Wipes all of it. */
export function forget(opened: OpenKeys): void {
  wipeKeyring(opened.keyring)
  opened.wrappingKey.wipe()
}
