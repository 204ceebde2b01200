// What can go wrong with keys and passphrases. Codes are stable.

import { CofferError } from '../errors.ts'

export type CryptoErrorCode =
  | 'PASSPHRASE_LENGTH'
  | 'PASSPHRASE_ENCODING'
  | 'PASSPHRASE_REQUIRED'
  | 'WRONG_PASSPHRASE'
  | 'TRY_LATER'
  | 'GROUP_LOCKED'
  | 'NOT_ENCRYPTED'
  | 'ENCRYPTION_IRREVERSIBLE'
  | 'INTERVAL_RANGE'
  | 'INTERVAL_STATIC'
  | 'KEY_LIMIT'
  | 'KEYSTORE_DAMAGED'
  | 'KEYSTORE_MISSING'
  | 'KEYSTORE_ROLLED_BACK'

export class CryptoError extends CofferError {
  declare readonly code: CryptoErrorCode

  constructor(code: CryptoErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options)
  }
}
