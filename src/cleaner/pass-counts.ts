// What a pass has done so far.

export interface PassCounts {
  /** size of the block files that went to the trash */
  freedBytes: number
  /** by which others have grown for it */
  writtenBytes: number
  /** of chunks before compression, copied because of their block file's dead share */
  compactedBytes: number
  recompressedBytes: number
  /** sealed with another key than before, or for the first time */
  encryptedBytes: number
  freedBlocks: number
  copiedBlocks: number
  damagedBlocks: number
  retiredKeys: number
}

export function noCounts(): PassCounts {
  return {
    freedBytes: 0,
    writtenBytes: 0,
    compactedBytes: 0,
    recompressedBytes: 0,
    encryptedBytes: 0,
    freedBlocks: 0,
    copiedBlocks: 0,
    damagedBlocks: 0,
    retiredKeys: 0,
  }
}
