// The record of one name in a directory, at key D parent(8) hash(8) name: entries lie in the order of their hashes,
// and the hash is the cookie with which a listing goes on.

import { StoreError } from '../../errors.ts'
import { inodeKey, TABLE } from '../../metadata/keys.ts'
import type { ByteString, InodeNumber } from '../types.ts'
import { RecordReader, RecordWriter } from './binary.ts'
import { bufferOf } from '../../buffer-of.ts'

const VERSION = 1
const RECORD_BYTES = 1 + 8 + 4
const HASH_AT = 9
const NAME_AT = 17
const WORD = 2 ** 32
/** a hash is a listing's cookie, and must stay an exact number */
const HASH_HIGH_MAX = 2 ** 21 - 1

export interface Dentry {
  readonly inode: InodeNumber
  /** the S_IFMT bits */
  readonly type: number
}

export function encodeDentry(dentry: Dentry): Uint8Array {
  const record = new RecordWriter(RECORD_BYTES, VERSION)
  record.i64(dentry.inode)
  record.u32(dentry.type)
  return record.finish()
}

/** @throws StoreError */
export function decodeDentry(bytes: Uint8Array, parent: InodeNumber): Dentry {
  const record = new RecordReader(bytes, VERSION, `record of a name in directory ${parent}`)
  const dentry = { inode: record.natural(), type: record.u32() }
  record.end()
  return dentry
}

/** With an empty name: the first key of all names with that hash or a greater one. */
export function dentryKey(parent: InodeNumber, hash: number, name: ByteString): Buffer {
  const key = inodeKey(TABLE.dentry, parent, 8 + name.length)
  key.writeUInt32BE(Math.floor(hash / WORD), HASH_AT)
  key.writeUInt32BE(hash % WORD, HASH_AT + 4)
  key.write(name, NAME_AT, 'latin1')
  return key
}

/** @throws StoreError RECORD_DAMAGED */
export function parseDentryKey(bytes: Uint8Array): { hash: number; name: ByteString } {
  const key = bufferOf(bytes)
  if (key.length <= NAME_AT || key.readUInt32BE(HASH_AT) > HASH_HIGH_MAX) {
    throw new StoreError('RECORD_DAMAGED', `The key ${key.toString('hex')} names nothing.`)
  }
  return {
    hash: key.readUInt32BE(HASH_AT) * WORD + key.readUInt32BE(HASH_AT + 4),
    name: key.toString('latin1', NAME_AT),
  }
}
