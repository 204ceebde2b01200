// What vfs needs of file data. Declared here because vfs is the consumer; stream implements it.

/** Bytes of a read, valid until `release`, which is called exactly once. */
export interface ContentRead {
  readonly pieces: readonly Uint8Array[]
  release(): void
}

/**
 * One regular file's bytes while the file is open or has unflushed data. Offsets and sizes in bytes.
 * The visible size is the content's: it changes synchronously with `write` and `truncate`.
 */
export interface FileContent {
  /** size as readers see it */
  readonly sizeBytes: number
  /**
   * The size that a commit made now may write down: never past data that is not yet in the block files
   * (a crash then shows the old end, not zeros).
   */
  readonly committableSizeBytes: number
  /** bytes that extents cover, for st_blocks */
  readonly mappedBytes: number
  /** data not yet in block files */
  readonly hasUnflushedData: boolean
  /** Copies `data` before it returns or, when buffers are short, before the promise resolves. @throws ENOSPC, EIO, EFBIG */
  write(offsetBytes: number, data: Uint8Array): void | Promise<void>
  /** Short at the end of the file. Holes read as zeros. @throws EIO */
  read(offsetBytes: number, sizeBytes: number): ContentRead | Promise<ContentRead>
  truncate(sizeBytes: number): void | Promise<void>
  /** Punches a hole: the range reads as zeros, the size stays. */
  punch(offsetBytes: number, lengthBytes: number): Promise<void>
  /** next data (3, SEEK_DATA) or hole (4, SEEK_HOLE) at or after the offset; undefined = none before the end */
  seek(offsetBytes: number, whence: number): Promise<number | undefined>
  /** Starts to move small or last data towards the block files, without waiting: called at close. */
  drain(): void
  /** All data written so far is in block files and its extents are part of the next commit, or the owner has been told of a failure. */
  settle(): Promise<void>
}

/** Who has a content open. Called from inside the content, which may be in the middle of something. */
export interface ContentOwner {
  /** Size, committable size or mapped bytes have changed: the inode's record goes into the next commit. */
  changed(): void
  /**
   * Accepted data could not be stored. Where old data or a hole was before, it is there again; a file that had grown ends
   * where it is stored, as after a crash, and has given up all else that was on its way.
   */
  failed(error: Error): void
}

export interface ContentStore {
  /**
   * @param inode its number; extents are stored under it
   * @param group the storage group of the inode's container
   * @param sizeBytes and mappedBytes: as the inode record says
   */
  open(
    inode: number,
    group: number,
    sizeBytes: number,
    mappedBytes: number,
    owner: ContentOwner,
  ): FileContent
  /** Asked when a file is opened. @throws FilesystemError ENOKEY when the group's data may not be read or changed now */
  checkAccess(group: number): void
  /** Lets go of a clean content that no handle uses any more. */
  close(content: FileContent): void
  /**
   * Copies a range between contents of one group (or inside of one, where the ranges don't overlap) without copying
   * bytes. The source's range must lie inside the source. @throws ENOSPC, EIO, EFBIG
   */
  share(
    source: FileContent,
    sourceStartBytes: number,
    target: FileContent,
    targetStartBytes: number,
    lengthBytes: number,
  ): Promise<void>
  /** Forgets all data of a file that nothing names any more; extents are deleted in slices over later commits. */
  discard(inode: number): Promise<void>
  /** Stores what these have unflushed, soon; their owners are told of failures. */
  flush(contents: readonly FileContent[]): Promise<void>
  /** flushes every content with unflushed data */
  flushAll(): Promise<void>
}
