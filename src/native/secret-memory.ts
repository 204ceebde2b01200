// The typed face of the addon's memory for keys.

import { loadAddon } from './addon.ts'

interface SecretAddon {
  allocateSecret(bytes: number): ArrayBuffer
}

/**
 * Memory for a key: locked into RAM where the limits allow it, in no core dump, wiped when it is let go. Whoever is done
 * with it wipes it at once (`fill(0)`).
 * @param bytes 1 to 1 MiB
 */
export function allocateSecret(bytes: number): Uint8Array {
  return new Uint8Array((loadAddon() as SecretAddon).allocateSecret(bytes))
}
