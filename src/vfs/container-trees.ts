// Making containers, renaming them and taking them away. A deleted container leaves the root at once; its tree is reclaimed in slices
// in the background, and a restart goes on where the last run stopped: every removal is complete in itself.

import { CofferError, hasNoSpace } from '../errors.ts'
import type { Committer } from '../metadata/contract.ts'
import { shown } from './containers.ts'
import type { ContainerInfo, Containers } from './containers.ts'
import type { Dentries } from './dentries.ts'
import { ROOT_INODE, type InodeTable } from './inode-table.ts'
import type { Inode } from './inode.ts'
import { PERMISSION_BITS, S_IFDIR } from './linux.ts'
import type { Namespace } from './namespace.ts'
import type { Reaper } from './reaper.ts'
import type { ByteString, InodeNumber, Timestamp } from './types.ts'

const CONTAINER_PERMISSIONS = 0o755
const GENERATION = 1
/** entries removed without a pause: a few milliseconds */
const SLICE_ENTRIES = 256
/** entries removed between two commits: bounds what has to stay in memory */
const COMMIT_ENTRIES = 8_192

export interface NewContainer {
  /** one path component */
  readonly name: ByteString
  /** the storage group's id */
  readonly group: number
  readonly uid: number
  readonly gid: number
  /** permission bits of its top directory, 0755 unless told */
  readonly mode?: number
}

export interface ContainerTreeParts {
  readonly table: InodeTable
  readonly dentries: Dentries
  readonly containers: Containers
  readonly namespace: Namespace
  readonly reaper: Reaper
  readonly committer: Committer
  readonly now: () => Timestamp
  /** the kernel must forget what it remembers of that name: the change didn't come through the mount */
  readonly entryChanged: (parent: InodeNumber, name: ByteString) => void
  readonly reportError: (error: unknown) => void
}

export class ContainerTrees {
  readonly #parts: ContainerTreeParts
  readonly #reclaiming = new Map<number, Promise<void>>()
  /** container and root whose deletion found the disk full */
  readonly #waiting = new Map<number, InodeNumber>()
  #isStopped = false
  #removedSinceCommit = 0
  #removedSincePause = 0

  constructor(parts: ContainerTreeParts) {
    this.#parts = parts
  }

  /** @throws CONTAINER_EXISTS, CONTAINER_NAME_INVALID */
  add(what: NewContainer): ContainerInfo {
    const { table, dentries, containers, now, entryChanged } = this.#parts
    const { name } = what
    containers.checkNewName(name)
    const time = now()
    const id = table.nextContainer()
    const root = table.create({
      mode: S_IFDIR | ((what.mode ?? CONTAINER_PERMISSIONS) & PERMISSION_BITS),
      uid: what.uid,
      gid: what.gid,
      linkCount: 2,
      generation: GENERATION,
      sizeBytes: 0,
      mappedBytes: 0,
      deviceNumber: 0,
      container: id,
      parent: ROOT_INODE,
      childCount: 0,
      hasXattrs: false,
      accessTime: time,
      modifyTime: time,
      changeTime: time,
      birthTime: time,
      target: '',
    })
    containers.add(id, {
      name,
      group: what.group,
      root: root.number,
      created: time,
      deleting: false,
      logicalBytes: 0,
      fileCount: 0,
    })
    dentries.set(ROOT_INODE, name, { inode: root.number, type: S_IFDIR })
    this.#rootChanged(1, time)
    entryChanged(ROOT_INODE, name)
    return containers.get(name)
  }

  /**
   * Gives a container another name; its inodes stay what they are, so that open files and working directories go on.
   * @throws CONTAINER_NOT_FOUND, CONTAINER_EXISTS, CONTAINER_NAME_INVALID
   */
  rename(name: ByteString, newName: ByteString): ContainerInfo {
    const { table, dentries, containers, now, entryChanged } = this.#parts
    const { id, root: number } = containers.get(name)
    containers.checkNewName(newName)
    const time = now()
    const root = table.get(number)
    root.changeTime = time
    table.changed(root)
    containers.rename(id, newName)
    dentries.remove(ROOT_INODE, name)
    dentries.set(ROOT_INODE, newName, { inode: number, type: S_IFDIR })
    this.#rootChanged(0, time)
    entryChanged(ROOT_INODE, name)
    // the kernel may remember that there is no such name
    entryChanged(ROOT_INODE, newName)
    return containers.get(newName)
  }

  /**
   * The container is gone from the mount when this returns.
   * @throws CONTAINER_NOT_FOUND, CONTAINER_NOT_EMPTY
   */
  delete(name: ByteString, options: { readonly deleteFiles: boolean }): void {
    const { table, dentries, containers, now, entryChanged } = this.#parts
    const { id, root } = containers.get(name)
    if (table.get(root).childCount > 0 && !options.deleteFiles) {
      throw new CofferError(
        'CONTAINER_NOT_EMPTY',
        `The container "${shown(name)}" has files in it; say so if they are to be deleted, too.`,
      )
    }
    containers.startDeleting(id)
    dentries.remove(ROOT_INODE, name)
    this.#rootChanged(-1, now())
    entryChanged(ROOT_INODE, name)
    this.#start(id, root)
  }

  /** At start: goes on with what an earlier run began to delete. */
  recover(): void {
    for (const { id, root } of this.#parts.containers.deleting()) this.#start(id, root)
  }

  /** A commit has found room: so may what waits for some. Later, since that calls from its middle. */
  settled(): void {
    if (this.#waiting.size === 0) return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    setImmediate(() => {
      for (const [id, root] of waiting) if (!this.#isStopped) this.#start(id, root)
    })
  }

  /** Resolves when no container is being reclaimed. */
  async reclaimed(): Promise<void> {
    await Promise.all(this.#reclaiming.values())
  }

  /** Pauses reclaiming until the next start. Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.reclaimed()
  }

  #rootChanged(containers: number, time: Timestamp): void {
    const root = this.#parts.table.get(ROOT_INODE)
    root.childCount += containers
    root.linkCount += containers
    root.modifyTime = time
    root.changeTime = time
    this.#parts.table.changed(root)
  }

  #start(id: number, root: InodeNumber): void {
    const work = this.#reclaim(id, root)
      .catch((error: unknown) => {
        if (hasNoSpace(error)) this.#waiting.set(id, root)
        else this.#parts.reportError(error)
      })
      .finally(() => this.#reclaiming.delete(id))
    this.#reclaiming.set(id, work)
  }

  async #reclaim(id: number, number: InodeNumber): Promise<void> {
    const { table, containers, reaper } = this.#parts
    const root = table.find(number)
    if (root !== undefined) {
      root.pins++
      try {
        await this.#empty(root)
        if (this.#isStopped) return
        root.linkCount = 0
        table.changed(root)
      } finally {
        root.pins--
      }
      await reaper.orphaned(root)
    }
    containers.remove(id)
  }

  /** Depth first, so that a directory is removed only when nothing needs it any more. */
  async #empty(directory: Inode): Promise<void> {
    const { dentries, table, namespace } = this.#parts
    let cookie = 0
    for (;;) {
      const window = await dentries.window(directory.number, cookie, SLICE_ENTRIES)
      cookie = window.entries.at(-1)?.cookie ?? cookie
      for (const { name, inode: number } of window.entries) {
        if (this.#isStopped) return
        const inode = table.get(number)
        if (inode.isDirectory) {
          inode.pins++
          try {
            await this.#empty(inode)
          } finally {
            inode.pins--
          }
          if (this.#isStopped) return
        }
        await namespace.remove(directory, name, inode)
        await this.#breathe()
      }
      if (window.isLast) return
    }
  }

  async #breathe(): Promise<void> {
    if (++this.#removedSincePause >= SLICE_ENTRIES) {
      this.#removedSincePause = 0
      await new Promise(resolve => setImmediate(resolve))
    }
    if (++this.#removedSinceCommit >= COMMIT_ENTRIES) {
      this.#removedSinceCommit = 0
      await this.#parts.committer.commit()
    }
  }
}
