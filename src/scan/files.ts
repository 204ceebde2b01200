// Each inode against its extents, its attributes, its mark for deletion and its container: four tables in the order of
// inode numbers, walked side by side.

import { plural } from '../plural.ts'
import { TABLE } from '../metadata/index.ts'
import { EXTENT_PAGE_BYTES } from '../stream/index.ts'
import { decodeInode, decodeXattrs, ROOT_INODE, S_IFDIR, S_IFMT, S_IFREG } from '../vfs/index.ts'
import type { InodeFields } from '../vfs/index.ts'
import { ExtentCheck } from './extent-check.ts'
import type { LostFiles } from './lost-files.ts'
import { numberOf, parsed, rows } from './scan-context.ts'
import type { Row, ScanContext } from './scan-context.ts'

/** in the key of a page of extents */
const PAGE_AT = 9

interface ContainerSums {
  files: number
  bytes: number
}

/** @param lost gets what no block file has any more */
export async function checkFiles(context: ScanContext, lost: LostFiles): Promise<void> {
  const sums = new Map<number, ContainerSums>()
  /** files with a page of extents that can't be read; those that the walk has passed are taken out */
  const unreadable = new Set<number>()
  const extents = new Cursor(context, TABLE.extents, key => {
    const number = numberOf(key)
    unreadable.add(number)
    const startBytes = key.readUInt32BE(PAGE_AT) * EXTENT_PAGE_BYTES
    lost.add(number, startBytes, EXTENT_PAGE_BYTES, 0)
  })
  const xattrs = new Cursor(context, TABLE.xattr)
  const marks = new Cursor(context, TABLE.orphan)
  const cursors = [extents, xattrs, marks]
  await Promise.all(cursors.map(cursor => cursor.next()))
  try {
    for await (const row of rows(context, Buffer.of(TABLE.inode), undefined, false)) {
      const number = numberOf(row.key)
      await reportStrays(context, number, extents, xattrs, marks)
      const inode = parsed(context, row, () => decodeInode(row.value, number), false)
      if (inode === undefined) {
        // What belongs to it can't be judged.
        for (const cursor of cursors) while (cursor.inode === number) await cursor.next()
        continue
      }
      checkInode(context, number, inode, sums)
      await checkExtents(context, number, inode, extents, lost, unreadable)
      unreadable.delete(number)
      await checkXattrs(context, number, inode, xattrs)
      await checkMark(context, number, inode, marks)
    }
    await reportStrays(context, Number.POSITIVE_INFINITY, extents, xattrs, marks)
  } finally {
    await Promise.all(cursors.map(cursor => cursor.close()))
  }
  checkContainers(context, sums)
}

/** The records of a table one after another; damaged ones are reported and passed over. */
class Cursor {
  readonly #rows: AsyncGenerator<Row, void, undefined>
  row: Row | undefined
  /** of the row; beyond all when there is none */
  inode = Number.POSITIVE_INFINITY

  constructor(context: ScanContext, table: number, damaged?: (key: Buffer) => void) {
    this.#rows = rows(context, Buffer.of(table), undefined, true, damaged)
  }

  async next(): Promise<void> {
    const { value } = await this.#rows.next()
    this.row = value ?? undefined
    this.inode = value ? numberOf(value.key) : Number.POSITIVE_INFINITY
  }

  /** Of the row. */
  get key(): Buffer {
    return this.row?.key ?? Buffer.alloc(0)
  }

  async close(): Promise<void> {
    await this.#rows.return()
  }
}

/** What belongs to inodes before `number` belongs to none. */
async function reportStrays(
  { found }: ScanContext,
  number: number,
  extents: Cursor,
  xattrs: Cursor,
  marks: Cursor,
): Promise<void> {
  const textOf = (what: string, inode: number): string =>
    `${what} belong to inode ${inode}, which does not exist.`
  for (; extents.inode < number; await extents.next()) {
    const { inode, key } = extents
    found('extent-inode', textOf('Extents', inode), { key, inode, exists: false })
  }
  for (; xattrs.inode < number; await xattrs.next()) {
    const { inode, key } = xattrs
    found('xattr-inode', textOf('Extended attributes', inode), { key, inode })
  }
  for (; marks.inode < number; await marks.next()) {
    const { inode } = marks
    const text = textOf('A mark for deletion', inode)
    found('orphan-mark', text, { inode, isMarked: true, exists: false })
  }
}

function checkInode(
  { containers, found }: ScanContext,
  number: number,
  inode: InodeFields,
  sums: Map<number, ContainerSums>,
): void {
  if (inode.linkCount === 0 || number === ROOT_INODE) return
  if (!containers.has(inode.container)) {
    found(
      'inode-container',
      `Inode ${number} lies in container ${inode.container}, which does not exist.`,
      { inode: number, container: inode.container },
    )
  }
  const type = inode.mode & S_IFMT
  if (type === S_IFDIR) return
  const sum = sums.get(inode.container) ?? { files: 0, bytes: 0 }
  sums.set(inode.container, sum)
  sum.files++
  if (type === S_IFREG) sum.bytes += inode.sizeBytes
}

async function checkExtents(
  context: ScanContext,
  number: number,
  inode: InodeFields,
  extents: Cursor,
  lost: LostFiles,
  unreadable: ReadonlySet<number>,
): Promise<void> {
  const { containers, found } = context
  const check = new ExtentCheck(context, number, containers.get(inode.container)?.group, lost)
  const isRegular = (inode.mode & S_IFMT) === S_IFREG
  for (; extents.inode === number; await extents.next()) {
    if (extents.row === undefined) break
    if (isRegular) check.page(extents.row)
    else {
      const text = `Inode ${number} has extents, and is no regular file.`
      found('extent-inode', text, { key: extents.key, inode: number, exists: true })
    }
  }
  const isWhole = check.isWhole && !unreadable.has(number)
  // What is about to be deleted loses its extents piece by piece.
  if (inode.linkCount === 0 || !isRegular || !isWhole) return
  const { coveredBytes } = check
  if (coveredBytes === inode.mappedBytes) return
  found(
    'inode-mapped',
    `Inode ${number} counts ${inode.mappedBytes} stored bytes, and has ${coveredBytes}.`,
    { inode: number, delta: coveredBytes - inode.mappedBytes },
  )
}

async function checkXattrs(
  context: ScanContext,
  number: number,
  inode: InodeFields,
  xattrs: Cursor,
): Promise<void> {
  const { row } = xattrs
  const has = xattrs.inode === number
  if (has && row !== undefined) parsed(context, row, () => decodeXattrs(row.value, number))
  if (has) await xattrs.next()
  // They go before the inode that is about to be deleted.
  if (inode.linkCount === 0 || has === inode.hasXattrs) return
  const text = `Inode ${number} says that it has ${has ? 'no' : 'some'} extended attributes.`
  context.found('xattr-flag', text, { inode: number, has })
}

async function checkMark(
  { found }: ScanContext,
  number: number,
  inode: InodeFields,
  marks: Cursor,
): Promise<void> {
  const isMarked = marks.inode === number
  if (isMarked) await marks.next()
  if (isMarked === (inode.linkCount === 0)) return
  if (isMarked) {
    const text = `Inode ${number} is marked for deletion, and counts ${plural(inode.linkCount, 'link')}.`
    found('orphan-mark', text, { inode: number, isMarked, exists: true })
  } else {
    const text = `Inode ${number} counts no links, and is not marked for deletion.`
    found('orphan-mark', text, { inode: number, isMarked, exists: true })
  }
}

function checkContainers(
  { containers, found }: ScanContext,
  sums: ReadonlyMap<number, ContainerSums>,
): void {
  for (const [id, { fileCount, logicalBytes }] of containers) {
    const { files, bytes } = sums.get(id) ?? { files: 0, bytes: 0 }
    if (files !== fileCount) {
      const text = `Container ${id} counts ${plural(fileCount, 'file')}, and has ${files}.`
      found('container-files', text, { container: id, delta: files - fileCount })
    }
    if (bytes !== logicalBytes) {
      const text = `Container ${id} counts ${logicalBytes} bytes, and its files have ${bytes}.`
      found('container-bytes', text, { container: id, delta: bytes - logicalBytes })
    }
  }
}
