// What an inode record says of its file's data: the third source beside extents and counters.

import { decodeInode } from '../vfs/index.ts'

/** @returns undefined while the file is being deleted, piece by piece. @throws StoreError */
export function mappedBytesOf(value: Uint8Array, inode: number): number | undefined {
  const { linkCount, mappedBytes } = decodeInode(value, inode)
  return linkCount === 0 ? undefined : mappedBytes
}
