// Attributes: reading and changing them, and the rules by which times and privileges follow what is done to a file.

import { FilesystemError } from '../errors.ts'
import type { Contents } from './contents.ts'
import type { InodeTable } from './inode-table.ts'
import type { Inode } from './inode.ts'
import { PERMISSION_BITS, S_IFMT, S_ISGID, S_ISUID, S_IXGRP } from './linux.ts'
import { FILE_BYTES_MAX } from '../stream/index.ts'
import type { Reaper } from './reaper.ts'
import type { Successors } from './successors.ts'
import type { ByteString } from './types.ts'
import { ACCESS_ACL, aclAfterChmod, DEFAULT_ACL, isAcl, withAccessAcl } from './acl.ts'
import type { Xattrs } from './xattrs.ts'
import type { AttributeChanges, Attributes, InodeNumber, Timestamp } from './types.ts'

/** relatime's patience */
const ACCESS_TIME_AGE_SECONDS = 24 * 60 * 60

export interface AttributeParts {
  readonly table: InodeTable
  readonly contents: Contents
  readonly reaper: Reaper
  readonly xattrs: Xattrs
  readonly successors: Pick<Successors, 'rewritten'>
  readonly now: () => Timestamp
  readonly isReadOnly: () => boolean
}

export class AttributeOperations {
  readonly #parts: AttributeParts

  constructor(parts: AttributeParts) {
    this.#parts = parts
  }

  get(number: InodeNumber): Attributes {
    return this.#parts.table.get(number).attributes()
  }

  set(number: InodeNumber, changes: AttributeChanges): Attributes | Promise<Attributes> {
    const inode = this.#parts.table.get(number)
    if (changes.sizeBytes === undefined) return this.#apply(inode, changes)
    const waiting = this.truncate(inode, changes.sizeBytes)
    if (waiting === undefined) return this.#apply(inode, changes)
    return waiting.then(() => this.#apply(inode, changes))
  }

  /** @throws EISDIR, EINVAL, EFBIG; ENOSPC, EIO when data was lost of which nobody has heard, and the file is to grow */
  truncate(inode: Inode, sizeBytes: number): Promise<void> | undefined {
    if (inode.isDirectory) throw new FilesystemError('EISDIR')
    if (!inode.isRegular) throw new FilesystemError('EINVAL')
    if (sizeBytes > FILE_BYTES_MAX) throw new FilesystemError('EFBIG')
    const { contents } = this.#parts
    this.#hearFailure(inode, sizeBytes)
    inode.pins++
    const hasLost = sizeBytes < inode.sizeBytes
    const done = (): void => {
      contents.refresh(inode)
      if (hasLost) this.#parts.successors.rewritten(inode)
      this.modified(inode, false)
      this.unpin(inode)
    }
    let waiting: void | Promise<void>
    try {
      waiting = contents.use(inode).truncate(sizeBytes)
    } catch (error) {
      this.unpin(inode)
      throw error
    }
    if (waiting === undefined) {
      done()
      return undefined
    }
    return waiting.then(done, (error: unknown) => {
      this.unpin(inode)
      throw error
    })
  }

  /** Data that was lost would be filled up with zeros here; whoever empties the file doesn't want it. */
  #hearFailure({ failures, sizeBytes: bytesNow }: Inode, sizeBytes: number): void {
    if (failures === undefined || (sizeBytes > 0 && sizeBytes <= bytesNow)) return
    const failure = failures.since(failures.mark)
    if (failure !== undefined && sizeBytes > 0) throw failure
  }

  /** A handle or a waiting operation lets go of the inode. */
  unpin(inode: Inode): void {
    inode.pins--
    if (inode.pins > 0) return
    if (inode.linkCount === 0) void this.#parts.reaper.reapUnheld(inode)
    else this.#parts.contents.rest(inode)
  }

  /** The data has changed. */
  modified(inode: Inode, killPrivileges: boolean): void {
    const now = this.#parts.now()
    inode.modifyTime = now
    inode.changeTime = now
    if (killPrivileges) this.#dropPrivileges(inode)
    this.#parts.table.changed(inode)
  }

  /** Something beside the data has changed. */
  changed(inode: Inode): void {
    inode.changeTime = this.#parts.now()
    this.#parts.table.changed(inode)
  }

  /** relatime: noted when the last access is older than the last change, or than a day. */
  accessed(inode: Inode): void {
    const { accessTime, modifyTime, changeTime } = inode
    const now = this.#parts.now()
    const isDue =
      isNotAfter(accessTime, modifyTime) ||
      isNotAfter(accessTime, changeTime) ||
      now.seconds - accessTime.seconds >= ACCESS_TIME_AGE_SECONDS
    if (!isDue || this.#parts.isReadOnly()) return
    inode.accessTime = now
    this.#parts.table.changed(inode)
  }

  /**
   * @param dropsGroup the caller may not keep setgid: an access list was set by somebody outside of the file's group
   * @throws as Xattrs.set; EACCES for a default list on what is no directory
   */
  setXattr(
    inode: Inode,
    name: ByteString,
    value: Uint8Array,
    flags: number,
    dropsGroup: boolean,
  ): void {
    const { xattrs } = this.#parts
    if (name === DEFAULT_ACL && !inode.isDirectory) throw new FilesystemError('EACCES')
    if (name === ACCESS_ACL) {
      const { mode, acl } = withAccessAcl(inode.mode, value)
      if (acl === undefined) xattrs.drop(inode, name)
      else xattrs.set(inode, name, acl, flags)
      inode.mode = dropsGroup ? mode & ~S_ISGID : mode
    } else {
      xattrs.set(inode, name, value, flags)
    }
    this.changed(inode)
  }

  /** @throws ENODATA, except for access lists: to have none is what was wanted */
  removeXattr(inode: Inode, name: ByteString): void {
    if (isAcl(name)) this.#parts.xattrs.drop(inode, name)
    else this.#parts.xattrs.remove(inode, name)
    this.changed(inode)
  }

  #chmod(inode: Inode, mode: number): void {
    const { xattrs } = this.#parts
    const acl = xattrs.find(inode, ACCESS_ACL)
    if (acl !== undefined) xattrs.set(inode, ACCESS_ACL, aclAfterChmod(acl, mode), 0)
    inode.mode = (inode.mode & S_IFMT) | (mode & PERMISSION_BITS)
  }

  /** setgid without group execution means mandatory locking, not privileges: it stays */
  #dropPrivileges(inode: Inode): void {
    inode.mode &= ~S_ISUID
    if ((inode.mode & S_IXGRP) !== 0) inode.mode &= ~S_ISGID
    this.#parts.xattrs.dropCapabilities(inode)
  }

  #apply(inode: Inode, changes: AttributeChanges): Attributes {
    const now = this.#parts.now()
    const at = (time: Timestamp | 'now'): Timestamp => (time === 'now' ? now : time)
    // The kernel tells of chown(-1, -1), which changes nothing but the privileges, with no field at all.
    const isChown =
      changes.uid !== undefined || changes.gid !== undefined || Object.keys(changes).length === 0
    if (changes.killPrivileges === true || (isChown && !inode.isDirectory)) {
      this.#dropPrivileges(inode)
    }
    if (changes.mode !== undefined) this.#chmod(inode, changes.mode)
    if (changes.uid !== undefined) inode.uid = changes.uid
    if (changes.gid !== undefined) inode.gid = changes.gid
    if (changes.accessTime !== undefined) inode.accessTime = at(changes.accessTime)
    if (changes.modifyTime !== undefined) inode.modifyTime = at(changes.modifyTime)
    inode.changeTime = changes.changeTime ?? now
    this.#parts.table.changed(inode)
    return inode.attributes()
  }
}

function isNotAfter(a: Timestamp, b: Timestamp): boolean {
  return a.seconds < b.seconds || (a.seconds === b.seconds && a.nanoseconds <= b.nanoseconds)
}
