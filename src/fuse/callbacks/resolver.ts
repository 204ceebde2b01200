// From paths to inodes. The kernel's references, which a path-based package doesn't know, are taken and given back here: an
// inode is held exactly as long as the work on it takes, so that what is deleted meanwhile is let go in the end.

import { FilesystemError } from '../../errors.ts'
import type { Attributes, ByteString, FuseFilesystem, InodeNumber } from '../filesystem.ts'
import { ROOT_INODE } from '../protocol.ts'
import { pathNames } from './names.ts'

const S_IFMT = 0o170000
const S_IFDIR = 0o040000

/** Where a name is, or is to be. */
export interface Place {
  readonly parent: InodeNumber
  readonly name: ByteString
}

export class Resolver {
  readonly #filesystem: FuseFilesystem

  constructor(filesystem: FuseFilesystem) {
    this.#filesystem = filesystem
  }

  /** Does `work` on what the path names. @throws FilesystemError ENOENT, ENOTDIR, EILSEQ, ENAMETOOLONG */
  async withInode<T>(path: string, work: (inode: InodeNumber) => T | Promise<T>): Promise<T> {
    return this.#walk(ROOT_INODE, pathNames(path), 0, work)
  }

  /**
   * Does `work` in the directory that holds, or is to hold, the path's last name.
   * @throws FilesystemError EBUSY for the root, which has no name
   */
  async withPlace<T>(path: string, work: (place: Place) => T | Promise<T>): Promise<T> {
    const names = pathNames(path)
    const name = names.pop()
    if (name === undefined) throw new FilesystemError('EBUSY')
    return this.#walk(ROOT_INODE, names, 0, parent => work({ parent, name }))
  }

  /** The inode at a place, not held any more: for asking whose name it is. */
  async numberAt({ parent, name }: Place): Promise<InodeNumber | undefined> {
    const entry = await this.#filesystem.lookup(parent, name)
    if (entry === undefined) return undefined
    this.#filesystem.forget(entry.attributes.inode, 1)
    return entry.attributes.inode
  }

  async #walk<T>(
    from: InodeNumber,
    names: readonly ByteString[],
    index: number,
    work: (inode: InodeNumber) => T | Promise<T>,
  ): Promise<T> {
    const name = names[index]
    if (name === undefined) return work(from)
    const entry = await this.#filesystem.lookup(from, name)
    if (entry === undefined) throw new FilesystemError('ENOENT')
    const { attributes } = entry
    try {
      if (index + 1 < names.length && !isDirectory(attributes)) throw new FilesystemError('ENOTDIR')
      return await this.#walk(attributes.inode, names, index + 1, work)
    } finally {
      this.#filesystem.forget(attributes.inode, 1)
    }
  }
}

function isDirectory({ mode }: Attributes): boolean {
  return (mode & S_IFMT) === S_IFDIR
}
