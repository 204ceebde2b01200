// Counts all references to block files by walking over the extents of every file, in one snapshot, and compares what each
// file maps with what its inode says.

import { bufferOf } from '../buffer-of.ts'
import { StoreError } from '../errors.ts'
import { prefixEnd, TABLE } from '../metadata/index.ts'
import type { CheckedEntry, MetadataSnapshot } from '../metadata/index.ts'
import type { UsageTotals } from './contract.ts'
import { UsageTally } from './tally.ts'

/** Inodes whose counts differ, named at most: enough to begin with, and no flood. */
const NAMED_INODES_MAX = 10
/** table and inode: the beginning of the keys of both tables */
const INODE_KEY_BYTES = 9

/** What an inode record says of its file's data; undefined while the file is being deleted, piece by piece. */
export type MappedBytesOf = (value: Uint8Array, inode: number) => number | undefined

export interface CountOptions {
  readonly snapshot: MetadataSnapshot
  readonly mappedBytesOf: MappedBytesOf
  /** told of each extent record */
  readonly visit: (record: Uint8Array) => void
  /** called between records; what it throws ends the count */
  readonly step: () => Promise<void>
}

export interface Count {
  readonly usage: UsageTotals
  /** files whose inodes say something else than their extents, in words; empty when all agree */
  readonly disagreements: readonly string[]
}

/** @throws StoreError RECORD_DAMAGED, METADATA_DAMAGED, and what `step` throws */
export async function countExtents(options: CountOptions): Promise<Count> {
  const { snapshot, visit, step } = options
  const tally = new UsageTally()
  const files = new FileComparison(options)
  const prefix = Buffer.from([TABLE.extents])
  try {
    for await (const entry of snapshot.entries(prefix, prefixEnd(prefix))) {
      const value = valueOf(entry)
      const mappedBytes = tally.add(value, 1)
      visit(value)
      await files.add(entry.key, mappedBytes)
      await step()
    }
    return { usage: tally, disagreements: await files.end() }
  } finally {
    await files.close()
  }
}

/**
 * The counters as the snapshot has them.
 * @param damaged told of a record that can't be read, which is left out; without it that is an error
 * @throws StoreError RECORD_DAMAGED, METADATA_DAMAGED
 */
export async function countersIn(
  snapshot: MetadataSnapshot,
  damaged?: () => void,
): Promise<UsageTotals> {
  const tally = new UsageTally()
  const prefix = Buffer.from([TABLE.usage])
  for await (const entry of snapshot.entries(prefix, prefixEnd(prefix))) {
    if (entry.value === undefined && damaged !== undefined) {
      damaged()
      continue
    }
    tally.addRecord(entry.key, valueOf(entry))
  }
  return tally
}

/** Walks over the inode table beside the extents: both are in the order of inode numbers. */
class FileComparison {
  readonly #mappedBytesOf: MappedBytesOf
  readonly #rows: AsyncIterator<CheckedEntry, void, undefined>
  readonly #named: string[] = []
  #differing = 0
  /** the inode record that comes next; undefined = not read yet, null = there is none */
  #row: CheckedEntry | null | undefined
  /** the file whose extents are being added up; -1 = none yet */
  #inode = -1
  #mappedBytes = 0

  constructor({ snapshot, mappedBytesOf }: CountOptions) {
    this.#mappedBytesOf = mappedBytesOf
    const prefix = Buffer.from([TABLE.inode])
    this.#rows = snapshot.entries(prefix, prefixEnd(prefix))[Symbol.asyncIterator]()
  }

  async add(key: Uint8Array, mappedBytes: number): Promise<void> {
    const inode = inodeOf(key)
    if (inode !== this.#inode) {
      await this.#endFile()
      await this.#passUpTo(inode)
      this.#inode = inode
      this.#mappedBytes = 0
    }
    this.#mappedBytes += mappedBytes
  }

  /** @returns what differs, in words */
  async end(): Promise<readonly string[]> {
    await this.#endFile()
    await this.#passUpTo(Number.POSITIVE_INFINITY)
    const unnamed = this.#differing - this.#named.length
    return unnamed === 0 ? this.#named : [...this.#named, `${unnamed} more files differ`]
  }

  async close(): Promise<void> {
    await this.#rows.return?.()
  }

  async #endFile(): Promise<void> {
    if (this.#inode < 0) return
    const row = await this.#peek()
    if (row === null || inodeOf(row.key) !== this.#inode) {
      return this.#differs(`inode ${this.#inode} has extents and no record`)
    }
    this.#compare(row, this.#mappedBytes)
  }

  /** Inodes before this one have no extents. */
  async #passUpTo(inode: number): Promise<void> {
    for (let row = await this.#peek(); row !== null; row = await this.#peek()) {
      if (inodeOf(row.key) >= inode) return
      this.#compare(row, 0)
    }
  }

  #compare(row: CheckedEntry, mappedBytes: number): void {
    this.#row = undefined
    const inode = inodeOf(row.key)
    const said = this.#mappedBytesOf(valueOf(row), inode)
    if (said === undefined || said === mappedBytes) return
    this.#differs(`inode ${inode} says ${said} bytes, and its extents map ${mappedBytes}`)
  }

  #differs(text: string): void {
    this.#differing++
    if (this.#named.length < NAMED_INODES_MAX) this.#named.push(text)
  }

  async #peek(): Promise<CheckedEntry | null> {
    if (this.#row === undefined) {
      const { value, done } = await this.#rows.next()
      this.#row = done === true ? null : (value ?? null)
    }
    return this.#row
  }
}

function inodeOf(key: Uint8Array): number {
  if (key.length < INODE_KEY_BYTES) {
    throw new StoreError('RECORD_DAMAGED', `The key ${bufferOf(key).toString('hex')} is damaged.`)
  }
  return Number(bufferOf(key).readBigUInt64BE(1))
}

function valueOf(entry: CheckedEntry): Uint8Array {
  if (entry.value === undefined) throw new StoreError('RECORD_DAMAGED', entry.damage)
  return entry.value
}
