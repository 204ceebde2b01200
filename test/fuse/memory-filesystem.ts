// A small filesystem in memory for tests of the FUSE layer: regular files, directories, xattrs. Half of its
// operations answer at once and half with a promise, so that both ways are used.

import { FilesystemError } from '../../src/errors.ts'
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
  RenameFlags,
  Timestamp,
  WriteContext,
} from '../../src/fuse/filesystem.ts'

const ROOT = 1
const S_IFMT = 0o170000
const S_IFDIR = 0o040000
const S_IFREG = 0o100000
const S_IFLNK = 0o120000
const O_TRUNC = 0o1000
const SEEK_DATA = 3
/** Reads come in pieces of an odd size, so that replies of several pieces are tried. */
const PIECE_BYTES = 100_003
/** Larger files are refused: they would have to be in memory. */
const FILE_BYTES_MAX = 64 * 1024 * 1024

interface Node {
  readonly inode: InodeNumber
  parent: InodeNumber
  mode: number
  uid: number
  gid: number
  data: Buffer
  sizeBytes: number
  modifyTime: Timestamp
  accessTime: Timestamp
  linkCount: number
  references: number
  readonly children: Map<ByteString, InodeNumber>
  readonly xattrs: Map<ByteString, Uint8Array>
}

function now(): Timestamp {
  const milliseconds = Date.now()
  return {
    seconds: Math.floor(milliseconds / 1000),
    nanoseconds: (milliseconds % 1000) * 1_000_000,
  }
}

export class MemoryFilesystem implements FuseFilesystem {
  readonly nodes = new Map<InodeNumber, Node>()
  readonly #handles = new Map<number, InodeNumber>()
  #lastInode = ROOT
  #lastHandle = 0
  /** reads handed out and not yet released */
  readsHeld = 0

  constructor() {
    this.#add(S_IFDIR | 0o755, ROOT, ROOT, { uid: 0, gid: 0, pid: 0 })
  }

  get openHandles(): number {
    return this.#handles.size
  }

  /** Adds a file behind the kernel's back, as a change by another way than the mount does. */
  plant(name: ByteString, content: Buffer): void {
    this.#lastInode += 1
    const node = this.#add(S_IFREG | 0o644, this.#lastInode, ROOT, { uid: 0, gid: 0, pid: 0 })
    node.data = content
    node.sizeBytes = content.length
    this.#node(ROOT).children.set(name, node.inode)
  }

  #add(mode: number, inode: InodeNumber, parent: InodeNumber, caller: Caller): Node {
    const node: Node = {
      inode,
      parent,
      mode,
      uid: caller.uid,
      gid: caller.gid,
      data: Buffer.alloc(0),
      sizeBytes: 0,
      modifyTime: now(),
      accessTime: now(),
      linkCount: 1,
      references: 0,
      children: new Map(),
      xattrs: new Map(),
    }
    this.nodes.set(inode, node)
    return node
  }

  #node(inode: InodeNumber): Node {
    const node = this.nodes.get(inode)
    if (node === undefined) throw new FilesystemError('ESTALE')
    return node
  }

  #opened(handle: number): Node {
    const inode = this.#handles.get(handle)
    if (inode === undefined) throw new FilesystemError('EBADF')
    return this.#node(inode)
  }

  #open(inode: InodeNumber): number {
    this.#lastHandle += 1
    this.#handles.set(this.#lastHandle, inode)
    return this.#lastHandle
  }

  #attributes(node: Node): Attributes {
    return {
      inode: node.inode,
      mode: node.mode,
      linkCount: node.linkCount,
      uid: node.uid,
      gid: node.gid,
      deviceNumber: 0,
      sizeBytes: node.sizeBytes,
      blockCount: Math.ceil(node.sizeBytes / 512),
      accessTime: node.accessTime,
      modifyTime: node.modifyTime,
      changeTime: node.modifyTime,
    }
  }

  #entry(node: Node): Entry {
    node.references += 1
    return { attributes: this.#attributes(node), generation: 0 }
  }

  #create(parent: InodeNumber, name: ByteString, mode: number, caller: Caller): Node {
    const directory = this.#node(parent)
    if (directory.children.has(name)) throw new FilesystemError('EEXIST')
    this.#lastInode += 1
    const node = this.#add(mode & ~(caller.umask ?? 0), this.#lastInode, parent, caller)
    directory.children.set(name, node.inode)
    return node
  }

  #remove(parent: InodeNumber, name: ByteString): void {
    const directory = this.#node(parent)
    const inode = directory.children.get(name)
    if (inode === undefined) throw new FilesystemError('ENOENT')
    const node = this.#node(inode)
    if (node.children.size > 0) throw new FilesystemError('ENOTEMPTY')
    directory.children.delete(name)
    node.linkCount -= 1
  }

  #resize(node: Node, sizeBytes: number): void {
    if (sizeBytes > FILE_BYTES_MAX) throw new FilesystemError('EFBIG')
    if (sizeBytes > node.data.length) {
      const data = Buffer.alloc(sizeBytes * 2)
      node.data.copy(data, 0, 0, node.sizeBytes)
      node.data = data
    }
    if (sizeBytes < node.sizeBytes) node.data.fill(0, sizeBytes, node.sizeBytes)
    node.sizeBytes = sizeBytes
  }

  lookup(parent: InodeNumber, name: ByteString): Entry | undefined {
    const inode = this.#node(parent).children.get(name)
    return inode === undefined ? undefined : this.#entry(this.#node(inode))
  }

  forget(inode: InodeNumber, count: number): void {
    const node = this.nodes.get(inode)
    if (node !== undefined) node.references -= count
  }

  async getattr(inode: InodeNumber): Promise<Attributes> {
    return this.#attributes(this.#node(inode))
  }

  setattr(inode: InodeNumber, changes: AttributeChanges): Attributes {
    const node = this.#node(inode)
    if (changes.sizeBytes !== undefined) this.#resize(node, changes.sizeBytes)
    node.mode = (node.mode & S_IFMT) | ((changes.mode ?? node.mode) & 0o7777)
    node.uid = changes.uid ?? node.uid
    node.gid = changes.gid ?? node.gid
    const { accessTime, modifyTime } = changes
    if (accessTime !== undefined) node.accessTime = accessTime === 'now' ? now() : accessTime
    if (modifyTime !== undefined) node.modifyTime = modifyTime === 'now' ? now() : modifyTime
    return this.#attributes(node)
  }

  readlink(inode: InodeNumber): ByteString {
    return this.#node(inode).data.toString('latin1')
  }

  symlink(parent: InodeNumber, name: ByteString, target: ByteString, caller: Caller): Entry {
    const node = this.#create(parent, name, S_IFLNK | 0o777, caller)
    node.data = Buffer.from(target, 'latin1')
    node.sizeBytes = node.data.length
    return this.#entry(node)
  }

  mknod(
    parent: InodeNumber,
    name: ByteString,
    mode: number,
    _device: number,
    caller: Caller,
  ): Entry {
    return this.#entry(this.#create(parent, name, mode, caller))
  }

  async mkdir(parent: InodeNumber, name: ByteString, mode: number, caller: Caller): Promise<Entry> {
    return this.#entry(this.#create(parent, name, S_IFDIR | (mode & 0o7777), caller))
  }

  unlink(parent: InodeNumber, name: ByteString): void {
    this.#remove(parent, name)
  }

  async rmdir(parent: InodeNumber, name: ByteString): Promise<void> {
    this.#remove(parent, name)
  }

  rename(
    parent: InodeNumber,
    name: ByteString,
    newParent: InodeNumber,
    newName: ByteString,
    flags: RenameFlags,
  ): void {
    const from = this.#node(parent).children
    const to = this.#node(newParent).children
    const inode = from.get(name)
    const other = to.get(newName)
    if (inode === undefined) throw new FilesystemError('ENOENT')
    if (flags.noReplace && other !== undefined) throw new FilesystemError('EEXIST')
    if (flags.exchange && other === undefined) throw new FilesystemError('ENOENT')
    from.delete(name)
    to.set(newName, inode)
    this.#node(inode).parent = newParent
    if (flags.exchange && other !== undefined) from.set(name, other)
  }

  link(inode: InodeNumber, newParent: InodeNumber, newName: ByteString): Entry {
    const node = this.#node(inode)
    this.#node(newParent).children.set(newName, inode)
    node.linkCount += 1
    return this.#entry(node)
  }

  async open(inode: InodeNumber, flags: number): Promise<OpenedFile> {
    const node = this.#node(inode)
    if ((flags & O_TRUNC) !== 0) this.#resize(node, 0)
    return { handle: this.#open(inode), directIo: false, keepCache: true, isFlushed: true }
  }

  create(parent: InodeNumber, name: ByteString, mode: number, _flags: number, caller: Caller) {
    const node = this.#create(parent, name, S_IFREG | (mode & 0o7777), caller)
    const handle = this.#open(node.inode)
    const file = { handle, directIo: false, keepCache: false, isFlushed: true }
    return { entry: this.#entry(node), file }
  }

  async read(handle: number, offsetBytes: number, sizeBytes: number): Promise<ReadResult> {
    const node = this.#opened(handle)
    const end = Math.min(offsetBytes + sizeBytes, node.sizeBytes)
    const pieces: Uint8Array[] = []
    for (let start = offsetBytes; start < end; start += PIECE_BYTES) {
      pieces.push(node.data.subarray(start, Math.min(start + PIECE_BYTES, end)))
    }
    this.readsHeld += 1
    return {
      pieces,
      release: () => {
        this.readsHeld -= 1
      },
    }
  }

  async write(
    handle: number,
    offsetBytes: number,
    data: Uint8Array,
    _context: WriteContext,
  ): Promise<number> {
    // The data must stay right over a turn of the event loop.
    await new Promise(setImmediate)
    const node = this.#opened(handle)
    this.#resize(node, Math.max(node.sizeBytes, offsetBytes + data.length))
    node.data.set(data, offsetBytes)
    node.modifyTime = now()
    return data.length
  }

  flush(): void {
    // Nothing is buffered.
  }

  release(handle: number): void {
    this.#handles.delete(handle)
  }

  async fsync(handle: number): Promise<void> {
    this.#opened(handle)
  }

  fallocate(handle: number, offsetBytes: number, lengthBytes: number): void {
    const node = this.#opened(handle)
    this.#resize(node, Math.max(node.sizeBytes, offsetBytes + lengthBytes))
  }

  tmpfile(): never {
    throw new FilesystemError('EOPNOTSUPP')
  }

  async copyRange(): Promise<never> {
    throw new FilesystemError('EXDEV')
  }

  lseek(handle: number, offsetBytes: number, whence: number): number {
    const node = this.#opened(handle)
    if (offsetBytes >= node.sizeBytes) throw new FilesystemError('ENXIO')
    return whence === SEEK_DATA ? offsetBytes : node.sizeBytes
  }

  async readdir(inode: InodeNumber, cookie: number, countMax: number): Promise<DirectoryEntry[]> {
    const node = this.#node(inode)
    const all: DirectoryEntry[] = [
      { name: '.', inode: node.inode, type: S_IFDIR, cookie: 1 },
      { name: '..', inode: node.parent, type: S_IFDIR, cookie: 2 },
    ]
    for (const [name, child] of node.children) {
      const type = this.#node(child).mode & S_IFMT
      all.push({ name, inode: child, type, cookie: all.length + 1 })
    }
    return all.slice(cookie, cookie + countMax)
  }

  async fsyncdir(): Promise<void> {
    // Nothing is buffered.
  }

  statfs(): FilesystemStatistics {
    return {
      blockSizeBytes: 4096,
      totalBlocks: 1000,
      freeBlocks: 500,
      availableBlocks: 400,
      totalInodes: 100,
      freeInodes: 50,
      nameLengthMax: 255,
    }
  }

  setxattr(inode: InodeNumber, name: ByteString, value: Uint8Array): void {
    this.#node(inode).xattrs.set(name, value)
  }

  getxattr(inode: InodeNumber, name: ByteString): Uint8Array {
    const value = this.#node(inode).xattrs.get(name)
    if (value === undefined) throw new FilesystemError('ENODATA')
    return value
  }

  async listxattr(inode: InodeNumber): Promise<ByteString[]> {
    return [...this.#node(inode).xattrs.keys()]
  }

  removexattr(inode: InodeNumber, name: ByteString): void {
    if (!this.#node(inode).xattrs.delete(name)) throw new FilesystemError('ENODATA')
  }
}
