// Where block files lie: <directory>/<group>/<block id / 256 in 6 hex digits>/<block id in 8 hex digits>.blk.
// 256 files a folder keep directories small, and consecutive files in one folder keep their syncs few.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { durably } from '../fault-points.ts'

const FILES_PER_FOLDER_BITS = 8
export const GROUP_NAME = /^[1-9][0-9]{0,4}$/
export const FOLDER_NAME = /^[0-9a-f]{6}$/
const NAME = /^([0-9a-f]{8})\.blk$/

/** What directories of block files are called; anything else in there isn't the store's. */
export const BLOCK_NAMES = { group: GROUP_NAME, folder: FOLDER_NAME } as const

export interface BlockPath {
  readonly group: string
  readonly folder: string
  readonly file: string
}

export function blockPath(directory: string, group: number, block: number): BlockPath {
  const groupPath = join(directory, String(group))
  const folder = join(groupPath, hex(block >>> FILES_PER_FOLDER_BITS, 6))
  return { group: groupPath, folder, file: join(folder, `${hex(block, 8)}.blk`) }
}

/** Makes the folders of a block file. @returns those whose names must be synced, the innermost first */
export async function makeBlockFolders(directory: string, path: BlockPath): Promise<string[]> {
  await durably('block.folder', () => mkdir(path.folder, { recursive: true }))
  return [path.folder, path.group, directory]
}

/** The block id in a file's name; undefined when it isn't a block file's. */
export function blockOfName(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1]
  return digits === undefined ? undefined : Number.parseInt(digits, 16)
}

function hex(number: number, digits: number): string {
  return number.toString(16).padStart(digits, '0')
}
