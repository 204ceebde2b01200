// Which inodes have their file data open: opened at first use, closed when no handle is left and everything is flushed.

import { FilesystemError } from '../errors.ts'
import type { Containers } from './containers.ts'
import type { ContentStore, FileContent } from './content.ts'
import { FailureLog } from './failure-log.ts'
import type { InodeTable } from './inode-table.ts'
import type { Inode } from './inode.ts'
import type { InodeNumber } from './types.ts'

/**
 * A file with so much stored is flushed before it is discarded; a smaller one is emptied, so that short-lived files are
 * never stored at all. Emptying is done in one go, where discarding takes slices.
 */
const EMPTIED_BYTES_MAX = 2 ** 30

export class Contents {
  readonly #store: ContentStore
  readonly #table: InodeTable
  readonly #containers: Containers
  readonly #open = new Set<Inode>()
  /** open for their unflushed data alone */
  readonly #lingering = new Set<Inode>()
  /** lingering ones that have changed: perhaps they are clean now */
  #changed = new Set<Inode>()

  constructor(store: ContentStore, table: InodeTable, containers: Containers) {
    this.#store = store
    this.#table = table
    this.#containers = containers
  }

  /** The data of a regular file. The caller has pinned the inode and calls `rest` when it has unpinned it. */
  use(inode: Inode): FileContent {
    this.#lingering.delete(inode)
    if (inode.content !== undefined) return inode.content
    const group = this.#containers.groupOf(inode.container)
    const content = this.#store.open(inode.number, group, inode.sizeBytes, inode.mappedBytes, {
      changed: () => this.refresh(inode),
      failed: error => this.#failed(inode, error),
    })
    inode.content = content
    this.#open.add(inode)
    return content
  }

  /** Regular files of a storage group whose pages the kernel may have. */
  knownTo(group: number): InodeNumber[] {
    return [...this.#table.referredNumbers()].filter(number => {
      const inode = this.#table.find(number)
      return inode?.isRegular === true && this.#containers.groupOf(inode.container) === group
    })
  }

  /** @throws FilesystemError ENOKEY when the data of the container's group may not be read or changed now */
  checkAccess(container: number): void {
    if (container !== 0) this.#store.checkAccess(this.#containers.groupOf(container))
  }

  /** As ContentStore.share, between pinned inodes. @throws EXDEV across storage groups, whose chunks are not shared */
  async share(
    source: Inode,
    sourceStartBytes: number,
    target: Inode,
    targetStartBytes: number,
    lengthBytes: number,
  ): Promise<void> {
    const groups = this.#containers
    if (groups.groupOf(source.container) !== groups.groupOf(target.container)) {
      throw new FilesystemError('EXDEV')
    }
    const [from, to] = [this.use(source), this.use(target)]
    try {
      await this.#store.share(from, sourceStartBytes, to, targetStartBytes, lengthBytes)
    } finally {
      this.refresh(target)
    }
  }

  #failed(inode: Inode, error: Error): void {
    inode.failures ??= new FailureLog()
    inode.failures.record(error)
    inode.isPageCacheStale = true
  }

  /** Takes over size and mapped bytes. */
  refresh(inode: Inode): void {
    const content = inode.content
    if (content === undefined) return
    if (this.#lingering.has(inode)) this.#queueSweep(inode)
    if (inode.linkCount > 0) {
      this.#containers.account(inode.container, content.sizeBytes - inode.sizeBytes, 0)
    }
    inode.sizeBytes = content.sizeBytes
    inode.mappedBytes = content.mappedBytes
    this.#table.changed(inode)
  }

  /** No handle may be left: closes what is clean, and keeps the rest until it is. */
  rest(inode: Inode): void {
    const content = inode.content
    if (content === undefined || inode.pins > 0) return
    if (content.hasUnflushedData) this.#lingering.add(inode)
    else this.#close(inode, content)
  }

  /**
   * All data of an inode that nothing names or holds any more. The content is closed first: what it still had to store
   * would otherwise come after the deletion and stay for good.
   */
  async discard(inode: Inode): Promise<void> {
    const content = inode.content
    if (content !== undefined) {
      this.#lingering.delete(inode)
      if (content.hasUnflushedData) await abandon(content)
      // a sweep may have been faster
      if (inode.content === content) this.#close(inode, content)
    }
    await this.#store.discard(inode.number)
  }

  /** per container: bytes that readers see, but a commit made now can't write down */
  overhang(): ReadonlyMap<number, number> {
    const sums = new Map<number, number>()
    for (const inode of this.#open) {
      const ahead = inode.sizeBytes - inode.committableSizeBytes
      if (ahead === 0 || inode.linkCount === 0) continue
      sums.set(inode.container, (sums.get(inode.container) ?? 0) + ahead)
    }
    return sums
  }

  /** A commit may have been what a content waited for. */
  sweep(): void {
    for (const inode of this.#lingering) this.#closeIfClean(inode)
  }

  /** Later, since the call comes from inside the content. */
  #queueSweep(inode: Inode): void {
    this.#changed.add(inode)
    if (this.#changed.size > 1) return
    setImmediate(() => {
      const changed = this.#changed
      this.#changed = new Set()
      for (const each of changed) this.#closeIfClean(each)
    })
  }

  #closeIfClean(inode: Inode): void {
    const content = inode.content
    if (content === undefined || inode.pins > 0) this.#lingering.delete(inode)
    else if (!content.hasUnflushedData) this.#close(inode, content)
  }

  #close(inode: Inode, content: FileContent): void {
    this.#lingering.delete(inode)
    this.#open.delete(inode)
    if (inode.sizeBytes !== content.sizeBytes || inode.mappedBytes !== content.mappedBytes) {
      this.refresh(inode)
    }
    inode.content = undefined
    this.#store.close(content)
  }
}

/** Makes a content clean whose data nobody wants any more. */
async function abandon(content: FileContent): Promise<void> {
  if (content.mappedBytes <= EMPTIED_BYTES_MAX) await content.truncate(0)
  await content.settle()
}
