// The filesystem: inodes, names, handles, attributes and containers, on top of a metadata store and file contents.
// This class puts the concerns together and counts the kernel's references; each concern has a file of its own.

import type {
  CommitParticipant,
  Committer,
  MetadataReader,
  MetadataWriter,
} from '../metadata/contract.ts'
import { FilesystemError } from '../errors.ts'
import type { AttributeOperations } from './attributes.ts'
import type { Containers } from './containers.ts'
import { type ContainerInfo } from './containers.ts'
import type { ContainerTrees } from './container-trees.ts'
import { type NewContainer } from './container-trees.ts'
import type { Contents } from './contents.ts'
import type { Dentries } from './dentries.ts'
import type { Files } from './files.ts'
import type { InodeTable } from './inode-table.ts'
import type { Inode } from './inode.ts'
import { NAME_BYTES_MAX, O_EXCL, O_TRUNC, S_IFLNK } from './linux.ts'
import type { Mending } from './mending.ts'
import type { Listings } from './listings.ts'
import type { Namespace } from './namespace.ts'
import type { Reaper } from './reaper.ts'
import type { Successors } from './successors.ts'
import type {
  AttributeChanges,
  Attributes,
  ByteString,
  Caller,
  DirectoryEntry,
  Entry,
  FilesystemStatistics,
  InodeNumber,
  OpenedFile,
  ReadResult,
  RenameFlags,
  WriteContext,
} from './types.ts'
import { makeParts } from './vfs-parts.ts'
import type { DiskTotals, VfsOptions } from './vfs-parts.ts'
import type { Xattrs } from './xattrs.ts'

/** what df counts in */
const STATFS_BLOCK_BYTES = 4096
/** numbers are never short: any large number tells programs so */
const STATFS_INODES = 2 ** 40
const TRUSTED = 'trusted.'

/** What the control side is told of a file. */
export interface FileInfo {
  readonly container: ByteString
  /** the storage group's id */
  readonly group: number
  readonly sizeBytes: number
}

/** What is held for clients now: it goes back when they let go. */
export interface HeldCounts {
  readonly openFiles: number
  readonly cachedInodes: number
  /** that the kernel knows, and has yet to forget */
  readonly referredInodes: number
}

interface CreatedFile {
  readonly entry: Entry
  readonly file: OpenedFile
}

export class Vfs implements CommitParticipant {
  readonly #metadata: MetadataReader
  readonly #committer: Committer
  readonly #statistics: (group: number | undefined) => DiskTotals
  readonly #isReadOnly: () => boolean
  readonly #table: InodeTable
  readonly #dentries: Dentries
  readonly #xattrs: Xattrs
  readonly #containers: Containers
  readonly #contents: Contents
  readonly #reaper: Reaper
  readonly #namespace: Namespace
  readonly #successors: Successors
  readonly #attributes: AttributeOperations
  readonly #files: Files
  readonly #listings: Listings
  readonly #trees: ContainerTrees
  /** for repairs */
  readonly mending: Mending

  /** `start` must have resolved before the first operation. */
  constructor(options: VfsOptions) {
    const parts = makeParts(options)
    this.#metadata = options.metadata
    this.#committer = options.committer
    this.#statistics = options.statistics
    this.#isReadOnly = options.isReadOnly ?? (() => false)
    this.#table = parts.table
    this.#dentries = parts.dentries
    this.#xattrs = parts.xattrs
    this.#containers = parts.containers
    this.#contents = parts.contents
    this.#reaper = parts.reaper
    this.#namespace = parts.namespace
    this.#successors = parts.successors
    this.#attributes = parts.attributes
    this.#files = parts.files
    this.#listings = parts.listings
    this.#trees = parts.trees
    this.mending = parts.mending
  }

  /** Loads the containers and finishes what an earlier run left. */
  async start(): Promise<void> {
    await this.#containers.load(this.#metadata)
    await this.#reaper.recover()
    this.#trees.recover()
  }

  /** The data of what has been deleted is gone, unless somebody has it open. */
  async deletionsDone(): Promise<void> {
    await this.#trees.reclaimed()
    await this.#reaper.done()
  }

  /** Ends background work; call before the last commit. */
  async stop(): Promise<void> {
    this.#reaper.stop()
    await this.#trees.stop()
  }

  // ---- the commit

  /**
   * Stores data that takes the place of older data, before a commit that no longer has the old. To be called again until it
   * returns undefined, and the commit is collected in that same turn.
   */
  storeSuccessors(): Promise<void> | undefined {
    return this.#successors.settle()
  }

  collect(batch: MetadataWriter): void {
    this.#successors.collected()
    this.#table.collect(batch)
    this.#dentries.collect(batch)
    this.#xattrs.collect(batch)
    this.#containers.collect(batch, this.#contents.overhang())
    this.#reaper.collect(batch)
  }

  settled(): void {
    this.#table.settled()
    this.#dentries.settled()
    this.#xattrs.settled()
    this.#containers.settled()
    this.#reaper.settled()
    this.#trees.settled()
    this.#contents.sweep()
  }

  // ---- containers

  /** @throws CONTAINER_EXISTS, CONTAINER_NAME_INVALID */
  addContainer(container: NewContainer): ContainerInfo {
    this.#checkWritable()
    return this.#trees.add(container)
  }

  /** @throws CONTAINER_NOT_FOUND, CONTAINER_EXISTS, CONTAINER_NAME_INVALID */
  renameContainer(name: ByteString, newName: ByteString): ContainerInfo {
    this.#checkWritable()
    return this.#trees.rename(name, newName)
  }

  /**
   * The container is gone from the mount when this returns; its space comes back in the background.
   * @throws CONTAINER_NOT_FOUND, CONTAINER_NOT_EMPTY
   */
  deleteContainer(name: ByteString, options: { readonly deleteFiles: boolean }): void {
    this.#checkWritable()
    this.#trees.delete(name, options)
  }

  containers(): ContainerInfo[] {
    return this.#containers.list()
  }

  /** How many files were removed from a container since the start. */
  removedFiles(id: number): number {
    return this.#containers.removedFiles(id)
  }

  /** @throws CONTAINER_NOT_FOUND */
  containerByName(name: ByteString): ContainerInfo {
    return this.#containers.get(name)
  }

  /** A regular file that has a name; undefined when there is none (any more). Its path is not known: only names are. */
  fileInfo(number: InodeNumber): FileInfo | undefined {
    const inode = this.#table.find(number)
    if (inode === undefined || !inode.isRegular || inode.linkCount === 0) return undefined
    const container = this.#containers.byId(inode.container)
    if (container === undefined) return undefined
    return { container: container.name, group: container.group, sizeBytes: inode.sizeBytes }
  }

  /** Whether a file is there, with a name or without; false once its records are gone or are about to be. */
  hasInode(number: InodeNumber): boolean {
    return this.#table.find(number) !== undefined
  }

  get held(): HeldCounts {
    const { cached, referred } = this.#table.counts
    const { openCount: openFiles } = this.#files
    return { openFiles, cachedInodes: cached, referredInodes: referred }
  }

  // ---- names

  lookup(parent: InodeNumber, name: ByteString): Entry | undefined {
    const inode = this.#namespace.lookup(parent, name)
    return inode === undefined ? undefined : this.#refer(inode)
  }

  forget(number: InodeNumber, count: number): void {
    if (!this.#table.unrefer(number, count)) return
    const inode = this.#table.peek(number)
    if (inode !== undefined && inode.linkCount === 0) void this.#reaper.reapUnheld(inode)
  }

  symlink(parent: InodeNumber, name: ByteString, target: ByteString, caller: Caller): Entry {
    this.#checkWritable()
    return this.#refer(this.#namespace.symlink(parent, name, target, caller))
  }

  readlink(number: InodeNumber): ByteString {
    const inode = this.#table.get(number)
    if (inode.type !== S_IFLNK) throw new FilesystemError('EINVAL')
    return inode.target
  }

  mknod(
    parent: InodeNumber,
    name: ByteString,
    mode: number,
    deviceNumber: number,
    caller: Caller,
  ): Entry {
    this.#checkWritable()
    return this.#refer(this.#namespace.mknod(parent, name, mode, deviceNumber, caller))
  }

  mkdir(parent: InodeNumber, name: ByteString, mode: number, caller: Caller): Entry {
    this.#checkWritable()
    return this.#refer(this.#namespace.mkdir(parent, name, mode, caller))
  }

  unlink(parent: InodeNumber, name: ByteString, _caller?: Caller): void {
    this.#checkWritable()
    this.#namespace.unlink(parent, name)
  }

  rmdir(parent: InodeNumber, name: ByteString, _caller?: Caller): void {
    this.#checkWritable()
    this.#namespace.rmdir(parent, name)
  }

  rename(
    parent: InodeNumber,
    name: ByteString,
    newParent: InodeNumber,
    newName: ByteString,
    flags: RenameFlags,
    caller?: Caller,
  ): void | Promise<void> {
    this.#checkWritable()
    const admitted = this.#successors.admitted()
    if (admitted !== undefined) {
      return admitted.then(() => this.rename(parent, name, newParent, newName, flags, caller))
    }
    this.#namespace.rename(parent, name, newParent, newName, flags, caller)
  }

  link(number: InodeNumber, newParent: InodeNumber, newName: ByteString, _caller?: Caller): Entry {
    this.#checkWritable()
    return this.#refer(this.#namespace.link(number, newParent, newName))
  }

  // ---- attributes

  getattr(number: InodeNumber): Attributes {
    return this.#attributes.get(number)
  }

  setattr(
    number: InodeNumber,
    changes: AttributeChanges,
    _caller?: Caller,
  ): Attributes | Promise<Attributes> {
    this.#checkWritable()
    return this.#attributes.set(number, changes)
  }

  /** Of the inode's storage group; of the disk at the top of the mount. */
  statfs(number?: InodeNumber): FilesystemStatistics {
    const inode = number === undefined ? undefined : this.#table.find(number)
    const container = inode === undefined ? undefined : this.#containers.byId(inode.container)
    const totals = this.#statistics(container?.group)
    const { totalBytes, freeBytes, availableBytes = freeBytes } = totals
    return {
      blockSizeBytes: STATFS_BLOCK_BYTES,
      totalBlocks: Math.floor(totalBytes / STATFS_BLOCK_BYTES),
      freeBlocks: Math.floor(freeBytes / STATFS_BLOCK_BYTES),
      availableBlocks: Math.floor(availableBytes / STATFS_BLOCK_BYTES),
      totalInodes: STATFS_INODES,
      freeInodes: STATFS_INODES - this.#table.usedNumbers,
      nameLengthMax: NAME_BYTES_MAX,
    }
  }

  setxattr(
    number: InodeNumber,
    name: ByteString,
    value: Uint8Array,
    flags: number,
    dropsGroup = false,
  ): void {
    this.#checkWritable()
    this.#attributes.setXattr(this.#table.get(number), name, value, flags, dropsGroup)
  }

  getxattr(number: InodeNumber, name: ByteString): Uint8Array {
    return this.#xattrs.get(this.#table.get(number), name)
  }

  /** Names of the `trusted.` kind are for root to see. */
  listxattr(number: InodeNumber, caller?: Caller): readonly ByteString[] {
    const names = this.#xattrs.list(this.#table.get(number))
    if (caller === undefined || caller.uid === 0) return names
    return names.filter(name => !name.startsWith(TRUSTED))
  }

  removexattr(number: InodeNumber, name: ByteString): void {
    this.#checkWritable()
    this.#attributes.removeXattr(this.#table.get(number), name)
  }

  // ---- open files

  open(number: InodeNumber, flags: number, _caller?: Caller): OpenedFile | Promise<OpenedFile> {
    if ((flags & O_TRUNC) !== 0) this.#checkWritable()
    return this.#files.open(this.#table.get(number), flags, false)
  }

  /** Files of a storage group whose pages the kernel may have. */
  knownFilesOf(group: number): InodeNumber[] {
    return this.#contents.knownTo(group)
  }

  create(
    parent: InodeNumber,
    name: ByteString,
    mode: number,
    flags: number,
    caller: Caller,
  ): CreatedFile | Promise<CreatedFile> {
    const existing = this.#namespace.lookup(parent, name)
    if (existing !== undefined && (flags & O_EXCL) !== 0) throw new FilesystemError('EEXIST')
    if (existing === undefined || (flags & O_TRUNC) !== 0) this.#checkWritable()
    // before there is a name without a file: a locked group takes no data
    if (existing === undefined) this.#contents.checkAccess(this.#table.get(parent).container)
    const inode = existing ?? this.#namespace.create(parent, name, mode, caller)
    return this.#openEntry(inode, flags, existing === undefined)
  }

  /** open(2) with O_TMPFILE */
  tmpfile(
    parent: InodeNumber,
    mode: number,
    flags: number,
    caller: Caller,
  ): CreatedFile | Promise<CreatedFile> {
    this.#checkWritable()
    return this.#openEntry(this.#namespace.nameless(parent, mode, caller), flags, true)
  }

  #openEntry(inode: Inode, flags: number, isNew: boolean): CreatedFile | Promise<CreatedFile> {
    // held by the kernel's new reference while a truncation waits
    this.#table.refer(inode)
    const finish = (file: OpenedFile): CreatedFile => ({
      entry: inode.entry(),
      file,
    })
    try {
      const opened = this.#files.open(inode, flags, isNew)
      if (!(opened instanceof Promise)) return finish(opened)
      return opened.then(finish, (error: unknown) => {
        this.forget(inode.number, 1)
        throw error
      })
    } catch (error) {
      this.forget(inode.number, 1)
      throw error
    }
  }

  read(handle: number, offsetBytes: number, sizeBytes: number): ReadResult | Promise<ReadResult> {
    return this.#files.read(handle, offsetBytes, sizeBytes)
  }

  write(
    handle: number,
    offsetBytes: number,
    data: Uint8Array,
    context: WriteContext,
  ): number | Promise<number> {
    this.#checkWritable()
    return this.#files.write(handle, offsetBytes, data, context)
  }

  flush(handle: number): void {
    this.#files.flush(handle)
  }

  release(handle: number): void {
    this.#files.release(handle)
  }

  async fsync(handle: number, _dataOnly?: boolean): Promise<void> {
    await this.#files.fsync(handle)
  }

  fallocate(
    handle: number,
    offsetBytes: number,
    lengthBytes: number,
    mode: number,
    caller?: Caller,
  ): void | Promise<void> {
    this.#checkWritable()
    const kills = caller !== undefined && caller.uid !== 0
    return this.#files.fallocate(handle, offsetBytes, lengthBytes, mode, kills)
  }

  /** As copy_file_range(2). @returns bytes copied */
  async copyRange(
    source: number,
    sourceOffsetBytes: number,
    target: number,
    targetOffsetBytes: number,
    lengthBytes: number,
    caller: Caller,
  ): Promise<number> {
    this.#checkWritable()
    // The kernel has no word for it here, as it has for writes: root keeps what others lose.
    const [kills, from, to] = [caller.uid !== 0, sourceOffsetBytes, targetOffsetBytes]
    return this.#files.copyRange(source, from, target, to, lengthBytes, kills)
  }

  async lseek(handle: number, offsetBytes: number, whence: number): Promise<number> {
    return this.#files.lseek(handle, offsetBytes, whence)
  }

  // ---- directories' listings

  readdir(
    directory: InodeNumber,
    cookie: number,
    countMax: number,
    areLookedUp = false,
  ): readonly DirectoryEntry[] | Promise<readonly DirectoryEntry[]> {
    const inode = this.#namespace.directory(directory)
    return this.#listings.read(inode, cookie, countMax, areLookedUp)
  }

  async fsyncdir(_directory: InodeNumber, _dataOnly?: boolean): Promise<void> {
    await this.#committer.commit()
  }

  /** @throws EROFS */
  #checkWritable(): void {
    if (this.#isReadOnly()) throw new FilesystemError('EROFS')
  }

  /** The kernel holds one more reference to what it is told of. */
  #refer(inode: Inode): Entry {
    this.#table.refer(inode)
    return inode.entry()
  }
}
