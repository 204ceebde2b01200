// What is written down about passes: the one that runs, so that it goes on after a restart, and those that have ended.

import { z } from 'zod'
import { packJson, parseJson, TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'

const CURRENT_KEY = Buffer.from([TABLE.pass, ...Buffer.from('current')])
const HISTORY_KEY = Buffer.from([TABLE.pass, ...Buffer.from('history')])
//  0 1 version   1 … JSON, as the schemas below say
const RECORD_VERSION = 1
/** Some weeks of daily passes. */
const HISTORY_MAX = 50

const count = z.int().nonnegative()

const passCounts = z.strictObject({
  freedBytes: count,
  writtenBytes: count,
  compactedBytes: count,
  recompressedBytes: count,
  encryptedBytes: count,
  freedBlocks: count,
  copiedBlocks: count,
  damagedBlocks: count,
  retiredKeys: count,
})

export const passKinds = ['manual', 'idle', 'scheduled', 'forced'] as const
export const passOutcomes = ['running', 'complete', 'incomplete', 'stopped', 'failed'] as const

const passReport = z.strictObject({
  /** counted from 1 in the life of the store */
  id: count,
  kind: z.enum(passKinds),
  /** id of a storage group; null = all */
  group: z.int().min(1).max(65_535).nullable(),
  startedSeconds: count,
  endedSeconds: count.nullable(),
  outcome: z.enum(passOutcomes),
  /** why it is incomplete or has failed */
  text: z.string().max(1000),
  /** by how much the plan said that the store will shrink */
  plannedBytes: count,
  counts: passCounts,
})

const history = z.strictObject({
  passes: z.array(passReport).max(HISTORY_MAX),
  lastId: count,
  /** end of the last pass over all groups that left nothing undone; 0 = there was none */
  lastFullSeconds: count,
  /** since when there has been something to clean; 0 = there is nothing */
  debtSinceSeconds: count,
})

export type PassKind = (typeof passKinds)[number]
export type PassReport = z.output<typeof passReport>
type History = z.output<typeof history>

export class PassBook implements CommitParticipant {
  #history: History
  #current: PassReport | undefined
  #isChanged = false

  /** @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED */
  constructor(metadata: MetadataReader) {
    this.#history = parse(history, metadata.get(HISTORY_KEY)) ?? {
      passes: [],
      lastId: 0,
      lastFullSeconds: 0,
      debtSinceSeconds: 0,
    }
    this.#current = parse(passReport, metadata.get(CURRENT_KEY))
  }

  /** Of an earlier life that didn't end it, or of this one. */
  get current(): PassReport | undefined {
    return this.#current
  }

  /** The latest last. */
  get passes(): readonly PassReport[] {
    return this.#history.passes
  }

  get lastFullSeconds(): number {
    return this.#history.lastFullSeconds
  }

  get debtSinceSeconds(): number {
    return this.#history.debtSinceSeconds
  }

  /** There is something to clean since then (0 = nothing). */
  owe(debtSinceSeconds: number): void {
    if (debtSinceSeconds === this.#history.debtSinceSeconds) return
    this.#history = { ...this.#history, debtSinceSeconds }
    this.#isChanged = true
  }

  begin(pass: Omit<PassReport, 'id'>): PassReport {
    this.#history = { ...this.#history, lastId: this.#history.lastId + 1 }
    const begun = { ...pass, id: this.#history.lastId }
    this.#current = begun
    this.#isChanged = true
    return begun
  }

  /** The running pass is further. */
  update(pass: PassReport): void {
    this.#current = pass
    this.#isChanged = true
  }

  /** @param isFull it was over all groups and left nothing undone */
  end(pass: PassReport, isFull: boolean): void {
    const { passes, lastFullSeconds } = this.#history
    this.#history = {
      ...this.#history,
      passes: [...passes, pass].slice(-HISTORY_MAX),
      lastFullSeconds: isFull ? (pass.endedSeconds ?? lastFullSeconds) : lastFullSeconds,
      ...(isFull && { debtSinceSeconds: 0 }),
    }
    this.#current = undefined
    this.#isChanged = true
  }

  collect(batch: MetadataWriter): void {
    if (!this.#isChanged) return
    this.#isChanged = false
    batch.put(HISTORY_KEY, pack(this.#history))
    if (this.#current === undefined) batch.delete(CURRENT_KEY)
    else batch.put(CURRENT_KEY, pack(this.#current))
  }

  settled(): void {}
}

function pack(value: unknown): Buffer {
  return packJson(RECORD_VERSION, value)
}

function parse<Schema extends z.ZodType>(
  schema: Schema,
  record: Uint8Array | undefined,
): z.output<Schema> | undefined {
  if (record === undefined) return undefined
  return parseJson(schema, record, RECORD_VERSION, 'record of the cleaner')
}
