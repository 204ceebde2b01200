// The tables of the metadata store and how their keys are built: one table byte, then big-endian integers and bytes.

import { StoreError } from '../errors.ts'
import { bufferOf } from '../buffer-of.ts'

export const TABLE = {
  /** the store itself: one record */
  superblock: 0x53, // S
  group: 0x47, // G group(2)
  container: 0x4b, // K container(4)
  inode: 0x49, // I inode(8)
  dentry: 0x44, // D parent(8) hash(8) name
  xattr: 0x58, // X inode(8)
  orphan: 0x4f, // O inode(8): nothing names the inode any more, its records are to be deleted
  extents: 0x45, // E inode(8) page(4)
  chunk: 0x43, // C group(2) fingerprint(32)
  block: 0x42, // B block(4)
  usage: 0x55, // U group(2), or U block(4)
  alert: 0x41, // A code, or code space subject
  event: 0x4c, // L index(8)
  pass: 0x50, // P "current", or P "history"
  mail: 0x4d, // M "state", or M "N" index(8)
  schedule: 0x51, // Q "cleaner"
  scan: 0x5a, // Z "current", Z "reports", or Z "D" block(4)
  repair: 0x52, // R "H" repair(4), or R "quarantine"
} as const

/** table ‖ inode as 8 bytes ‖ extra bytes, which are 0 */
export function inodeKey(table: number, inode: number, extraBytes = 0): Buffer {
  // From Node's pool; what was there before must not get into a key that somebody fills in part.
  const key = Buffer.allocUnsafe(9 + extraBytes).fill(0, 9)
  key[0] = table
  key.writeUInt32BE(Math.floor(inode / 2 ** 32), 1)
  key.writeUInt32BE(inode % 2 ** 32, 5)
  return key
}

/**
 * The integer that a key ends with, and that is all of it behind the table or a prefix.
 * @param at where it begins
 * @throws StoreError RECORD_DAMAGED when the key is of another length, or the number one that is never given out
 */
export function keyNumber(key: Uint8Array, bytes: 2 | 4 | 8, at = 1): number {
  const view = bufferOf(key)
  if (view.length === at + bytes) {
    const number = bytes === 8 ? Number(view.readBigUInt64BE(at)) : view.readUIntBE(at, bytes)
    if (Number.isSafeInteger(number)) return number
  }
  throw new StoreError('RECORD_DAMAGED', `The metadata key ${view.toString('hex')} is damaged.`)
}

/** The first key after every key that begins with `prefix` (which must not be all 0xff). */
export function prefixEnd(prefix: Uint8Array): Buffer {
  const end = Buffer.from(prefix)
  for (let index = end.length - 1; index >= 0; index--) {
    const byte = end[index] ?? 0
    if (byte < 0xff) {
      end[index] = byte + 1
      return end.subarray(0, index + 1)
    }
  }
  throw new RangeError('a prefix of 0xff bytes has no end')
}
