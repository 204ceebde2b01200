// Loads the addon. The typed faces are fuse-device.ts and data-path.ts beside this file.

import { createRequire } from 'node:module'
import { CofferError } from '../errors.ts'

/** @throws CofferError ADDON_MISSING with the command that builds it */
export function loadAddon(): unknown {
  try {
    // From dist/src/native/ to the top of the checkout.
    return createRequire(import.meta.url)('../../../native/build/Release/coffer.node')
  } catch (error) {
    throw new CofferError('ADDON_MISSING', 'The native addon is not built: run `npm run setup`.', {
      cause: error,
    })
  }
}
