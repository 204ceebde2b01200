// What is written down about scans: the one that runs, with how far its reading of block files is, so that it goes on
// after a restart; and the report of the last one.

import { z } from 'zod'
import { StoreError } from '../errors.ts'
import { prefixEnd, TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'
import { CHECK_NAMES } from './checks.ts'
import { SUSPECTS_MAX } from './suspects.ts'
import type { Suspect } from './suspects.ts'

const CURRENT_KEY = Buffer.from([TABLE.scan, ...Buffer.from('current')])
const REPORT_KEY = Buffer.from([TABLE.scan, ...Buffer.from('report')])
const SUSPECT_PREFIX = Buffer.from([TABLE.scan, ...Buffer.from('D')])
//  0 1 version   1 … JSON, as the schemas below say
const RECORD_VERSION = 1

const count = z.int().nonnegative()
const group = z.int().min(1).max(65_535)

export const scanOutcomes = [
  'running',
  'clean',
  'incomplete',
  'damaged',
  'stopped',
  'failed',
] as const

const current = z.strictObject({
  /** counted from 1 in the life of the store */
  id: count,
  /** block files are read too */
  readsData: z.boolean(),
  /** id of a storage group; null = all */
  group: group.nullable(),
  startedSeconds: count,
  /** block files below are through */
  nextBlock: count,
  readBytes: count,
  readBlocks: count,
  /** it waits between the windows of the schedule */
  isScheduled: z.boolean().default(false),
})

const report = z.strictObject({
  id: count,
  readsData: z.boolean(),
  group: group.nullable(),
  startedSeconds: count,
  endedSeconds: count,
  outcome: z.enum(scanOutcomes),
  /** why it has failed or is not complete */
  text: z.string().max(1000),
  recordCount: count,
  readBytes: count,
  readBlocks: count,
  checks: z.array(z.strictObject({ check: z.enum(CHECK_NAMES), count })),
  findings: z.array(z.strictObject({ check: z.enum(CHECK_NAMES), text: z.string() })),
  damagedBlocks: z.array(z.strictObject({ block: count, group: count, reason: z.string() })),
  damagedBlockCount: count,
  lostFiles: z.array(
    z.strictObject({
      inode: count,
      /** below the mount; null when it has no name that can be read */
      path: z.string().nullable(),
      ranges: z.array(z.strictObject({ startBytes: count, lengthBytes: count })),
      rangeCount: count,
      lostBytes: count,
      block: count,
    }),
  ),
  lostFileCount: count,
  lostBytes: count,
  /** whose block files were not read */
  lockedGroups: z.array(group),
})

const suspect = z.strictObject({
  block: count,
  group: count,
  isDamaged: z.boolean(),
  reason: z.string(),
  whole: z.array(count),
})

export type RunningScan = z.output<typeof current>
export type ScanReport = z.output<typeof report>

export class ScanBook implements CommitParticipant {
  #current: RunningScan | undefined
  #report: ScanReport | undefined
  readonly #suspects = new Map<number, Suspect>()
  readonly #changedSuspects = new Set<number>()
  #isChanged = false

  /** @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED */
  async load(metadata: MetadataReader): Promise<void> {
    this.#current = parse(current, metadata.get(CURRENT_KEY))
    this.#report = parse(report, metadata.get(REPORT_KEY))
    for await (const { value } of metadata.range(SUSPECT_PREFIX, prefixEnd(SUSPECT_PREFIX))) {
      const found = parse(suspect, value)
      if (found !== undefined) this.#suspects.set(found.block, found)
    }
  }

  /** Of an earlier life that didn't end it, or of this one. */
  get current(): RunningScan | undefined {
    return this.#current
  }

  /** Of the last scan that ended. */
  get report(): ScanReport | undefined {
    return this.#report
  }

  /** What the current scan has found in block files so far. */
  suspects(): Suspect[] {
    return [...this.#suspects.values()]
  }

  begin(scan: Omit<RunningScan, 'id'>): RunningScan {
    this.#dropSuspects()
    const begun = { ...scan, id: Math.max(this.#report?.id ?? 0, this.#current?.id ?? 0) + 1 }
    this.#current = begun
    this.#isChanged = true
    return begun
  }

  /** The scan that waits for its next window is given up. */
  drop(): void {
    this.#dropSuspects()
    this.#current = undefined
    this.#isChanged = true
  }

  /** The running scan is further. */
  update(scan: RunningScan, found?: Suspect): void {
    this.#current = scan
    this.#isChanged = true
    if (found === undefined || this.#suspects.size >= SUSPECTS_MAX) return
    this.#suspects.set(found.block, found)
    this.#changedSuspects.add(found.block)
  }

  end(ended: ScanReport): void {
    this.#dropSuspects()
    this.#report = ended
    this.#current = undefined
    this.#isChanged = true
  }

  collect(batch: MetadataWriter): void {
    if (!this.#isChanged) return
    this.#isChanged = false
    if (this.#current === undefined) batch.delete(CURRENT_KEY)
    else batch.put(CURRENT_KEY, pack(this.#current))
    if (this.#report !== undefined) batch.put(REPORT_KEY, pack(this.#report))
    for (const block of this.#changedSuspects) {
      const found = this.#suspects.get(block)
      if (found === undefined) batch.delete(suspectKey(block))
      else batch.put(suspectKey(block), pack(found))
    }
    this.#changedSuspects.clear()
  }

  settled(): void {}

  #dropSuspects(): void {
    for (const block of this.#suspects.keys()) this.#changedSuspects.add(block)
    this.#suspects.clear()
  }
}

function suspectKey(block: number): Buffer {
  const key = Buffer.alloc(SUSPECT_PREFIX.length + 4)
  key.set(SUSPECT_PREFIX)
  key.writeUInt32BE(block, SUSPECT_PREFIX.length)
  return key
}

function pack(value: unknown): Buffer {
  return Buffer.concat([Buffer.of(RECORD_VERSION), Buffer.from(JSON.stringify(value))])
}

function parse<Schema extends z.ZodType>(
  schema: Schema,
  record: Uint8Array | undefined,
): z.output<Schema> | undefined {
  if (record === undefined) return undefined
  const bytes = Buffer.from(record)
  if (bytes[0] !== RECORD_VERSION) {
    throw new StoreError('UNKNOWN_VERSION', 'A record of scans has an unknown version.')
  }
  const result = schema.safeParse(parseJson(bytes.toString('utf8', 1)))
  if (result.success) return result.data
  throw new StoreError('RECORD_DAMAGED', 'A record of scans makes no sense.', {
    cause: result.error,
  })
}

/** undefined for what is no JSON: no schema accepts it. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
