// The containers: which exist, what they hold, and their records. Who makes and removes their trees is in
// container-trees.ts.

import { CofferError, FilesystemError } from '../errors.ts'
import type { MetadataReader, MetadataWriter } from '../metadata/contract.ts'
import { keyNumber, prefixEnd, TABLE } from '../metadata/keys.ts'
import {
  containerKey,
  decodeContainer,
  encodeContainer,
  type ContainerFields,
} from './records/container-record.ts'
import { NAME_BYTES_MAX } from './linux.ts'
import type { ByteString, InodeNumber, Timestamp } from './types.ts'

/** What the control side is told of a container. */
export interface ContainerInfo {
  readonly id: number
  readonly name: ByteString
  /** the storage group's id */
  readonly group: number
  readonly root: InodeNumber
  readonly created: Timestamp
  /** sizes of its regular files, hard links counted once */
  readonly logicalBytes: number
  /** inodes that are no directories */
  readonly fileCount: number
}

export class Containers {
  readonly #touched: () => void
  readonly #containers = new Map<number, ContainerFields>()
  /** since the start, by container */
  readonly #removedFiles = new Map<number, number>()
  #dirty = new Set<number>()
  /** records of containers that are gone, until a commit has taken them away */
  #removed = new Set<number>()
  #committing: { changed: Set<number>; removed: Set<number> } | undefined

  constructor(touched: () => void) {
    this.#touched = touched
  }

  async load(metadata: MetadataReader): Promise<void> {
    const from = Buffer.of(TABLE.container)
    for await (const { key, value } of metadata.range(from, prefixEnd(from))) {
      const id = keyNumber(key, 4)
      this.#containers.set(id, decodeContainer(value, id))
    }
  }

  add(id: number, fields: ContainerFields): void {
    this.#containers.set(id, fields)
    this.#changed(id)
  }

  rename(id: number, name: ByteString): void {
    const container = this.#containers.get(id)
    if (container === undefined) return
    container.name = name
    this.#changed(id)
  }

  /** From now on nothing can be made in it. */
  startDeleting(id: number): void {
    const container = this.#containers.get(id)
    if (container === undefined) return
    container.deleting = true
    this.#changed(id)
  }

  /** Its top directory is another one than its record said. */
  setRoot(id: number, root: InodeNumber): void {
    const container = this.#containers.get(id)
    if (container === undefined) return
    container.root = root
    this.#changed(id)
  }

  /** What it counts is corrected. @returns whether it could be: nothing counts less than nothing */
  recount(id: number, logicalBytes: number, files: number): boolean {
    const container = this.#containers.get(id)
    if (container === undefined || container.fileCount + files < 0) return false
    container.logicalBytes += logicalBytes
    container.fileCount += files
    this.#changed(id)
    return true
  }

  remove(id: number): void {
    this.#containers.delete(id)
    this.#removedFiles.delete(id)
    this.#dirty.delete(id)
    this.#removed.add(id)
    this.#touched()
  }

  list(): ContainerInfo[] {
    const infos: ContainerInfo[] = []
    for (const [id, container] of this.#containers) {
      if (!container.deleting) infos.push(describe(id, container))
    }
    return infos
  }

  /** ids and roots of those whose trees are being reclaimed */
  deleting(): { id: number; root: InodeNumber }[] {
    return [...this.#containers]
      .filter(([, container]) => container.deleting)
      .map(([id, container]) => ({ id, root: container.root }))
  }

  find(name: ByteString): ContainerInfo | undefined {
    for (const [id, container] of this.#containers) {
      if (!container.deleting && container.name === name) return describe(id, container)
    }
    return undefined
  }

  /** @throws CONTAINER_NOT_FOUND */
  get(name: ByteString): ContainerInfo {
    const info = this.find(name)
    if (info === undefined) {
      throw new CofferError('CONTAINER_NOT_FOUND', `There is no container "${shown(name)}".`)
    }
    return info
  }

  /** Undefined when it is gone, or going. */
  byId(id: number): ContainerInfo | undefined {
    const container = this.#containers.get(id)
    return container === undefined || container.deleting ? undefined : describe(id, container)
  }

  /** @throws CONTAINER_EXISTS, CONTAINER_NAME_INVALID */
  checkNewName(name: ByteString): void {
    if (isInvalidName(name)) {
      throw new CofferError(
        'CONTAINER_NAME_INVALID',
        `A container's name is one path component of at most ${NAME_BYTES_MAX} bytes.`,
      )
    }
    if (this.find(name) !== undefined) {
      throw new CofferError('CONTAINER_EXISTS', `There is a container "${shown(name)}" already.`)
    }
  }

  /** deleting, or deleted */
  isDeleting(id: number): boolean {
    return this.#containers.get(id)?.deleting !== false
  }

  /** @throws ESTALE for what the kernel still holds of a container that is gone */
  groupOf(id: number): number {
    const container = this.#containers.get(id)
    if (container === undefined) throw new FilesystemError('ESTALE')
    return container.group
  }

  /** How many files were removed from it since the start; it only grows. */
  removedFiles(id: number): number {
    return this.#removedFiles.get(id) ?? 0
  }

  /** Files came, went, grew or shrank. */
  account(id: number, logicalBytes: number, files: number): void {
    const container = this.#containers.get(id)
    if (container === undefined || (logicalBytes === 0 && files === 0)) return
    container.logicalBytes += logicalBytes
    container.fileCount += files
    if (files < 0) this.#removedFiles.set(id, this.removedFiles(id) - files)
    this.#changed(id)
  }

  /**
   * @param overhang per container: bytes of visible sizes that this commit can't write down yet. Taken off, so that the
   *   record is the sum of the sizes beside it
   */
  collect(batch: MetadataWriter, overhang: ReadonlyMap<number, number>): void {
    const changed = new Set([...(this.#committing?.changed ?? []), ...this.#dirty])
    const removed = new Set([...(this.#committing?.removed ?? []), ...this.#removed])
    this.#committing = { changed, removed }
    // What this commit leaves out, a later one has to put in, although nothing changes in the container by then.
    this.#dirty = new Set(overhang.keys())
    this.#removed = new Set()
    for (const id of changed) {
      const container = this.#containers.get(id)
      if (container === undefined) continue
      const logicalBytes = container.logicalBytes - (overhang.get(id) ?? 0)
      batch.put(containerKey(id), encodeContainer(container, logicalBytes))
    }
    for (const id of removed) batch.delete(containerKey(id))
  }

  settled(): void {
    this.#committing = undefined
  }

  #changed(id: number): void {
    this.#dirty.add(id)
    this.#touched()
  }
}

function isInvalidName(name: ByteString): boolean {
  return (
    name === '' ||
    name === '.' ||
    name === '..' ||
    name.length > NAME_BYTES_MAX ||
    /[/\0]/.test(name)
  )
}

/** As people read it: names are bytes, and mostly UTF-8. */
export function shown(name: ByteString): string {
  return Buffer.from(name, 'latin1').toString()
}

function describe(id: number, container: ContainerFields): ContainerInfo {
  const { name, group, root, created, logicalBytes, fileCount } = container
  return { id, name, group, root, created, logicalBytes, fileCount }
}
