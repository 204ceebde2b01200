// scrypt at a price that tests can pay hundreds of times. Import it before anything that derives a key: what it derives
// is not what the real one does, so all processes of a test need it.

import crypto from 'node:crypto'
import type { ScryptOptions } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'

const { scrypt } = crypto
const COST = 16

crypto.scrypt = ((
  password: Uint8Array,
  salt: Uint8Array,
  lengthBytes: number,
  options: ScryptOptions,
  done: (error: Error | null, key: Buffer) => void,
) => scrypt(password, salt, lengthBytes, { ...options, N: COST }, done)) as typeof scrypt
syncBuiltinESMExports()
