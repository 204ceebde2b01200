// What is written down about repairs: what each one did, the latest of them; and what could not be saved, the quarantine.

import { z } from 'zod'
import { packJson, parseJson, prefixEnd, TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'
import { CHECK_NAMES } from '../scan/index.ts'

/** Repairs that are remembered. */
export const REPAIRS_MAX = 30
/** Of one repair: what it did, in words. */
export const ACTIONS_KEPT_MAX = 100
export const LEFT_KEPT_MAX = 50
export const QUARANTINED_FILES_MAX = 500
export const QUARANTINED_BLOCKS_MAX = 200

const HISTORY_PREFIX = Buffer.from([TABLE.repair, ...Buffer.from('H')])
const QUARANTINE_KEY = Buffer.from([TABLE.repair, ...Buffer.from('quarantine')])
//  0 1 version   1 … JSON, as the schemas below say
const RECORD_VERSION = 1

const count = z.int().nonnegative()

export const repairOutcomes = [
  'running',
  'clean',
  'repaired',
  'incomplete',
  'stopped',
  'failed',
  'interrupted',
] as const

const report = z.strictObject({
  /** counted from 1 in the life of the store */
  id: count,
  /** id of a storage group; null = all */
  group: count.nullable(),
  startedSeconds: count,
  /** null while it runs, and when it was interrupted */
  endedSeconds: count.nullable(),
  outcome: z.enum(repairOutcomes),
  /** why it has failed or is not complete */
  text: z.string().max(1000),
  /** looks at all records */
  rounds: count,
  doneCount: count,
  /** the first ones */
  done: z.array(z.strictObject({ check: z.enum(CHECK_NAMES), text: z.string() })),
  leftCount: count,
  /** findings that nothing was done about, the first ones */
  left: z.array(z.strictObject({ check: z.enum(CHECK_NAMES), text: z.string(), why: z.string() })),
  quarantinedFileCount: count,
  /** names of files in the folder of repairs */
  backups: z.array(z.string()),
})

const file = z.strictObject({
  inode: count,
  /** below the mount; null when it has no name that can be read */
  path: z.string().nullable(),
  ranges: z.array(z.strictObject({ startBytes: count, lengthBytes: count })),
  rangeCount: count,
  lostBytes: count,
})

const quarantine = z.strictObject({
  files: z.array(file),
  /** all of them, also those that are not in the list */
  fileCount: count,
  blocks: z.array(z.strictObject({ block: count, reason: z.string() })),
})

export type RepairReport = z.output<typeof report>
export type QuarantinedFile = z.output<typeof file>
export type Quarantine = z.output<typeof quarantine>

const NOTHING: Quarantine = { files: [], fileCount: 0, blocks: [] }

export class RepairBook implements CommitParticipant {
  readonly #reports = new Map<number, RepairReport>()
  readonly #changed = new Set<number>()
  #quarantine = NOTHING
  #isQuarantineChanged = false

  /** A repair that a crash has ended is said to be interrupted. @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED */
  async load(metadata: MetadataReader): Promise<void> {
    for await (const { value } of metadata.range(HISTORY_PREFIX, prefixEnd(HISTORY_PREFIX))) {
      const found = parseJson(report, value, RECORD_VERSION, 'record of a repair')
      if (found.outcome !== 'running') this.#reports.set(found.id, found)
      else this.update({ ...found, outcome: 'interrupted' })
    }
    const record = metadata.get(QUARANTINE_KEY)
    if (record === undefined) return
    this.#quarantine = parseJson(quarantine, record, RECORD_VERSION, 'list of what is quarantined')
  }

  /** The latest last. */
  get history(): readonly RepairReport[] {
    return [...this.#reports.values()]
  }

  get quarantine(): Quarantine {
    return this.#quarantine
  }

  set quarantine(what: Quarantine) {
    this.#quarantine = what
    this.#isQuarantineChanged = true
  }

  get nextId(): number {
    return (this.history.at(-1)?.id ?? 0) + 1
  }

  /** Also the first word of a new one. @returns repairs that are forgotten, whose backups nobody needs any more */
  update(changed: RepairReport): RepairReport[] {
    this.#reports.set(changed.id, changed)
    this.#changed.add(changed.id)
    const forgotten: RepairReport[] = []
    for (const old of this.#reports.values()) {
      if (this.#reports.size <= REPAIRS_MAX) break
      this.#reports.delete(old.id)
      this.#changed.add(old.id)
      forgotten.push(old)
    }
    return forgotten
  }

  collect(batch: MetadataWriter): void {
    for (const id of this.#changed) {
      const key = historyKey(id)
      const found = this.#reports.get(id)
      if (found === undefined) batch.delete(key)
      else batch.put(key, packJson(RECORD_VERSION, found))
    }
    this.#changed.clear()
    if (this.#isQuarantineChanged) {
      batch.put(QUARANTINE_KEY, packJson(RECORD_VERSION, this.#quarantine))
      this.#isQuarantineChanged = false
    }
  }

  settled(): void {}
}

function historyKey(id: number): Buffer {
  const key = Buffer.alloc(HISTORY_PREFIX.length + 4)
  key.set(HISTORY_PREFIX)
  key.writeUInt32BE(id, HISTORY_PREFIX.length)
  return key
}
