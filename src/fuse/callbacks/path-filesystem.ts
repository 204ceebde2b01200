// A filesystem by paths and open files, as libfuse's callbacks want it, on top of one by inodes. Knows no package.

import { FilesystemError } from '../../errors.ts'
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
  RenameFlags,
} from '../filesystem.ts'
import { HiddenNames } from './hidden-names.ts'
import { toBytes } from './names.ts'
import { OpenHandles } from './open-handles.ts'
import { Resolver, type Place } from './resolver.ts'

const O_TRUNC = 0o1000
const O_APPEND = 0o2000
const S_IFMT = 0o170000
const S_IFDIR = 0o040000
/** "." and ".." */
const DOTS = 2

/** What a call works on: an open file where the package tells it, otherwise a path. */
export interface Target {
  /** null: the file is known by its handle alone */
  readonly path: string | null
  /** 0 = none */
  readonly number: number
}

export class PathFilesystem {
  readonly #filesystem: FuseFilesystem
  readonly #resolver: Resolver
  readonly #handles = new OpenHandles()
  readonly #hidden = new HiddenNames()

  constructor(filesystem: FuseFilesystem) {
    this.#filesystem = filesystem
    this.#resolver = new Resolver(filesystem)
  }

  /** files and directories that are open */
  get openCount(): number {
    return this.#handles.size
  }

  /** The mount is gone, and with it whoever had files open: those that were deleted go now. */
  async end(caller: Caller): Promise<void> {
    for (const each of this.#hidden.list()) await this.#unlinkHidden(each, each.inode, caller)
  }

  // ---- attributes

  getattr(target: Target): Promise<Attributes> {
    return this.#withTarget(target, async inode =>
      this.#shown(await this.#filesystem.getattr(inode), target.path),
    )
  }

  async setattr(target: Target, changes: AttributeChanges, caller: Caller): Promise<void> {
    await this.#withTarget(target, inode => this.#filesystem.setattr(inode, changes, caller))
  }

  statfs(path: string): Promise<FilesystemStatistics> {
    return this.#resolver.withInode(path, inode => this.#filesystem.statfs(inode))
  }

  getxattr(path: string, name: string): Promise<Uint8Array> {
    return this.#resolver.withInode(path, inode => this.#filesystem.getxattr(inode, toBytes(name)))
  }

  setxattr(path: string, name: string, value: Uint8Array, flags: number): Promise<void> {
    return this.#resolver.withInode(path, inode =>
      this.#filesystem.setxattr(inode, toBytes(name), value, flags, false),
    )
  }

  listxattr(path: string, caller: Caller): Promise<readonly ByteString[]> {
    return this.#resolver.withInode(path, inode => this.#filesystem.listxattr(inode, caller))
  }

  removexattr(path: string, name: string): Promise<void> {
    return this.#resolver.withInode(path, inode =>
      this.#filesystem.removexattr(inode, toBytes(name)),
    )
  }

  // ---- names

  readlink(path: string): Promise<ByteString> {
    return this.#resolver.withInode(path, inode => this.#filesystem.readlink(inode))
  }

  symlink(target: string, path: string, caller: Caller): Promise<void> {
    return this.#make(path, ({ parent, name }) =>
      this.#filesystem.symlink(parent, name, toBytes(target), caller),
    )
  }

  mknod(path: string, mode: number, deviceNumber: number, caller: Caller): Promise<void> {
    return this.#make(path, ({ parent, name }) =>
      this.#filesystem.mknod(parent, name, mode, deviceNumber, caller),
    )
  }

  mkdir(path: string, mode: number, caller: Caller): Promise<void> {
    return this.#make(path, ({ parent, name }) =>
      this.#filesystem.mkdir(parent, name, mode, caller),
    )
  }

  link(path: string, newPath: string, caller: Caller): Promise<void> {
    return this.#resolver.withInode(path, inode =>
      this.#make(newPath, ({ parent, name }) => this.#filesystem.link(inode, parent, name, caller)),
    )
  }

  unlink(path: string, caller: Caller): Promise<void> {
    return this.#resolver.withPlace(path, async place => {
      const { parent, name } = place
      const inode = await this.#resolver.numberAt(place)
      if (inode === undefined || !this.#hidden.isHiddenEntry(parent, name, inode)) {
        await this.#filesystem.unlink(parent, name, caller)
      } else {
        await this.#unlinkHidden(place, inode, caller)
      }
    })
  }

  rmdir(path: string, caller: Caller): Promise<void> {
    return this.#resolver.withPlace(path, async place => {
      await this.#uncover(place, caller)
      await this.#filesystem.rmdir(place.parent, place.name, caller)
    })
  }

  rename(path: string, newPath: string, flags: RenameFlags, caller: Caller): Promise<void> {
    return this.#resolver.withPlace(path, from =>
      this.#resolver.withPlace(newPath, async to => {
        const inode = await this.#resolver.numberAt(from)
        if (!flags.noReplace && !flags.exchange) await this.#uncover(to, caller)
        await this.#filesystem.rename(from.parent, from.name, to.parent, to.name, flags, caller)
        if (inode === undefined) return
        const isHiding = this.#hidden.isHiding(from, to) && this.#handles.isOpen(inode)
        if (isHiding) this.#hidden.add(inode, to)
        else if (this.#hidden.isHiddenEntry(from.parent, from.name, inode)) {
          this.#hidden.remove(inode)
        }
      }),
    )
  }

  // ---- open files

  /**
   * The kernel's page cache serves every handle, whatever the filesystem would like: only our own device layer can have
   * files mapped that bypass it. @returns the open file's number
   */
  open(path: string, flags: number, caller: Caller): Promise<number> {
    return this.#resolver.withInode(path, async inode => {
      const { handle } = await this.#filesystem.open(inode, flags, caller)
      // Setuid and setgid: the one place where the kernel clears them neither itself nor tells us to.
      if ((flags & O_TRUNC) !== 0 && caller.uid !== 0) {
        try {
          await this.#filesystem.setattr(inode, { killPrivileges: true }, caller)
        } catch (error) {
          await this.#filesystem.release(handle)
          throw error
        }
      }
      return this.#handles.add({ handle, inode, flags, isDirectory: false })
    })
  }

  create(path: string, mode: number, flags: number, caller: Caller): Promise<number> {
    return this.#resolver.withPlace(path, async ({ parent, name }) => {
      const made = await this.#filesystem.create(parent, name, mode, flags, caller)
      const { inode } = made.entry.attributes
      const { handle } = made.file
      // The handle keeps the inode.
      this.#filesystem.forget(inode, 1)
      return this.#handles.add({ handle, inode, flags, isDirectory: false })
    })
  }

  /** Fills `buffer` from its start. @returns bytes read */
  async read(number: number, buffer: Uint8Array, offsetBytes: number): Promise<number> {
    const { handle } = this.#handles.get(number)
    const result = await this.#filesystem.read(handle, offsetBytes, buffer.length)
    try {
      let readBytes = 0
      for (const piece of result.pieces) {
        buffer.set(piece, readBytes)
        readBytes += piece.length
      }
      return readBytes
    } finally {
      result.release()
    }
  }

  /** `data` must stay as it is until the promise settles. @returns bytes written */
  async write(number: number, data: Uint8Array, offsetBytes: number): Promise<number> {
    const { handle, flags } = this.#handles.get(number)
    // Setuid and setgid are the kernel's to clear, as libfuse hasn't agreed with it on anything else; and it knows where
    // to append.
    const context = { killPrivileges: false, flags: flags & ~O_APPEND }
    return this.#filesystem.write(handle, offsetBytes, data, context)
  }

  async flush(number: number): Promise<void> {
    await this.#filesystem.flush(this.#handles.get(number).handle)
  }

  async release(number: number): Promise<void> {
    const { handle, isDirectory } = this.#handles.remove(number)
    if (!isDirectory) await this.#filesystem.release(handle)
  }

  async fsync(number: number, dataOnly: boolean): Promise<void> {
    const { handle, inode, isDirectory } = this.#handles.get(number)
    if (isDirectory) await this.#filesystem.fsyncdir(inode, dataOnly)
    else await this.#filesystem.fsync(handle, dataOnly)
  }

  async fallocate(
    number: number,
    offsetBytes: number,
    lengthBytes: number,
    mode: number,
    caller: Caller,
  ): Promise<void> {
    const { handle } = this.#handles.get(number)
    await this.#filesystem.fallocate(handle, offsetBytes, lengthBytes, mode, caller)
  }

  /** @returns bytes copied */
  async copyRange(
    source: number,
    sourceOffsetBytes: number,
    target: number,
    targetOffsetBytes: number,
    lengthBytes: number,
    caller: Caller,
  ): Promise<number> {
    const from = this.#handles.get(source).handle
    const to = this.#handles.get(target).handle
    const [at, newAt] = [sourceOffsetBytes, targetOffsetBytes]
    return this.#filesystem.copyRange(from, at, to, newAt, lengthBytes, caller)
  }

  async lseek(number: number, offsetBytes: number, whence: number): Promise<number> {
    return this.#filesystem.lseek(this.#handles.get(number).handle, offsetBytes, whence)
  }

  // ---- open directories

  opendir(path: string): Promise<number> {
    return this.#resolver.withInode(path, inode =>
      this.#handles.add({ handle: 0, inode, flags: 0, isDirectory: true }),
    )
  }

  /** Entries after `cookie`, without those that are hidden; empty = the end. */
  async readdir(number: number, cookie: number, countMax: number): Promise<DirectoryEntry[]> {
    const { inode: parent } = this.#handles.get(number)
    let from = cookie
    for (;;) {
      const entries = await this.#filesystem.readdir(parent, from, countMax, false)
      const shown = entries.filter(
        ({ name, inode }) => !this.#hidden.isHiddenEntry(parent, name, inode),
      )
      if (shown.length > 0 || entries.length === 0) return shown
      // None of them may be seen: the end is somewhere else.
      from = entries.at(-1)?.cookie ?? from
    }
  }

  // ---- what is shared

  async #withTarget<T>(
    { path, number }: Target,
    work: (inode: InodeNumber) => T | Promise<T>,
  ): Promise<T> {
    if (number !== 0) return work(this.#handles.get(number).inode)
    if (path === null) throw new FilesystemError('EBADF')
    return this.#resolver.withInode(path, work)
  }

  /** A name that nobody may see is no link. Of what is asked for by that name libfuse takes it away itself. */
  #shown(attributes: Attributes, path: string | null): Attributes {
    if (!this.#hidden.has(attributes.inode)) return attributes
    if (path !== null && this.#hidden.isNamedBy(attributes.inode, path)) return attributes
    return { ...attributes, linkCount: attributes.linkCount - 1 }
  }

  async #make(path: string, make: (place: Place) => Entry | Promise<Entry>): Promise<void> {
    await this.#resolver.withPlace(path, async place => {
      const entry = await make(place)
      this.#filesystem.forget(entry.attributes.inode, 1)
    })
  }

  /** A directory that is to go may hold files that are deleted already: now they lose their last name. */
  async #uncover(place: Place, caller: Caller): Promise<void> {
    const entry = await this.#filesystem.lookup(place.parent, place.name)
    if (entry === undefined) return
    const { inode, mode } = entry.attributes
    this.#filesystem.forget(inode, 1)
    if ((mode & S_IFMT) !== S_IFDIR) return
    const hidden = this.#hidden.list(inode)
    if (hidden.length === 0) return
    const entries = await this.#filesystem.readdir(inode, 0, hidden.length + DOTS + 1, false)
    if (entries.length > hidden.length + DOTS) return
    for (const each of hidden) await this.#unlinkHidden(each, each.inode, caller)
  }

  /** The directory changed when the name was hidden; now it looks as if nothing were done to it. */
  async #unlinkHidden({ parent, name }: Place, inode: InodeNumber, caller: Caller): Promise<void> {
    const { modifyTime, changeTime } = await this.#filesystem.getattr(parent)
    await this.#filesystem.unlink(parent, name, caller)
    this.#hidden.remove(inode)
    await this.#filesystem.setattr(parent, { modifyTime, changeTime }, caller)
  }
}
