export { CryptoError, type CryptoErrorCode } from './errors.ts'
export type { GroupKeysOptions } from './contract.ts'
export { GroupKeys } from './group-keys.ts'
export {
  activeKey,
  freeKeyCount,
  INTERVAL_DAYS_MAX,
  INTERVAL_DAYS_MIN,
  KEY_ID_MAX,
  needsReseal,
  rotationDueSeconds,
  type EncryptionSettings,
  type KeyInfo,
  type KeyMode,
  type Keyring,
  type KeyringInfo,
} from './keyring.ts'
export { KeystorePlaces, type PlaceFinding, type PlacesOptions } from './keystore-places.ts'
export { PASSPHRASE_BYTES_MAX, SCRYPT_DEFAULT, type ScryptParameters } from './passphrase.ts'
