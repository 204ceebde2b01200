// A filesystem that does nothing: takes writes, reads zeros, keeps names and sizes of one flat directory.
// It shows what the transport alone costs.

import { constants } from 'node:fs'
import { FilesystemError } from '../src/errors.ts'
import type {
  AttributeChanges,
  Attributes,
  ByteString,
  Caller,
  DirectoryEntry,
  Entry,
  FilesystemStatistics,
  FuseFilesystem,
  InodeNumber,
  OpenedFile,
  ReadResult,
  Timestamp,
} from '../src/fuse/filesystem.ts'

const ROOT = 1
const S_IFDIR = 0o040000
const S_IFREG = 0o100000
const SECTOR_BYTES = 512
const READ_BYTES_MAX = 1024 * 1024
const ZEROS = new Uint8Array(READ_BYTES_MAX)

interface NullFile {
  readonly inode: InodeNumber
  readonly mode: number
  readonly uid: number
  readonly gid: number
  sizeBytes: number
  time: Timestamp
}

function now(): Timestamp {
  const milliseconds = Date.now()
  return {
    seconds: Math.floor(milliseconds / 1000),
    nanoseconds: (milliseconds % 1000) * 1_000_000,
  }
}

function attributesOf(file: NullFile): Attributes {
  return {
    inode: file.inode,
    mode: file.mode,
    linkCount: 1,
    uid: file.uid,
    gid: file.gid,
    deviceNumber: 0,
    sizeBytes: file.sizeBytes,
    blockCount: Math.ceil(file.sizeBytes / SECTOR_BYTES),
    accessTime: file.time,
    modifyTime: file.time,
    changeTime: file.time,
  }
}

function refuse(): never {
  throw new FilesystemError('EOPNOTSUPP')
}

/** Who bypasses the kernel's page cache. */
export type DirectIo = 'none' | 'writers' | 'all'

export class NullFilesystem implements FuseFilesystem {
  readonly #files = new Map<InodeNumber, NullFile>()
  readonly #names = new Map<ByteString, InodeNumber>()
  readonly #directIo: DirectIo
  #lastInode = ROOT

  constructor(directIo: DirectIo) {
    this.#directIo = directIo
    const time = now()
    const root = { inode: ROOT, mode: S_IFDIR | 0o777, uid: 0, gid: 0, sizeBytes: 0, time }
    this.#files.set(ROOT, root)
  }

  #file(inode: InodeNumber): NullFile {
    const file = this.#files.get(inode)
    if (file === undefined) throw new FilesystemError('ENOENT')
    return file
  }

  /** A handle is the inode's number: there is nothing to remember about an open file. */
  #opened(inode: InodeNumber, isWriter: boolean): OpenedFile {
    const directIo = this.#directIo === 'all' || (this.#directIo === 'writers' && isWriter)
    return { handle: inode, directIo, keepCache: false, isFlushed: isWriter }
  }

  lookup(_parent: InodeNumber, name: ByteString): Entry | undefined {
    const inode = this.#names.get(name)
    if (inode === undefined) return undefined
    return { attributes: attributesOf(this.#file(inode)), generation: 0 }
  }

  forget(): void {
    // Names hold the files.
  }

  getattr(inode: InodeNumber): Attributes {
    return attributesOf(this.#file(inode))
  }

  setattr(inode: InodeNumber, changes: AttributeChanges): Attributes {
    const file = this.#file(inode)
    file.sizeBytes = changes.sizeBytes ?? file.sizeBytes
    file.time = now()
    return attributesOf(file)
  }

  create(_parent: InodeNumber, name: ByteString, mode: number, _flags: number, caller: Caller) {
    this.#lastInode += 1
    const file: NullFile = {
      inode: this.#lastInode,
      mode: S_IFREG | (mode & 0o7777),
      uid: caller.uid,
      gid: caller.gid,
      sizeBytes: 0,
      time: now(),
    }
    this.#files.set(file.inode, file)
    this.#names.set(name, file.inode)
    const entry = { attributes: attributesOf(file), generation: 0 }
    return { entry, file: this.#opened(file.inode, true) }
  }

  open(inode: InodeNumber, flags: number): OpenedFile {
    return this.#opened(this.#file(inode).inode, (flags & constants.O_WRONLY) !== 0)
  }

  read(handle: number, offsetBytes: number, sizeBytes: number): ReadResult {
    const rest = Math.max(0, this.#file(handle).sizeBytes - offsetBytes)
    const pieces = [ZEROS.subarray(0, Math.min(sizeBytes, rest))]
    return { pieces, release: () => undefined }
  }

  write(handle: number, offsetBytes: number, data: Uint8Array): number {
    const file = this.#file(handle)
    file.sizeBytes = Math.max(file.sizeBytes, offsetBytes + data.length)
    return data.length
  }

  unlink(_parent: InodeNumber, name: ByteString): void {
    const inode = this.#names.get(name)
    if (inode === undefined) throw new FilesystemError('ENOENT')
    this.#names.delete(name)
    this.#files.delete(inode)
  }

  flush(): void {
    // Nothing is kept, so nothing can have failed.
  }

  release(): void {}

  async fsync(): Promise<void> {}

  async fsyncdir(): Promise<void> {}

  fallocate(): void {
    refuse()
  }

  tmpfile(): never {
    return refuse()
  }

  copyRange(): never {
    return refuse()
  }

  lseek(): number {
    return refuse()
  }

  readdir(_directory: number, cookie: number, countMax: number): DirectoryEntry[] {
    const entries: DirectoryEntry[] = []
    let position = 0
    for (const [name, inode] of this.#names) {
      position += 1
      if (position <= cookie) continue
      entries.push({ name, inode, type: S_IFREG, cookie: position })
      if (entries.length === countMax) break
    }
    return entries
  }

  statfs(): FilesystemStatistics {
    const blocks = 2 ** 30
    return {
      blockSizeBytes: 4096,
      totalBlocks: blocks,
      freeBlocks: blocks,
      availableBlocks: blocks,
      totalInodes: blocks,
      freeInodes: blocks,
      nameLengthMax: 255,
    }
  }

  readlink(): ByteString {
    return refuse()
  }

  symlink(): Entry {
    return refuse()
  }

  mknod(): Entry {
    return refuse()
  }

  mkdir(): Entry {
    return refuse()
  }

  rmdir(): void {
    refuse()
  }

  rename(): void {
    refuse()
  }

  link(): Entry {
    return refuse()
  }

  setxattr(): void {
    refuse()
  }

  getxattr(): Uint8Array {
    return refuse()
  }

  listxattr(): ByteString[] {
    return []
  }

  removexattr(): void {
    refuse()
  }
}
