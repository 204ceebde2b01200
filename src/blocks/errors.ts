// What can go wrong below the contract, in words that callers branch on.

import { FilesystemError, StoreError } from '../errors.ts'
import type { DamageReason } from './block-store.ts'

/** A region that can't be trusted. Callers answer EIO and raise an alert. */
export class DamagedRegionError extends StoreError {
  readonly block: number
  readonly page: number
  readonly reason: DamageReason

  constructor(block: number, page: number, reason: DamageReason, options?: ErrorOptions) {
    const message = `The region at page ${page} of block file ${block} is damaged (${reason}).`
    super('DAMAGED_REGION', message, options)
    this.block = block
    this.page = page
    this.reason = reason
  }
}

const DAMAGE_PREFIX = 'DAMAGE_'

/** The `code` of an error from the addon or from node's fs. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}

/** A failed read in the contract's words. A programmer's mistake stays what it is. */
export function damageOf(error: unknown, block: number, page: number): unknown {
  if (error instanceof DamagedRegionError || error instanceof TypeError) return error
  // A locked group says nothing about its block files.
  if (error instanceof FilesystemError) return error
  const code = codeOf(error)
  // Nor does one that was locked meanwhile.
  if (code === 'KEY_WIPED') return new FilesystemError('ENOKEY', 'The key has been wiped.')
  const reason = code.startsWith(DAMAGE_PREFIX) ? code.slice(DAMAGE_PREFIX.length) : 'io'
  return new DamagedRegionError(block, page, reason as DamageReason, { cause: error })
}
