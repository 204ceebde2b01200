// The operations on names: every one is synchronous, so it happens as a whole or not at all, and a commit never sees
// half of it.

import { FilesystemError } from '../errors.ts'
import { ACCESS_ACL, DEFAULT_ACL, inheritAcl } from './acl.ts'
import type { Containers } from './containers.ts'
import type { Dentries } from './dentries.ts'
import { ROOT_INODE, type InodeTable } from './inode-table.ts'
import type { Inode } from './inode.ts'
import {
  NAME_BYTES_MAX,
  PERMISSION_BITS,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  S_ISGID,
  SYMLINK_BYTES_MAX,
} from './linux.ts'
import type { Reaper } from './reaper.ts'
import type { Successors } from './successors.ts'
import type { ByteString, Caller, InodeNumber, RenameFlags, Timestamp } from './types.ts'
import type { Xattrs } from './xattrs.ts'

/** what the record's field can count, and far beyond ext4's 65,000 */
const LINKS_MAX = 2 ** 31
/** numbers are never used twice, so one generation is enough */
const GENERATION = 1
const NODE_TYPES = new Set([S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK])
const SYMLINK_PERMISSIONS = 0o777
const ROOT_CALLER: Caller = { uid: 0, gid: 0, pid: 0 }

export interface NamespaceParts {
  readonly table: InodeTable
  readonly dentries: Dentries
  readonly containers: Containers
  readonly xattrs: Xattrs
  readonly reaper: Reaper
  readonly successors: Pick<Successors, 'renamed'>
  readonly now: () => Timestamp
}

/** What a new inode is, beside its place. */
interface NewInode {
  readonly mode: number
  readonly caller: Caller
  readonly deviceNumber?: number
  readonly target?: ByteString
}

export class Namespace {
  readonly #table: InodeTable
  readonly #dentries: Dentries
  readonly #containers: Containers
  readonly #xattrs: Xattrs
  readonly #reaper: Reaper
  readonly #successors: Pick<Successors, 'renamed'>
  readonly #now: () => Timestamp

  constructor(parts: NamespaceParts) {
    this.#table = parts.table
    this.#dentries = parts.dentries
    this.#containers = parts.containers
    this.#xattrs = parts.xattrs
    this.#reaper = parts.reaper
    this.#successors = parts.successors
    this.#now = parts.now
  }

  lookup(parent: InodeNumber, name: ByteString): Inode | undefined {
    // "." and ".." are asked for by an NFS server that finds its way back to an inode, the former of any kind of file
    if (name === '.') return this.#table.get(parent)
    const directory = this.directory(parent)
    if (name === '..') return this.#table.get(directory.parent)
    if (name.length > NAME_BYTES_MAX) throw new FilesystemError('ENAMETOOLONG')
    const dentry = this.#dentries.find(parent, name)
    return dentry === undefined ? undefined : this.#table.get(dentry.inode)
  }

  /** @throws ENOENT, ENOTDIR */
  directory(number: InodeNumber): Inode {
    const inode = this.#table.get(number)
    if (!inode.isDirectory) throw new FilesystemError('ENOTDIR')
    return inode
  }

  create(parent: InodeNumber, name: ByteString, mode: number, caller: Caller): Inode {
    return this.#make(parent, name, { mode: S_IFREG | (mode & PERMISSION_BITS), caller })
  }

  /** A file without a name; it goes when it is let go, unless `link` has given it one. */
  nameless(parent: InodeNumber, mode: number, caller: Caller): Inode {
    const directory = this.#writableDirectory(parent)
    const inode = this.#makeInode(directory, { mode: S_IFREG | (mode & PERMISSION_BITS), caller })
    inode.linkCount = 0
    inode.isNameless = true
    this.#reaper.nameless(inode)
    return inode
  }

  mknod(
    parent: InodeNumber,
    name: ByteString,
    mode: number,
    deviceNumber: number,
    caller: Caller,
  ): Inode {
    const type = mode & S_IFMT || S_IFREG
    if (!NODE_TYPES.has(type)) throw new FilesystemError('EINVAL')
    const full = type | (mode & PERMISSION_BITS)
    return this.#make(parent, name, { mode: full, caller, deviceNumber })
  }

  mkdir(parent: InodeNumber, name: ByteString, mode: number, caller: Caller): Inode {
    return this.#make(parent, name, { mode: S_IFDIR | (mode & PERMISSION_BITS), caller })
  }

  symlink(parent: InodeNumber, name: ByteString, target: ByteString, caller: Caller): Inode {
    if (target.length > SYMLINK_BYTES_MAX) throw new FilesystemError('ENAMETOOLONG')
    if (target.length === 0) throw new FilesystemError('ENOENT')
    return this.#make(parent, name, { mode: S_IFLNK | SYMLINK_PERMISSIONS, caller, target })
  }

  link(number: InodeNumber, newParent: InodeNumber, newName: ByteString): Inode {
    const directory = this.#writableDirectory(newParent)
    checkName(newName)
    const inode = this.#table.get(number)
    if (inode.isDirectory) throw new FilesystemError('EPERM')
    if (inode.container !== directory.container) throw new FilesystemError('EXDEV')
    const { isNameless } = inode
    if (inode.linkCount === 0 && !isNameless) throw new FilesystemError('ENOENT')
    if (inode.linkCount >= LINKS_MAX) throw new FilesystemError('EMLINK')
    if (this.#dentries.find(newParent, newName) !== undefined) throw new FilesystemError('EEXIST')
    const now = this.#now()
    if (isNameless) {
      inode.isNameless = false
      this.#reaper.adopted(inode)
      this.#containers.account(inode.container, inode.sizeBytes, 1)
    }
    inode.linkCount++
    this.#enter(directory, newName, inode, now)
    return inode
  }

  unlink(parent: InodeNumber, name: ByteString): void {
    const directory = this.#writableDirectory(parent)
    const inode = this.#existing(directory, name)
    if (inode.isDirectory) throw new FilesystemError('EISDIR')
    // The reaper reports its own failures.
    void this.#leave(directory, name, inode, this.#now())
  }

  rmdir(parent: InodeNumber, name: ByteString): void {
    const directory = this.#writableDirectory(parent)
    if (name === '.') throw new FilesystemError('EINVAL')
    if (name === '..') throw new FilesystemError('ENOTEMPTY')
    const inode = this.#existing(directory, name)
    if (!inode.isDirectory) throw new FilesystemError('ENOTDIR')
    if (inode.childCount > 0) throw new FilesystemError('ENOTEMPTY')
    // The reaper reports its own failures.
    void this.#leave(directory, name, inode, this.#now())
  }

  rename(
    parent: InodeNumber,
    name: ByteString,
    newParent: InodeNumber,
    newName: ByteString,
    flags: RenameFlags,
    caller?: Caller,
  ): void {
    const from = this.#writableDirectory(parent)
    const to = this.#writableDirectory(newParent)
    checkName(name)
    checkName(newName)
    const leavesWhiteout = flags.whiteout === true
    if (flags.exchange && (flags.noReplace || leavesWhiteout)) throw new FilesystemError('EINVAL')
    if (from.container !== to.container) throw new FilesystemError('EXDEV')
    const source = this.#existing(from, name)
    if (this.#isWithin(to, source)) throw new FilesystemError('EINVAL')
    const dentry = this.#dentries.find(newParent, newName)
    if (dentry === undefined) {
      if (flags.exchange) throw new FilesystemError('ENOENT')
      this.#move(from, name, to, newName, source, this.#now())
      if (leavesWhiteout) this.#whiteOut(from, name, caller)
      return
    }
    if (flags.noReplace) throw new FilesystemError('EEXIST')
    // two names of one file: POSIX wants nothing to happen
    if (dentry.inode === source.number) return
    const victim = this.#table.get(dentry.inode)
    if (flags.exchange) this.#exchange(from, name, source, to, newName, victim)
    else this.#replace(from, name, source, to, newName, victim)
    if (leavesWhiteout) this.#whiteOut(from, name, caller)
  }

  /** Takes a name out of its directory, as unlink and rmdir do, without their checks. */
  remove(directory: Inode, name: ByteString, inode: Inode): Promise<void> | undefined {
    return this.#leave(directory, name, inode, this.#now())
  }

  #replace(
    from: Inode,
    name: ByteString,
    source: Inode,
    to: Inode,
    newName: ByteString,
    victim: Inode,
  ): void {
    if (source.isDirectory && !victim.isDirectory) throw new FilesystemError('ENOTDIR')
    if (!source.isDirectory && victim.isDirectory) throw new FilesystemError('EISDIR')
    if (victim.childCount > 0) throw new FilesystemError('ENOTEMPTY')
    const now = this.#now()
    // The reaper reports its own failures.
    void this.#leave(to, newName, victim, now)
    this.#move(from, name, to, newName, source, now)
    this.#successors.renamed(source)
  }

  /** A device 0:0, which says "nothing here" to a union filesystem. */
  #whiteOut(directory: Inode, name: ByteString, caller: Caller = ROOT_CALLER): void {
    this.#make(directory.number, name, { mode: S_IFCHR, caller })
  }

  #exchange(
    from: Inode,
    name: ByteString,
    source: Inode,
    to: Inode,
    newName: ByteString,
    victim: Inode,
  ): void {
    if (this.#isWithin(from, victim)) throw new FilesystemError('EINVAL')
    const now = this.#now()
    this.#detach(from, name, source, now)
    this.#detach(to, newName, victim, now)
    this.#enter(to, newName, source, now)
    this.#enter(from, name, victim, now)
  }

  #move(
    from: Inode,
    name: ByteString,
    to: Inode,
    newName: ByteString,
    inode: Inode,
    now: Timestamp,
  ): void {
    this.#detach(from, name, inode, now)
    this.#enter(to, newName, inode, now)
  }

  #make(parent: InodeNumber, name: ByteString, what: NewInode): Inode {
    const directory = this.#writableDirectory(parent)
    checkName(name)
    if (this.#dentries.find(parent, name) !== undefined) throw new FilesystemError('EEXIST')
    const isDirectory = (what.mode & S_IFMT) === S_IFDIR
    if (isDirectory && directory.linkCount >= LINKS_MAX) throw new FilesystemError('EMLINK')
    const inode = this.#makeInode(directory, what)
    this.#enter(directory, name, inode, inode.birthTime)
    if (!isDirectory) this.#containers.account(inode.container, 0, 1)
    return inode
  }

  #makeInode(directory: Inode, what: NewInode): Inode {
    const isDirectory = (what.mode & S_IFMT) === S_IFDIR
    const inheritsGroup = (directory.mode & S_ISGID) !== 0
    const { caller } = what
    const isSymlink = (what.mode & S_IFMT) === S_IFLNK
    const defaults = isSymlink ? undefined : this.#xattrs.find(directory, DEFAULT_ACL)
    const { mode, acl } =
      defaults === undefined
        ? { mode: isSymlink ? what.mode : what.mode & ~(caller.umask ?? 0), acl: undefined }
        : inheritAcl(defaults, what.mode)
    const now = this.#now()
    const inode = this.#table.create({
      mode: inheritsGroup && isDirectory ? mode | S_ISGID : mode,
      uid: caller.uid,
      gid: inheritsGroup ? directory.gid : caller.gid,
      linkCount: isDirectory ? 2 : 1,
      generation: GENERATION,
      sizeBytes: what.target?.length ?? 0,
      mappedBytes: 0,
      deviceNumber: what.deviceNumber ?? 0,
      container: directory.container,
      parent: 0,
      childCount: 0,
      hasXattrs: false,
      accessTime: now,
      modifyTime: now,
      changeTime: now,
      birthTime: now,
      target: what.target ?? '',
    })
    if (acl !== undefined) this.#xattrs.set(inode, ACCESS_ACL, acl, 0)
    if (defaults !== undefined && isDirectory) this.#xattrs.set(inode, DEFAULT_ACL, defaults, 0)
    return inode
  }

  /** Puts a name into a directory. The inode's own link count is the caller's. */
  #enter(directory: Inode, name: ByteString, inode: Inode, now: Timestamp): void {
    this.#dentries.set(directory.number, name, { inode: inode.number, type: inode.type })
    directory.childCount++
    if (inode.isDirectory) {
      directory.linkCount++
      inode.parent = directory.number
    }
    inode.changeTime = now
    this.#table.changed(inode)
    this.#entriesChanged(directory, now)
  }

  #detach(directory: Inode, name: ByteString, inode: Inode, now: Timestamp): void {
    this.#dentries.remove(directory.number, name)
    directory.childCount--
    if (inode.isDirectory) directory.linkCount--
    this.#entriesChanged(directory, now)
  }

  /** A name goes for good, and with the last one the inode. */
  #leave(
    directory: Inode,
    name: ByteString,
    inode: Inode,
    now: Timestamp,
  ): Promise<void> | undefined {
    this.#detach(directory, name, inode, now)
    inode.linkCount = inode.isDirectory ? 0 : inode.linkCount - 1
    inode.changeTime = now
    this.#table.changed(inode)
    if (inode.linkCount > 0) return undefined
    if (!inode.isDirectory) {
      this.#containers.account(inode.container, inode.isRegular ? -inode.sizeBytes : 0, -1)
    }
    return this.#reaper.orphaned(inode)
  }

  #entriesChanged(directory: Inode, now: Timestamp): void {
    directory.modifyTime = now
    directory.changeTime = now
    this.#table.changed(directory)
  }

  /** @throws EPERM for the root, whose entries are containers; ENOENT for what is on its way out */
  #writableDirectory(number: InodeNumber): Inode {
    const directory = this.directory(number)
    if (number === ROOT_INODE) {
      throw new FilesystemError('EPERM', 'Only containers live at the top of the mount.')
    }
    if (directory.linkCount === 0) throw new FilesystemError('ENOENT')
    if (this.#containers.isDeleting(directory.container)) throw new FilesystemError('ENOENT')
    return directory
  }

  #existing(directory: Inode, name: ByteString): Inode {
    checkName(name)
    const dentry = this.#dentries.find(directory.number, name)
    if (dentry === undefined) throw new FilesystemError('ENOENT')
    return this.#table.get(dentry.inode)
  }

  /** whether `directory` is `ancestor` or lies below it */
  #isWithin(directory: Inode, ancestor: Inode): boolean {
    if (!ancestor.isDirectory) return false
    for (let at = directory; ; at = this.#table.get(at.parent)) {
      if (at === ancestor) return true
      if (at.number === ROOT_INODE) return false
    }
  }
}

function checkName(name: ByteString): void {
  if (name.length > NAME_BYTES_MAX) throw new FilesystemError('ENAMETOOLONG')
  if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name)) {
    throw new FilesystemError('EINVAL')
  }
}
