// POSIX access control lists as the kernel hands them over in extended attributes. The kernel enforces them; the
// filesystem keeps them in step with the permission bits and lets new files inherit them.

import { Buffer } from 'node:buffer'
import { FilesystemError } from '../errors.ts'
import type { ByteString } from './types.ts'
import { bufferOf } from '../buffer-of.ts'

export const ACCESS_ACL: ByteString = 'system.posix_acl_access'
export const DEFAULT_ACL: ByteString = 'system.posix_acl_default'

const VERSION = 2
const HEADER_BYTES = 4
// 0 2 tag   2 2 permissions   4 4 uid or gid
const ENTRY_BYTES = 8

const USER_OBJ = 0x01
const USER = 0x02
const GROUP_OBJ = 0x04
const GROUP = 0x08
const MASK = 0x10
const OTHER = 0x20
const TAGS = new Set([USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER])

const RWX = 0o7
const ALL_PERMISSIONS = 0o777

interface AclEntry {
  readonly tag: number
  permissions: number
  readonly id: number
}

type Acl = readonly AclEntry[]

export function isAcl(name: ByteString): boolean {
  return name === ACCESS_ACL || name === DEFAULT_ACL
}

/** An access list, and the mode that goes with it. Without a list the mode says everything. */
export interface ModeWithAcl {
  readonly mode: number
  readonly acl: Uint8Array | undefined
}

/** The mode of a file whose access list is replaced. @throws EINVAL */
export function withAccessAcl(mode: number, value: Uint8Array): ModeWithAcl {
  const acl = parseAcl(value)
  const bits =
    (find(acl, USER_OBJ).permissions << 6) |
    (groupClass(acl).permissions << 3) |
    find(acl, OTHER).permissions
  return { mode: (mode & ~ALL_PERMISSIONS) | bits, acl: isPlain(acl) ? undefined : value }
}

/** The access list after a chmod. @throws EINVAL */
export function aclAfterChmod(value: Uint8Array, mode: number): Uint8Array {
  const acl = parseAcl(value)
  find(acl, USER_OBJ).permissions = (mode >>> 6) & RWX
  groupClass(acl).permissions = (mode >>> 3) & RWX
  find(acl, OTHER).permissions = mode & RWX
  return packAcl(acl)
}

/**
 * What a new file gets from its directory's default list: the list with what the creator didn't ask for taken away.
 * The umask counts only where there is no default list. @throws EINVAL
 */
export function inheritAcl(defaultAcl: Uint8Array, mode: number): ModeWithAcl {
  const acl = parseAcl(defaultAcl)
  let bits = mode
  const limit = (entry: AclEntry, shift: number): void => {
    entry.permissions &= (bits >>> shift) & RWX
    bits &= (entry.permissions << shift) | ~(RWX << shift)
  }
  limit(find(acl, USER_OBJ), 6)
  limit(groupClass(acl), 3)
  limit(find(acl, OTHER), 0)
  return { mode: bits, acl: isPlain(acl) ? undefined : packAcl(acl) }
}

/** what the mode's group bits stand for */
function groupClass(acl: Acl): AclEntry {
  return acl.find(({ tag }) => tag === MASK) ?? find(acl, GROUP_OBJ)
}

function find(acl: Acl, wanted: number): AclEntry {
  const entry = acl.find(({ tag }) => tag === wanted)
  if (entry === undefined) throw new FilesystemError('EINVAL', 'an access list without its owner')
  return entry
}

/** whether the mode's bits say as much */
function isPlain(acl: Acl): boolean {
  return acl.every(({ tag }) => tag === USER_OBJ || tag === GROUP_OBJ || tag === OTHER)
}

function parseAcl(value: Uint8Array): Acl {
  const bytes = bufferOf(value)
  const entriesBytes = bytes.length - HEADER_BYTES
  if (entriesBytes < 0 || entriesBytes % ENTRY_BYTES !== 0 || bytes.readUInt32LE(0) !== VERSION) {
    throw new FilesystemError('EINVAL', 'no access list')
  }
  const acl: AclEntry[] = []
  for (let at = HEADER_BYTES; at < bytes.length; at += ENTRY_BYTES) {
    const tag = bytes.readUInt16LE(at)
    const permissions = bytes.readUInt16LE(at + 2)
    if (!TAGS.has(tag) || permissions > RWX) throw new FilesystemError('EINVAL')
    acl.push({ tag, permissions, id: bytes.readUInt32LE(at + 4) })
  }
  return acl
}

function packAcl(acl: Acl): Uint8Array {
  const bytes = Buffer.alloc(HEADER_BYTES + acl.length * ENTRY_BYTES)
  bytes.writeUInt32LE(VERSION, 0)
  for (const [index, { tag, permissions, id }] of acl.entries()) {
    const at = HEADER_BYTES + index * ENTRY_BYTES
    bytes.writeUInt16LE(tag, at)
    bytes.writeUInt16LE(permissions, at + 2)
    bytes.writeUInt32LE(id, at + 4)
  }
  return bytes
}
