// Extended attributes: one record per inode that has any.

import { FilesystemError } from '../errors.ts'
import type { MetadataReader, MetadataWriter } from '../metadata/contract.ts'
import { inodeKey, TABLE } from '../metadata/keys.ts'
import { isAcl } from './acl.ts'
import type { Inode } from './inode.ts'
import { NAME_BYTES_MAX, XATTR_CREATE, XATTR_REPLACE } from './linux.ts'
import { Overlay } from './overlay.ts'
import {
  decodeXattrs,
  encodeXattrs,
  xattrRecordBytes,
  type XattrMap,
} from './records/xattr-record.ts'
import type { ByteString, InodeNumber } from './types.ts'

/** XATTR_SIZE_MAX of Linux */
const VALUE_BYTES_MAX = 64 * 1024
/** all of an inode's attributes: they are one record, rewritten as a whole */
const RECORD_BYTES_MAX = 1024 * 1024
/** Who may use which of them, and on which files, is checked by the kernel. */
const NAMESPACES = ['user.', 'trusted.', 'security.']
const CAPABILITY = 'security.capability'

const NONE: XattrMap = new Map()

export class Xattrs {
  readonly #metadata: MetadataReader
  readonly #changes = new Overlay<InodeNumber, XattrMap>()

  constructor(metadata: MetadataReader) {
    this.#metadata = metadata
  }

  /** @throws EEXIST, ENODATA, E2BIG, ENOSPC, ERANGE, EOPNOTSUPP. The caller marks the inode as changed. */
  set(inode: Inode, name: ByteString, value: Uint8Array, flags: number): void {
    checkName(name)
    if (value.length > VALUE_BYTES_MAX) throw new FilesystemError('E2BIG')
    const old = this.#all(inode)
    if ((flags & XATTR_CREATE) !== 0 && old.has(name)) throw new FilesystemError('EEXIST')
    if ((flags & XATTR_REPLACE) !== 0 && !old.has(name)) throw new FilesystemError('ENODATA')
    // a copy of the value: the caller's bytes lie in a request
    const changed = new Map(old).set(name, new Uint8Array(value))
    if (xattrRecordBytes(changed) > RECORD_BYTES_MAX) throw new FilesystemError('ENOSPC')
    this.#replace(inode, changed)
  }

  /** @throws ENODATA, EOPNOTSUPP */
  get(inode: Inode, name: ByteString): Uint8Array {
    checkName(name)
    const value = this.#all(inode).get(name)
    if (value === undefined) throw new FilesystemError('ENODATA')
    return value
  }

  list(inode: Inode): readonly ByteString[] {
    return [...this.#all(inode).keys()]
  }

  /** @throws ENODATA, EOPNOTSUPP. The caller marks the inode as changed. */
  remove(inode: Inode, name: ByteString): void {
    checkName(name)
    const changed = new Map(this.#all(inode))
    if (!changed.delete(name)) throw new FilesystemError('ENODATA')
    this.#replace(inode, changed)
  }

  /** The same where the attribute need not be there. @returns whether it was */
  drop(inode: Inode, name: ByteString): boolean {
    const all = this.#all(inode)
    if (!all.has(name)) return false
    const changed = new Map(all)
    changed.delete(name)
    this.#replace(inode, changed)
    return true
  }

  /** @returns the value, if there is one */
  find(inode: Inode, name: ByteString): Uint8Array | undefined {
    return this.#all(inode).get(name)
  }

  /** A file that somebody has written to, or given away, has no capabilities any more. */
  dropCapabilities(inode: Inode): void {
    if (inode.hasXattrs) this.drop(inode, CAPABILITY)
  }

  /** the inode itself goes */
  discard(inode: Inode): void {
    if (inode.hasXattrs) this.#replace(inode, NONE)
  }

  collect(batch: MetadataWriter): void {
    this.#changes.collect((inode, xattrs) => {
      const key = inodeKey(TABLE.xattr, inode)
      if (xattrs === null) batch.delete(key)
      else batch.put(key, encodeXattrs(xattrs))
    })
  }

  settled(): void {
    this.#changes.settled()
  }

  #all(inode: Inode): XattrMap {
    if (!inode.hasXattrs) return NONE
    const change = this.#changes.get(inode.number)
    if (change !== undefined) return change ?? NONE
    const record = this.#metadata.get(inodeKey(TABLE.xattr, inode.number))
    return record === undefined ? NONE : decodeXattrs(record, inode.number)
  }

  #replace(inode: Inode, xattrs: XattrMap): void {
    this.#changes.set(inode.number, xattrs.size === 0 ? null : xattrs)
    inode.hasXattrs = xattrs.size > 0
  }
}

function checkName(name: ByteString): void {
  if (name.length > NAME_BYTES_MAX) throw new FilesystemError('ERANGE')
  if (isAcl(name)) return
  const namespace = NAMESPACES.find(prefix => name.startsWith(prefix))
  if (namespace === undefined) throw new FilesystemError('EOPNOTSUPP')
  if (name.length === namespace.length) throw new FilesystemError('EINVAL')
}
