// The typed face of the addon's checks of LevelDB's files.

import { loadAddon } from './addon.ts'

/** Keys are internal ones: a user key and eight bytes of sequence number and type. */
export interface SoundTable {
  readonly entries: number
  readonly smallestKey: Uint8Array
  readonly largestKey: Uint8Array
  readonly reason?: undefined
}

export interface DamagedTable {
  /** what is damaged, e.g. "a block's checksum is wrong" */
  readonly reason: string
  /** where in the file, in bytes */
  readonly offset: number
  /** user keys around what is damaged, both inclusive; absent where any of the table's keys may be hidden */
  readonly from?: Uint8Array
  readonly to?: Uint8Array
}

interface LevelDbAddon {
  verifyTable(
    path: string,
    expectedBytes: number,
    fromDisk: boolean,
  ): Promise<SoundTable | DamagedTable>
  verifyTableIndex(path: string, expectedBytes: number): Promise<SoundTable | DamagedTable>
  crc32c(bytes: Uint8Array): number
}

const addon = loadAddon() as LevelDbAddon

/**
 * Reads a whole table and checks its structure, checksums and order, on a thread of its own. Takes as much memory as the
 * table is large. Rejects with an errno's name as `code` when the file can't be opened.
 * @param expectedBytes the size that the manifest has
 * @param fromDisk read past the page cache
 */
export function verifyTable(
  path: string,
  expectedBytes: number,
  fromDisk: boolean,
): Promise<SoundTable | DamagedTable> {
  return addon.verifyTable(path, expectedBytes, fromDisk)
}

/**
 * Checks what LevelDB reads when it opens a table: the footer, and the blocks that say where all others lie. Rejects with an
 * errno's name as `code` when the file can't be opened.
 * @param expectedBytes the size that the manifest has
 * @returns what is wrong; undefined for nothing
 */
export async function damageOfTableIndex(
  path: string,
  expectedBytes: number,
): Promise<string | undefined> {
  return (await addon.verifyTableIndex(path, expectedBytes)).reason
}

/** The CRC-32C in the masked form that LevelDB stores. */
export function maskedCrc32c(bytes: Uint8Array): number {
  return addon.crc32c(bytes)
}
