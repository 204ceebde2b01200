// The only file of the damage program that calls coffer: a store in this process, its passes and scans, and what its
// metadata and block files say.

import '../helpers/cheap-scrypt.ts'
import { cpSync, rmSync } from 'node:fs'
import { Level } from 'level'
import { readBlockHeader, scanBlockFile } from '../../src/blocks/index.ts'
import { CofferError } from '../../src/errors.ts'
import { keyNumber, OfflineMetadata, prefixEnd, TABLE } from '../../src/metadata/index.ts'
import { EXTENT_PAGE_BYTES } from '../../src/stream/index.ts'
import { parseExtents } from '../../src/stream/extent-record.ts'
import type { InodeNumber, Vfs } from '../../src/vfs/index.ts'
import { OpenStore } from '../helpers/open-store.ts'

const PASSPHRASE = 'a passphrase that is long enough'
export const SEALED_GROUP = 'sealed'
/** The second lies in a group of its own, the third in an encrypted one. */
export const CONTAINERS = ['plain', 'packed', 'secret'] as const

const CALLER = { uid: 0, gid: 0, pid: 1, groups: [] }
const O_RDWR = 2
const WRITE = { killPrivileges: false, flags: O_RDWR }
const WRITE_BYTES = 1024 * 1024
const LISTED_AT_ONCE = 1000
/** An idle pass goes on only when no client has written for a while. */
const IDLE_SECONDS = 3600
/** As the daemon does: what a pass frees is judged in the trash. */
const TRASH_SECONDS = 24 * 3600
const S_IFMT = 0o170_000
const S_IFDIR = 0o040_000

export interface NamedEntry {
  readonly name: string
  readonly isDirectory: boolean
}

export interface WorkReport {
  readonly outcome: string
  readonly text: string
}

export interface ScanResult extends WorkReport {
  readonly findings: readonly string[]
}

/** Whether coffer raised this on purpose; anything else is a mistake in it. */
export function isRefusal(error: unknown): error is CofferError {
  return error instanceof CofferError
}

export class Store {
  readonly #open: OpenStore
  readonly #clock: { aheadSeconds: number }

  private constructor(open: OpenStore, clock: { aheadSeconds: number }) {
    this.#open = open
    this.#clock = clock
  }

  /** @param directory holds `store` and `keystore-backup` */
  static async open(directory: string): Promise<Store> {
    const clock = { aheadSeconds: 0 }
    const now = (): number => Math.floor(Date.now() / 1000) + clock.aheadSeconds
    return new Store(
      await OpenStore.open(directory, { now, trash: { keepSeconds: TRASH_SECONDS } }),
      clock,
    )
  }

  close(): Promise<void> {
    return this.#open.close()
  }

  sync(): Promise<void> {
    return this.#open.sync()
  }

  /** Adds the groups and containers of a new store. */
  async furnish(): Promise<void> {
    const { groups, encryption } = this.#open.storage
    groups.add('packed', 'best')
    const sealed = groups.add(SEALED_GROUP, 'fast')
    await encryption.setPassphrase(sealed, undefined, Buffer.from(PASSPHRASE))
    await encryption.set(groups.named(SEALED_GROUP), { isOn: true, mode: 'internal' })
    this.#open.addContainer('plain')
    this.#open.addContainer('packed', 'packed')
    this.#open.addContainer('secret', SEALED_GROUP)
  }

  async unlock(): Promise<void> {
    const { groups, encryption } = this.#open.storage
    await encryption.unlock(groups.named(SEALED_GROUP), Buffer.from(PASSPHRASE))
  }

  async pass(kind: 'idle' | 'manual'): Promise<WorkReport> {
    this.#clock.aheadSeconds = IDLE_SECONDS
    const { outcome, text } = await this.#open.storage.cleaner.start(kind).done
    return { outcome, text }
  }

  /** A scan of the metadata and of all data. */
  async scan(): Promise<ScanResult> {
    const report = await this.#open.storage.scanner.start({ readsData: true }).done
    const { outcome, text, checks, damagedBlocks, lostFiles } = report
    const findings = [
      ...checks.map(({ check, count }) => `${check} ${count}`),
      ...damagedBlocks.map(({ block, reason }) => `damaged block file ${block}: ${reason}`),
      ...lostFiles.map(({ path, inode }) => `lost file ${path ?? inode}`),
    ]
    return { outcome, text, findings }
  }

  recordedBlocks(): number[] {
    return [...this.#open.storage.blockRecords()].map(({ block }) => block)
  }

  /** Codes of alerts, and of events that are more than a note. */
  warnings(): string[] {
    const { alerts, alerting, readOnlyReason } = this.#open.storage
    const events = alerting.events
      .select({ count: 1000 })
      .filter(({ severity }) => severity !== 'info')
    const codes = new Set([...alerts.list(), ...events].map(({ code }) => String(code)))
    if (readOnlyReason !== undefined) codes.add('STORE_READ_ONLY')
    return [...codes].sort()
  }

  /** The inode that a path leads to, held until `release`; undefined when a name of it is missing. */
  find(path: string): { inode: InodeNumber; release: () => void } | undefined {
    const [container = '', ...names] = path.split('/')
    let inode = this.#vfs.containers().find(({ name }) => name === container)?.root
    const held: InodeNumber[] = []
    const release = (): void => {
      for (const each of held.splice(0)) this.#vfs.forget(each, 1)
    }
    try {
      for (const name of names) {
        if (inode === undefined) break
        inode = this.#vfs.lookup(inode, name)?.attributes.inode
        if (inode !== undefined) held.push(inode)
      }
    } catch (error) {
      release()
      throw error
    }
    if (inode === undefined) release()
    return inode === undefined ? undefined : { inode, release }
  }

  sizeOf(inode: InodeNumber): number {
    return this.#vfs.getattr(inode).sizeBytes
  }

  async list(inode: InodeNumber): Promise<NamedEntry[]> {
    const found: NamedEntry[] = []
    for (let cookie = 0; ;) {
      const entries = await this.#vfs.readdir(inode, cookie, LISTED_AT_ONCE)
      for (const { name, type } of entries) {
        if (name === '.' || name === '..') continue
        found.push({ name, isDirectory: (type & S_IFMT) === S_IFDIR })
      }
      const last = entries.at(-1)
      if (last === undefined) return found
      cookie = last.cookie
    }
  }

  xattrs(inode: InodeNumber): Record<string, string> {
    const found: Record<string, string> = {}
    for (const name of this.#vfs.listxattr(inode)) {
      found[name] = Buffer.from(this.#vfs.getxattr(inode, name)).toString('latin1')
    }
    return found
  }

  /** Opens for reading. What `read` hands over is valid only during the call. */
  async reader(inode: InodeNumber): Promise<{
    read(atBytes: number, lengthBytes: number, take: (piece: Uint8Array) => void): Promise<number>
    close(): void
  }> {
    const { handle } = await this.#vfs.open(inode, 0)
    return {
      read: async (atBytes, lengthBytes, take) => {
        let done = 0
        while (done < lengthBytes) {
          const read = await this.#vfs.read(handle, atBytes + done, lengthBytes - done)
          let readBytes = 0
          for (const piece of read.pieces) {
            take(piece)
            readBytes += piece.length
          }
          read.release()
          if (readBytes === 0) break
          done += readBytes
        }
        return done
      },
      close: () => {
        this.#vfs.flush(handle)
        this.#vfs.release(handle)
      },
    }
  }

  // ---- for the making of a store

  mkdir(path: string): void {
    const { vfs, parent, name } = this.#place(path)
    vfs.forget(vfs.mkdir(parent, name, 0o755, CALLER).attributes.inode, 1)
  }

  /** Makes the file when it is missing. */
  async write(path: string, atBytes: number, data: Uint8Array): Promise<void> {
    await this.#withFile(path, 0, async handle => {
      for (let at = 0; at < data.length; at += WRITE_BYTES) {
        const piece = data.subarray(at, at + WRITE_BYTES)
        await this.#vfs.write(handle, atBytes + at, piece, WRITE)
      }
    })
  }

  async truncate(path: string, sizeBytes: number): Promise<void> {
    await this.#withInode(path, async inode => {
      await this.#vfs.setattr(inode, { sizeBytes })
    })
  }

  remove(path: string): void {
    const { vfs, parent, name } = this.#place(path)
    vfs.unlink(parent, name)
  }

  async link(path: string, to: string): Promise<void> {
    await this.#withInode(path, inode => {
      const { vfs, parent, name } = this.#place(to)
      vfs.link(inode, parent, name)
      vfs.forget(inode, 1)
    })
  }

  async setXattr(path: string, name: string, value: string): Promise<void> {
    await this.#withInode(path, inode =>
      this.#vfs.setxattr(inode, name, Buffer.from(value, 'latin1'), 0),
    )
  }

  async clone(path: string, to: string, lengthBytes: number): Promise<void> {
    await this.#withFile(path, 0, source =>
      this.#withFile(to, 0, async target => {
        await this.#vfs.copyRange(source, 0, target, 0, lengthBytes, CALLER)
      }),
    )
  }

  get #vfs(): Vfs {
    return this.#open.storage.vfs
  }

  #place(path: string): { vfs: Vfs; parent: InodeNumber; name: string } {
    const at = path.lastIndexOf('/')
    const found = this.find(path.slice(0, at))
    if (found === undefined) throw new Error(`there is no directory of ${path}`)
    found.release()
    return { vfs: this.#vfs, parent: found.inode, name: path.slice(at + 1) }
  }

  async #withInode(path: string, work: (inode: InodeNumber) => unknown): Promise<void> {
    const found = this.find(path)
    if (found === undefined) throw new Error(`there is no ${path}`)
    await work(found.inode)
    found.release()
  }

  async #withFile(
    path: string,
    flags: number,
    work: (handle: number) => Promise<void>,
  ): Promise<void> {
    const { vfs, parent, name } = this.#place(path)
    const { file, entry } = await vfs.create(parent, name, 0o644, O_RDWR | flags, CALLER)
    await work(file.handle)
    vfs.flush(file.handle)
    vfs.release(file.handle)
    vfs.forget(entry.attributes.inode, 1)
  }
}

/** Rewrites a closed store's metadata into tables of the smallest size. */
export async function compactMetadata(directory: string): Promise<void> {
  const database = new Level<Uint8Array, Buffer>(directory, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    compression: false,
    maxFileSize: 2 ** 20,
  })
  await database.open()
  if (!('compactRange' in database)) throw new Error('the database has no compactRange')
  const compacting = database as unknown as {
    compactRange(from: Buffer, to: Buffer): Promise<void>
  }
  await compacting.compactRange(Buffer.from([0]), Buffer.from([0xff]))
  await database.close()
}

export interface FoundExtent {
  readonly inode: number
  readonly startBytes: number
  readonly lengthBytes: number
  readonly block: number
  /** where the region starts in the block file, in pages */
  readonly page: number
}

/**
 * The extents of a closed store, from a copy of its metadata: opening LevelDB changes it.
 * @returns what can be read of them; undefined when the database does not open
 */
export async function extentsIn(
  metadata: string,
  scratch: string,
): Promise<FoundExtent[] | undefined> {
  rmSync(scratch, { recursive: true, force: true })
  cpSync(metadata, scratch, { recursive: true })
  let database: OfflineMetadata
  try {
    database = await OfflineMetadata.open(scratch)
  } catch {
    return undefined
  }
  const found: FoundExtent[] = []
  try {
    const prefix = Buffer.from([TABLE.extents])
    for await (const { key, value } of database.range(prefix, prefixEnd(prefix))) {
      const inode = keyNumber(key.subarray(0, 9), 8)
      const pageStartBytes = Buffer.from(key).readUInt32BE(9) * EXTENT_PAGE_BYTES
      for (const extent of parseExtents(pageStartBytes, value).extents) {
        const { startBytes, lengthBytes, location } = extent
        const { block, page } = location
        found.push({ inode, startBytes, lengthBytes, block, page })
      }
    }
  } catch {
    // The extents behind a damaged one count as lost.
  } finally {
    await database.close()
    rmSync(scratch, { recursive: true, force: true })
  }
  return found
}

export interface FoundRegion {
  readonly page: number
  /** header, table and data, without the padding */
  readonly usedBytes: number
}

const REGION_HEADER_BYTES = 128
const TABLE_ENTRY_BYTES = 36

export async function regionsIn(path: string): Promise<FoundRegion[]> {
  if ((await readBlockHeader(path)) === undefined) throw new Error(`${path} has no header`)
  const found: FoundRegion[] = []
  for await (const { page, chunkCount, storedBytes } of scanBlockFile(path)) {
    const usedBytes = REGION_HEADER_BYTES + chunkCount * TABLE_ENTRY_BYTES + storedBytes
    found.push({ page, usedBytes })
  }
  return found
}

/** Tables of records, by the first byte of their keys. */
export const RECORD_TABLES = {
  block: TABLE.block,
  extents: TABLE.extents,
  inode: TABLE.inode,
  dentry: TABLE.dentry,
  chunk: TABLE.chunk,
  container: TABLE.container,
  group: TABLE.group,
  superblock: TABLE.superblock,
  xattr: TABLE.xattr,
} as const
