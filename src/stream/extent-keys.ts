// Keys of extent pages: table, inode, number of the page. As strings they are latin1, so that they sort as bytes do.

import { bufferOf } from '../buffer-of.ts'
import { inodeKey, TABLE } from '../metadata/index.ts'
import { EXTENT_PAGE_BYTES } from './extent.ts'

/** of a page's number in its key, behind table and inode */
const PAGE_AT = 9

export function pageOf(offsetBytes: number): number {
  return Math.floor(offsetBytes / EXTENT_PAGE_BYTES)
}

export function pageKey(inode: number, page: number): Buffer {
  const key = inodeKey(TABLE.extents, inode, 4)
  key.writeUInt32BE(page, PAGE_AT)
  return key
}

export function pageName(inode: number, page: number): string {
  return pageKey(inode, page).toString('latin1')
}

/** The number of the page that a key means. */
export function numberOfPage(key: Uint8Array): number {
  return bufferOf(key).readUInt32BE(PAGE_AT)
}

/** The beginning of a page's name that all pages of its file have. */
export function fileOf(name: string): string {
  return name.slice(0, PAGE_AT)
}

export function parsedKey(bytes: Uint8Array): { name: string; page: number } {
  const key = Buffer.from(bytes)
  return { name: key.toString('latin1'), page: numberOfPage(key) }
}
