// A whole store in this process, without a mount: files by name, synchronously checked, for tests of what lies below the
// mount.

import { createCipheriv, createHash } from 'node:crypto'
import { join } from 'node:path'
import type { PassParts } from '../../src/cleaner/index.ts'
import { openStorage } from '../../src/daemon/open-storage.ts'
import type { Storage, StorageOptions } from '../../src/daemon/storage.ts'
import { openStoreDirectory } from '../../src/daemon/store-directory.ts'
import type { InodeNumber } from '../../src/vfs/index.ts'

const CALLER = { uid: 0, gid: 0, pid: 1, groups: [] }
const O_RDWR = 2
const WRITE = { killPrivileges: false, flags: O_RDWR }
const READ_BYTES = 1024 * 1024

export interface OpenStoreOptions {
  readonly instrument?: (parts: PassParts) => PassParts
  /** when copies of the metadata are made */
  readonly copies?: StorageOptions['copies']
  /** seconds since 1970 */
  readonly now?: () => number
  /** how long freed block files are kept; not at all without it */
  readonly trash?: Partial<StorageOptions['trash']>
}

export class OpenStore {
  readonly storage: Storage
  /** with the store and the keystore backup */
  readonly directory: string
  readonly #written: { bytes: number }

  private constructor(storage: Storage, directory: string, written: { bytes: number }) {
    this.storage = storage
    this.directory = directory
    this.#written = written
  }

  static async open(directory: string, options: OpenStoreOptions = {}): Promise<OpenStore> {
    const written = { bytes: 0 }
    const now = options.now ?? (() => Math.floor(Date.now() / 1000))
    const storage = await openStorage({
      directory: await openStoreDirectory(join(directory, 'store')),
      now: () => ({ seconds: now(), nanoseconds: 0 }),
      keystoreBackup: join(directory, 'keystore-backup'),
      storePath: join(directory, 'store'),
      pagesChanged: async () => {},
      recorded: () => {},
      entryChanged: () => {},
      clientBytes: () => ({ read: 0, written: written.bytes }),
      clientOperations: () => 0,
      trash: { keepSeconds: 0, keyRetirement: 'wait', ...options.trash },
      ...(options.copies && { copies: options.copies }),
      ...(options.instrument && { instrument: options.instrument }),
    })
    return new OpenStore(storage, directory, written)
  }

  close(): Promise<void> {
    return this.storage.close()
  }

  addContainer(name: string, group = 'DefaultGroup'): void {
    const { vfs, groups } = this.storage
    vfs.addContainer({ name, group: groups.named(group).id, uid: 0, gid: 0 })
  }

  /** Makes the file or replaces what it held. @param path container/name */
  async write(path: string, data: Uint8Array, sync = false): Promise<void> {
    const [parent, name] = this.#place(path)
    const created = await this.storage.vfs.create(parent, name, 0o644, O_RDWR | 0o1000, CALLER)
    const { handle } = created.file
    await this.#writeAt(handle, 0, data)
    if (sync) await this.storage.vfs.fsync(handle)
    this.#letGo(handle, created.entry.attributes.inode)
  }

  async patch(path: string, offsetBytes: number, data: Uint8Array): Promise<void> {
    await this.withOpen(path, handle => this.#writeAt(handle, offsetBytes, data))
  }

  async truncate(path: string, sizeBytes: number): Promise<void> {
    const inode = this.#find(path)
    await this.storage.vfs.setattr(inode, { sizeBytes })
    this.storage.vfs.forget(inode, 1)
  }

  remove(path: string): void {
    this.storage.vfs.unlink(...this.#place(path))
  }

  link(path: string, to: string): void {
    const inode = this.#find(path)
    this.storage.vfs.link(inode, ...this.#place(to))
    this.storage.vfs.forget(inode, 2)
  }

  async copy(path: string, to: string): Promise<void> {
    const { vfs } = this.storage
    const [parent, name] = this.#place(to)
    const created = await vfs.create(parent, name, 0o644, O_RDWR | 0o1000, CALLER)
    await this.withOpen(path, async source => {
      const sizeBytes = this.size(path)
      await vfs.copyRange(source, 0, created.file.handle, 0, sizeBytes, CALLER)
    })
    this.#letGo(created.file.handle, created.entry.attributes.inode)
  }

  size(path: string): number {
    const inode = this.#find(path)
    const { sizeBytes } = this.storage.vfs.getattr(inode)
    this.storage.vfs.forget(inode, 1)
    return sizeBytes
  }

  async read(path: string): Promise<Buffer> {
    let bytes: Buffer = Buffer.alloc(0)
    await this.withOpen(path, async handle => {
      bytes = await this.readHandle(handle)
    })
    return bytes
  }

  async readHandle(handle: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    for (let at = 0; ;) {
      const read = await this.storage.vfs.read(handle, at, READ_BYTES)
      const piece = Buffer.concat(read.pieces)
      read.release()
      if (piece.length === 0) return Buffer.concat(pieces)
      pieces.push(piece)
      at += piece.length
    }
  }

  async withOpen(path: string, work: (handle: number) => Promise<void>): Promise<void> {
    const inode = this.#find(path)
    const { handle } = await this.storage.vfs.open(inode, O_RDWR)
    try {
      await work(handle)
    } finally {
      this.#letGo(handle, inode)
    }
  }

  /** A handle that outlives the name; `close` it. */
  async openHandle(path: string): Promise<{ handle: number; close: () => void }> {
    const inode = this.#find(path)
    const { handle } = await this.storage.vfs.open(inode, O_RDWR)
    return { handle, close: () => this.#letGo(handle, inode) }
  }

  /** Everything that was written is durable. */
  async sync(): Promise<void> {
    await this.storage.flush()
  }

  physicalBytes(): number {
    let bytes = 0
    for (const { lengthBytes } of this.storage.blockRecords()) bytes += lengthBytes
    return bytes
  }

  async #writeAt(handle: number, offsetBytes: number, data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; at += READ_BYTES) {
      const piece = data.subarray(at, at + READ_BYTES)
      await this.storage.vfs.write(handle, offsetBytes + at, piece, WRITE)
      this.#written.bytes += piece.length
    }
  }

  #place(path: string): [parent: InodeNumber, name: string] {
    const [container = '', name = ''] = path.split('/')
    return [this.storage.vfs.containerByName(container).root, name]
  }

  #find(path: string): InodeNumber {
    const entry = this.storage.vfs.lookup(...this.#place(path))
    if (entry === undefined) throw new Error(`there is no ${path}`)
    return entry.attributes.inode
  }

  #letGo(handle: number, inode: InodeNumber): void {
    this.storage.vfs.flush(handle)
    this.storage.vfs.release(handle)
    this.storage.vfs.forget(inode, 1)
  }
}

export function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

/** The same bytes for the same seed, the shorter a beginning of the longer; they don't compress. */
export function contentOf(seed: number, lengthBytes: number): Buffer {
  const key = createHash('sha256').update(`seed ${seed}`).digest().subarray(0, 16)
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(lengthBytes))
}
