// Inodes that nothing names any more: kept while handles or the kernel hold them, marked on disk so that a restart
// finishes what was left, and then deleted with everything that belongs to them.

import { hasNoSpace } from '../errors.ts'
import type { MetadataReader, MetadataWriter } from '../metadata/contract.ts'
import { inodeKey, keyNumber, prefixEnd, TABLE } from '../metadata/keys.ts'
import type { Contents } from './contents.ts'
import type { ContentStore } from './content.ts'
import type { InodeTable } from './inode-table.ts'
import type { Inode } from './inode.ts'
import { Overlay } from './overlay.ts'
import type { InodeNumber } from './types.ts'
import type { Xattrs } from './xattrs.ts'

/** an orphan mark says everything by being there; the byte is its version */
const ORPHAN_MARK = Uint8Array.of(1)

export interface ReaperParts {
  readonly metadata: MetadataReader
  readonly table: InodeTable
  readonly xattrs: Xattrs
  readonly contents: Contents
  readonly store: ContentStore
  /** told of failures in the background; what failed is tried again at the next start, but where there was no room when there is */
  readonly reportError: (error: unknown) => void
}

export class Reaper {
  readonly #parts: ReaperParts
  readonly #marks = new Overlay<InodeNumber, true>()
  readonly #reaping = new Map<InodeNumber, Promise<void>>()
  /** whose deletion found the disk full */
  readonly #waiting = new Set<Inode>()
  #isStopped = false

  constructor(parts: ReaperParts) {
    this.#parts = parts
  }

  /** The inode's last name is gone. Resolves when its data is gone too, or at once when it is still held. */
  orphaned(inode: Inode): Promise<void> | undefined {
    this.#marks.set(inode.number, true)
    return this.reapUnheld(inode)
  }

  /** An inode without a name is held by its handle; a crash must not leave it for ever. */
  nameless(inode: Inode): void {
    this.#marks.set(inode.number, true)
  }

  /** An inode without a name has got one. */
  adopted(inode: Inode): void {
    this.#marks.set(inode.number, null)
  }

  /** Takes a mark away that belongs to no inode, or to one that has a name. */
  unmark(number: InodeNumber): void {
    this.#marks.set(number, null)
  }

  /** The inode's data is being deleted: nothing can keep it any more. */
  isReaping(number: InodeNumber): boolean {
    return this.#reaping.has(number)
  }

  /** A handle or a reference of the kernel has gone. */
  reapUnheld(inode: Inode): Promise<void> | undefined {
    const { table, xattrs } = this.#parts
    if (inode.linkCount > 0 || inode.isDeleted || table.isReferred(inode)) return undefined
    if (this.#reaping.has(inode.number)) return undefined
    xattrs.discard(inode)
    if (!inode.isRegular) {
      this.#finish(inode)
      return undefined
    }
    const reaped = this.#reapFile(inode)
    this.#reaping.set(inode.number, reaped)
    return reaped.finally(() => this.#reaping.delete(inode.number))
  }

  /** What waits for room is left to the next start: the last commit must not begin anything. */
  stop(): void {
    this.#isStopped = true
  }

  /** What is being deleted at the time of the call has gone, or failed to. */
  async done(): Promise<void> {
    await Promise.all(this.#reaping.values())
  }

  /** At start, when nothing is held: finishes what an earlier run left. */
  async recover(): Promise<void> {
    const { metadata, table, store } = this.#parts
    const from = Buffer.of(TABLE.orphan)
    for await (const { key } of metadata.range(from, prefixEnd(from))) {
      const number = keyNumber(key, 8)
      const inode = table.find(number)
      if (inode !== undefined) {
        await this.reapUnheld(inode)
        continue
      }
      await store.discard(number)
      this.#marks.set(number, null)
    }
  }

  collect(batch: MetadataWriter): void {
    this.#marks.collect((inode, change) => {
      const key = inodeKey(TABLE.orphan, inode)
      if (change === null) batch.delete(key)
      else batch.put(key, ORPHAN_MARK)
    })
  }

  settled(): void {
    this.#marks.settled()
    this.#goOn()
  }

  /** There is room again: a commit has found some. Later, since that calls from its middle. */
  #goOn(): void {
    if (this.#waiting.size === 0) return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    setImmediate(() => {
      for (const inode of waiting) if (!this.#isStopped) void this.reapUnheld(inode)
    })
  }

  /** The mark stays until the data is gone: a crash in between is finished by `recover`. */
  async #reapFile(inode: Inode): Promise<void> {
    try {
      await this.#parts.contents.discard(inode)
      this.#finish(inode)
    } catch (error) {
      if (hasNoSpace(error)) this.#waiting.add(inode)
      else this.#parts.reportError(error)
    }
  }

  #finish(inode: Inode): void {
    this.#marks.set(inode.number, null)
    this.#parts.table.delete(inode)
  }
}
