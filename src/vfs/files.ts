// Open files: reading, writing and everything else that goes by a handle. The bytes are the content's business.

import { FilesystemError } from '../errors.ts'
import type { Committer } from '../metadata/contract.ts'
import { FILE_BYTES_MAX } from '../stream/index.ts'
import type { AttributeOperations } from './attributes.ts'
import type { FileContent } from './content.ts'
import type { Contents } from './contents.ts'
import type { Inode } from './inode.ts'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  O_ACCMODE,
  O_ANY_SYNC,
  O_APPEND,
  O_DIRECT,
  O_NOATIME,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  SEEK_DATA,
  SEEK_HOLE,
} from './linux.ts'
import type { OpenedFile, ReadResult, WriteContext } from './types.ts'

interface OpenFile {
  readonly inode: Inode
  readonly content: FileContent
  readonly directIo: boolean
  /** O_SYNC or O_DSYNC: a write is durable when it returns */
  readonly isSynchronous: boolean
  readonly keepsAccessTime: boolean
  /** of the inode's failures: what its fsyncs have told, and what any call has, since a fsync must tell of it all the same */
  readonly told: { bySync: number; byAny: number }
}

export interface FileParts {
  readonly contents: Contents
  readonly attributes: AttributeOperations
  readonly committer: Committer
}

export class Files {
  readonly #parts: FileParts
  readonly #files = new Map<number, OpenFile>()
  #nextHandle = 1

  constructor(parts: FileParts) {
    this.#parts = parts
  }

  get openCount(): number {
    return this.#files.size
  }

  /**
   * @param isNew made by this very open
   * @throws EISDIR, ENXIO for what has no data here
   */
  open(inode: Inode, flags: number, isNew: boolean): OpenedFile | Promise<OpenedFile> {
    if (inode.isDirectory) throw new FilesystemError('EISDIR')
    if (!inode.isRegular) throw new FilesystemError('ENXIO')
    this.#parts.contents.checkAccess(inode.container)
    // of an empty file, too: its times move
    if ((flags & O_TRUNC) !== 0 && !isNew) {
      const waiting = this.#parts.attributes.truncate(inode, 0)
      if (waiting !== undefined) return waiting.then(() => this.#handle(inode, flags, isNew))
    }
    return this.#handle(inode, flags, isNew)
  }

  read(handle: number, offsetBytes: number, sizeBytes: number): ReadResult | Promise<ReadResult> {
    const file = this.#get(handle)
    if (!file.keepsAccessTime) this.#parts.attributes.accessed(file.inode)
    return file.content.read(offsetBytes, sizeBytes)
  }

  write(
    handle: number,
    offsetBytes: number,
    data: Uint8Array,
    context: WriteContext,
  ): number | Promise<number> {
    const file = this.#get(handle)
    const { inode, content } = file
    // Who goes on behind what was lost would leave a gap, which reads as zeros.
    tellFailure(file)
    // Pages that the kernel writes back have their place. Only what bypasses its cache is appended here, where the
    // end is known
    const appends = file.directIo && (context.flags & O_APPEND) !== 0
    const at = appends ? inode.sizeBytes : offsetBytes
    if (at + data.length > FILE_BYTES_MAX) throw new FilesystemError('EFBIG')
    const waiting = content.write(at, data)
    if (file.directIo) inode.isPageCacheStale = true
    const isSynchronous = file.isSynchronous || (context.flags & O_ANY_SYNC) !== 0
    if (waiting === undefined && !isSynchronous) {
      this.#written(inode, context)
      return data.length
    }
    return this.#finishWrite(file, waiting, data.length, context, isSynchronous)
  }

  flush(handle: number): void {
    const file = this.#get(handle)
    file.content.drain()
    tellFailure(file)
  }

  release(handle: number): void {
    const { inode, content } = this.#get(handle)
    this.#files.delete(handle)
    if (inode.linkCount > 0) content.drain()
    this.#parts.attributes.unpin(inode)
  }

  async fsync(handle: number): Promise<void> {
    await this.#makeDurable(this.#get(handle))
  }

  /**
   * copy_file_range(2): the kernel has checked modes and overlaps.
   * @returns bytes copied, less than asked for at the source's end
   * @throws EXDEV, EFBIG, ENOSPC, EIO
   */
  async copyRange(
    source: number,
    sourceOffsetBytes: number,
    target: number,
    targetOffsetBytes: number,
    lengthBytes: number,
    killPrivileges: boolean,
  ): Promise<number> {
    const { inode: from } = this.#get(source)
    const { inode: to } = this.#get(target)
    const { contents, attributes } = this.#parts
    const insideBytes = Math.min(lengthBytes, from.sizeBytes - sourceOffsetBytes)
    if (insideBytes <= 0) return 0
    if (targetOffsetBytes + insideBytes > FILE_BYTES_MAX) throw new FilesystemError('EFBIG')
    from.pins++
    to.pins++
    try {
      await contents.share(from, sourceOffsetBytes, to, targetOffsetBytes, insideBytes)
      // the kernel has dropped the pages of its own handle; another's may be older
      to.isPageCacheStale = true
      attributes.accessed(from)
      attributes.modified(to, killPrivileges)
    } finally {
      attributes.unpin(from)
      attributes.unpin(to)
    }
    return insideBytes
  }

  /** @throws EINVAL, EFBIG, EOPNOTSUPP */
  fallocate(
    handle: number,
    offsetBytes: number,
    lengthBytes: number,
    mode: number,
    killPrivileges: boolean,
  ): void | Promise<void> {
    const { inode } = this.#get(handle)
    if (offsetBytes < 0 || lengthBytes <= 0) throw new FilesystemError('EINVAL')
    if (offsetBytes + lengthBytes > FILE_BYTES_MAX) throw new FilesystemError('EFBIG')
    switch (mode) {
      case FALLOC_FL_KEEP_SIZE:
        // space can't be set aside for data of which nobody knows how well it dedupes
        this.#parts.attributes.modified(inode, killPrivileges)
        return undefined
      case 0:
        this.#parts.attributes.modified(inode, killPrivileges)
        return this.#extend(inode, offsetBytes + lengthBytes)
      case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
      case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
        return this.#punch(inode, offsetBytes, lengthBytes, killPrivileges)
      case FALLOC_FL_ZERO_RANGE:
        return this.#punch(inode, offsetBytes, lengthBytes, killPrivileges).then(() =>
          this.#extend(inode, offsetBytes + lengthBytes),
        )
      default:
        throw new FilesystemError('EOPNOTSUPP')
    }
  }

  /** @throws ENXIO, EINVAL */
  async lseek(handle: number, offsetBytes: number, whence: number): Promise<number> {
    const { inode, content } = this.#get(handle)
    if (whence !== SEEK_DATA && whence !== SEEK_HOLE) throw new FilesystemError('EINVAL')
    if (offsetBytes < 0 || offsetBytes >= inode.sizeBytes) throw new FilesystemError('ENXIO')
    const found = await content.seek(offsetBytes, whence)
    if (found !== undefined) return found
    if (whence === SEEK_DATA) throw new FilesystemError('ENXIO')
    // behind the last byte is a hole
    return inode.sizeBytes
  }

  #get(handle: number): OpenFile {
    const file = this.#files.get(handle)
    if (file === undefined) throw new FilesystemError('EBADF')
    return file
  }

  /**
   * Direct I/O for whoever streams a new file in: a backup's pages aren't read again soon, and copying them through the
   * page cache costs a third of the throughput.
   */
  #handle(inode: Inode, flags: number, isNew: boolean): OpenedFile {
    const access = flags & O_ACCMODE
    const directIo =
      isNew ||
      (flags & O_DIRECT) !== 0 ||
      access === O_WRONLY ||
      (access !== O_RDONLY && inode.sizeBytes === 0)
    inode.pins++
    let content: FileContent
    try {
      content = this.#parts.contents.use(inode)
    } catch (error) {
      this.#parts.attributes.unpin(inode)
      throw error
    }
    const mark = inode.failures?.mark ?? 0
    const handle = this.#nextHandle++
    this.#files.set(handle, {
      inode,
      content,
      directIo,
      isSynchronous: (flags & O_ANY_SYNC) !== 0,
      keepsAccessTime: (flags & O_NOATIME) !== 0,
      told: { bySync: mark, byAny: mark },
    })
    const keepCache = !directIo && !inode.isPageCacheStale
    if (!directIo) inode.isPageCacheStale = false
    // Who has only read has nothing to be told at the close. Writers have: an error, if there is one by then.
    const isFlushed = access !== O_RDONLY
    return { handle, directIo, keepCache, isFlushed }
  }

  async #finishWrite(
    file: OpenFile,
    waiting: void | Promise<void>,
    writtenBytes: number,
    context: WriteContext,
    isSynchronous: boolean,
  ): Promise<number> {
    await waiting
    this.#written(file.inode, context)
    if (isSynchronous) await this.#makeDurable(file)
    return writtenBytes
  }

  #written(inode: Inode, context: WriteContext): void {
    this.#parts.contents.refresh(inode)
    this.#parts.attributes.modified(inode, context.killPrivileges)
  }

  async #makeDurable(file: OpenFile): Promise<void> {
    const { bySync } = file.told
    await file.content.settle()
    // Two that wait at the same time both hear of it.
    tellFailureToSync(file, bySync)
    await this.#parts.committer.commit()
  }

  #extend(inode: Inode, sizeBytes: number): void | Promise<void> {
    if (sizeBytes <= inode.sizeBytes) return undefined
    return this.#parts.attributes.truncate(inode, sizeBytes)
  }

  /** The handle keeps the inode and its content while this waits. */
  async #punch(
    inode: Inode,
    offsetBytes: number,
    lengthBytes: number,
    killPrivileges: boolean,
  ): Promise<void> {
    const { contents, attributes } = this.#parts
    inode.pins++
    try {
      const inside = Math.min(lengthBytes, inode.sizeBytes - offsetBytes)
      if (inside > 0) {
        await contents.use(inode).punch(offsetBytes, inside)
        contents.refresh(inode)
      }
      attributes.modified(inode, killPrivileges)
    } finally {
      attributes.unpin(inode)
    }
  }
}

/**
 * Tells a write or a close of it that data was lost before, which goes on with the next one. Whoever writes the same again
 * then, and has it synced, would take all that was before for stored as well: so an fsync says it once more.
 */
function tellFailure({ inode: { failures }, told }: OpenFile): void {
  const error = failures?.since(told.byAny)
  if (failures === undefined || error === undefined) return
  told.byAny = failures.end
  throw error
}

/** @throws the last failure after the mark; whoever has heard of it in this way need not hear of it again */
function tellFailureToSync({ inode: { failures }, told }: OpenFile, mark: number): void {
  const error = failures?.since(mark)
  if (failures === undefined || error === undefined) return
  told.bySync = failures.end
  told.byAny = failures.end
  throw error
}
