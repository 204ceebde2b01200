// A metadata store, a committer and file contents that live in memory: what vfs runs on in these tests.

import assert from 'node:assert/strict'
import type { FilesystemError } from '../../src/errors.ts'
import type {
  CommitParticipant,
  Committer,
  MetadataReader,
  MetadataWriter,
} from '../../src/metadata/contract.ts'
import type { ContentOwner, ContentRead, ContentStore, FileContent } from '../../src/vfs/content.ts'
import type { Caller, Timestamp } from '../../src/vfs/types.ts'
import { Vfs } from '../../src/vfs/vfs.ts'
import type { VfsOptions } from '../../src/vfs/vfs-parts.ts'

export const CALLER: Caller = { uid: 1000, gid: 1000, pid: 1 }
export const HASH_KEY = Buffer.from('0123456789abcdef')
export const NO_FLAGS = { noReplace: false, exchange: false }
export const WRITE = { killPrivileges: false, flags: 0 }

const toText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
const toBytes = (text: string): Buffer => Buffer.from(text, 'latin1')

/** Keys as byte strings, which sort as their bytes do. */
export class FakeMetadata implements MetadataReader {
  readonly records = new Map<string, Uint8Array>()

  get(key: Uint8Array): Uint8Array | undefined {
    return this.records.get(toText(key))
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return keys.map(key => this.get(key))
  }

  async *range(
    from: Uint8Array,
    to: Uint8Array,
  ): AsyncIterable<{ key: Uint8Array; value: Uint8Array }> {
    const first = toText(from)
    const end = toText(to)
    const found = [...this.records].filter(([key]) => key >= first && key < end)
    found.sort(([a], [b]) => (a < b ? -1 : 1))
    for (const [key, value] of found) {
      await Promise.resolve()
      yield { key: toBytes(key), value }
    }
  }

  /** keys of one table */
  count(table: string): number {
    return [...this.records.keys()].filter(key => key.startsWith(table)).length
  }
}

export class FakeCommitter implements Committer {
  metadata: FakeMetadata
  participant: CommitParticipant | undefined
  /** how long a batch takes to be durable */
  durable = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
  commits = 0
  touches = 0
  /** of which it was told since the last commit began */
  toldRecords = 0
  /** in the last commit */
  committedRecords = 0

  constructor(metadata: FakeMetadata) {
    this.metadata = metadata
  }

  async commit(): Promise<void> {
    const changes = new Map<string, Uint8Array | undefined>()
    const batch: MetadataWriter = {
      put: (key, value) => changes.set(toText(key), Buffer.from(value)),
      delete: key => changes.set(toText(key), undefined),
    }
    this.toldRecords = 0
    this.participant?.collect(batch)
    this.committedRecords = changes.size
    await this.durable()
    for (const [key, value] of changes) {
      if (value === undefined) this.metadata.records.delete(key)
      else this.metadata.records.set(key, value)
    }
    this.commits++
    this.participant?.settled()
  }

  touched(recordCount = 0): void {
    this.touches++
    this.toldRecords += recordCount
  }
}

/** Data is unflushed until `flush`; a restart keeps what was flushed. */
class FakeContent implements FileContent {
  readonly inode: number
  readonly #flushed: Map<number, Buffer>
  readonly owner: ContentOwner
  data: Buffer
  hasUnflushedData = false
  committableSizeBytes: number

  constructor(inode: number, sizeBytes: number, flushed: Map<number, Buffer>, owner: ContentOwner) {
    this.inode = inode
    this.#flushed = flushed
    this.owner = owner
    this.data = Buffer.alloc(sizeBytes)
    flushed.get(inode)?.copy(this.data)
    this.committableSizeBytes = sizeBytes
  }

  get sizeBytes(): number {
    return this.data.length
  }

  get mappedBytes(): number {
    return this.#flushed.get(this.inode)?.length ?? 0
  }

  write(offsetBytes: number, data: Uint8Array): void {
    const size = Math.max(this.data.length, offsetBytes + data.length)
    this.data = Buffer.concat([this.data, Buffer.alloc(size - this.data.length)])
    this.data.set(data, offsetBytes)
    this.hasUnflushedData = true
    this.owner.changed()
  }

  read(offsetBytes: number, sizeBytes: number): ContentRead {
    const piece = this.data.subarray(offsetBytes, offsetBytes + sizeBytes)
    return { pieces: [piece], release: () => undefined }
  }

  async truncate(sizeBytes: number): Promise<void> {
    const kept = this.data.subarray(0, sizeBytes)
    this.data = Buffer.concat([kept, Buffer.alloc(sizeBytes - kept.length)])
    this.hasUnflushedData = true
    this.owner.changed()
  }

  async punch(offsetBytes: number, lengthBytes: number): Promise<void> {
    assert.ok(offsetBytes + lengthBytes <= this.data.length)
    this.data.fill(0, offsetBytes, offsetBytes + lengthBytes)
  }

  async seek(offsetBytes: number, whence: number): Promise<number | undefined> {
    return whence === 3 ? offsetBytes : undefined
  }

  drain(): void {}

  async settle(): Promise<void> {
    await Promise.resolve()
    this.hasUnflushedData = false
    this.committableSizeBytes = this.data.length
    this.#flushed.set(this.inode, Buffer.from(this.data))
    this.owner.changed()
  }
}

export class FakeContentStore implements ContentStore {
  readonly flushed = new Map<number, Buffer>()
  readonly open_ = new Map<number, FakeContent>()
  readonly discarded: number[] = []
  discardFailure: FilesystemError | undefined

  open(inode: number, _group: number, sizeBytes: number, _mapped: number, owner: ContentOwner) {
    assert.ok(!this.open_.has(inode), 'a content is opened once')
    const content = new FakeContent(inode, sizeBytes, this.flushed, owner)
    this.open_.set(inode, content)
    return content
  }

  checkAccess(): void {}

  close(content: FileContent): void {
    assert.ok(content instanceof FakeContent)
    assert.ok(!content.hasUnflushedData, 'only clean contents are closed')
    assert.ok(this.open_.delete(content.inode))
  }

  async share(
    source: FileContent,
    sourceStartBytes: number,
    target: FileContent,
    targetStartBytes: number,
    lengthBytes: number,
  ): Promise<void> {
    const read = await source.read(sourceStartBytes, lengthBytes)
    await target.write(targetStartBytes, Buffer.concat(read.pieces))
    read.release()
  }

  async discard(inode: number): Promise<void> {
    await Promise.resolve()
    if (this.discardFailure !== undefined) throw this.discardFailure
    assert.ok(!this.open_.has(inode), 'an open content could still store something')
    this.flushed.delete(inode)
    this.discarded.push(inode)
  }

  async flush(contents: readonly FileContent[]): Promise<void> {
    for (const content of contents) await content.settle()
  }

  async flushAll(): Promise<void> {
    for (const content of this.open_.values()) await content.settle()
  }

  /** memory is lost */
  restart(): void {
    this.open_.clear()
  }
}

/** A clock that goes on by one nanosecond at a reading and otherwise stands. */
export class FakeClock {
  seconds = 1_700_000_000
  #nanoseconds = 0

  readonly now = (): Timestamp => ({ seconds: this.seconds, nanoseconds: this.#nanoseconds++ })
}

export interface World {
  vfs: Vfs
  readonly metadata: FakeMetadata
  readonly committer: FakeCommitter
  readonly contents: FakeContentStore
  readonly clock: FakeClock
  readonly changedEntries: string[]
  readonly errors: unknown[]
  /** the root of a container named "c" */
  readonly top: number
  /** A new Vfs over what was committed; the rest is lost. */
  restart(): Promise<void>
}

export async function makeWorld(options: Partial<VfsOptions> = {}): Promise<World> {
  const metadata = new FakeMetadata()
  const committer = new FakeCommitter(metadata)
  const contents = new FakeContentStore()
  const clock = new FakeClock()
  const changedEntries: string[] = []
  const errors: unknown[] = []
  const make = async (): Promise<Vfs> => {
    const vfs = new Vfs({
      metadata,
      committer,
      content: contents,
      now: clock.now,
      statistics: () => ({ totalBytes: 4096 * 100, freeBytes: 4096 * 40 }),
      hashKey: HASH_KEY,
      entryChanged: (_parent, name) => changedEntries.push(name),
      reportError: error => errors.push(error),
      ...options,
    })
    committer.participant = vfs
    await vfs.start()
    return vfs
  }
  const vfs = await make()
  const { root } = vfs.addContainer({ name: 'c', group: 1, uid: 0, gid: 0 })
  const world = {
    vfs,
    metadata,
    committer,
    contents,
    clock,
    changedEntries,
    errors,
    top: root,
    restart: async () => {
      contents.restart()
      world.vfs = await make()
    },
  }
  return world
}

/** Makes an empty file and lets the kernel's reference and the handle go. */
export function touch(vfs: Vfs, parent: number, name: string): number {
  const { attributes } = vfs.mknod(parent, name, 0o100644, 0, CALLER)
  vfs.forget(attributes.inode, 1)
  return attributes.inode
}

export function makeDirectory(vfs: Vfs, parent: number, name: string): number {
  const { attributes } = vfs.mkdir(parent, name, 0o755, CALLER)
  vfs.forget(attributes.inode, 1)
  return attributes.inode
}

export function numberOf(vfs: Vfs, parent: number, name: string): number | undefined {
  const entry = vfs.lookup(parent, name)
  if (entry === undefined) return undefined
  vfs.forget(entry.attributes.inode, 1)
  return entry.attributes.inode
}

/** The names in a directory, without the dots. */
export async function list(vfs: Vfs, directory: number, countMax = 100): Promise<string[]> {
  const names: string[] = []
  for (let cookie = 0; ;) {
    const entries = await vfs.readdir(directory, cookie, countMax)
    const last = entries.at(-1)
    if (last === undefined) break
    names.push(...entries.map(entry => entry.name))
    cookie = last.cookie
  }
  return names.filter(name => name !== '.' && name !== '..').sort()
}

/** The code with which an operation fails. */
export async function failure(operation: () => unknown): Promise<string | undefined> {
  try {
    await operation()
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
  return undefined
}

export async function later(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
}
