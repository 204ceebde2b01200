// The metadata store: LevelDB behind checked reads, and the one commit. Nothing else writes to LevelDB, and every write
// is a synced batch: `sync` covers only LevelDB's current log, so an unsynced batch could vanish behind a synced one
// (google/leveldb#193).

import createDebug from 'debug'
import { reporterOf } from '../internal-errors.ts'
import { StoreError } from '../errors.ts'
import { durably, isLost } from '../fault-points.ts'
import type {
  CheckedEntry,
  CommitParticipant,
  Committer,
  MetadataReader,
  MetadataSnapshot,
  MetadataView,
  MetadataWriter,
} from './contract.ts'
import { openDatabase } from './database.ts'
import type { Database, DatabaseOptions } from './database.ts'
import { packFrame, parseFrame, payloadOf } from './frame.ts'
import { TABLE } from './keys.ts'
import { damageOf, writeDamageOf } from './level-damage.ts'
import { packSequence, parseSequence } from './sequence.ts'
import { TableMonitor } from './tables/index.ts'
import type { Finding, VerifyOptions } from './tables/index.ts'
import { warmTables } from './warming.ts'

const log = createDebug('coffer:metadata')

const RANGE_BATCH_ENTRIES = 1000
/**
 * Most ranges are short, and the binding keeps room for a whole batch, 64 bytes an entry, until its iterator is collected as
 * garbage: with 1,000 entries at once, deleting 60,000 small files took 400 MiB.
 */
const RANGE_FIRST_BATCH_ENTRIES = 16
const RANGE_BATCH_GROWTH = 16
/** Extent pages have up to 10 KiB; the default of 16 KiB would fetch them one by one. Parsing so much takes some 1 ms. */
const RANGE_BATCH_BYTES = 1024 * 1024
/** What is not fsynced may wait this long for its commit (promise 1). */
const COMMIT_INTERVAL_MS = 5000

/** A commit collects in one turn of the event loop, and lets go in another: so many records take some 10 ms each time. */
const PENDING_RECORDS_MAX = 4096

export const SEQUENCE_KEY = Buffer.from([TABLE.superblock, ...Buffer.from('sequence')])

export interface MetadataStoreOptions extends DatabaseOptions {
  /** Makes durable what the batch will refer to: block bytes before metadata (promise 1). */
  readonly syncData: () => Promise<void>
  /**
   * Rejects when the disk has no room for a commit: LevelDB can't go on after a write that failed, so it isn't begun. What
   * was to be committed waits.
   */
  readonly checkRoom?: () => Promise<void>
  /**
   * Stores what every commit must have, while there is something; asked again until it returns undefined, and the commit is
   * collected in that same turn.
   */
  readonly storeFirst?: () => Promise<void> | undefined
  /** Moves unflushed data towards the block files before a periodic commit. */
  readonly flushData: () => Promise<void>
  /**
   * Sees what goes into a commit, before anybody knows whether it will be one. The values' memory is its own from then on.
   */
  readonly observer?: MetadataWriter
  /** A commit is durable; runs before its waiters hear of it. What goes wrong in here is the callee's to handle. */
  readonly committed: (sequence: number) => Promise<void>
  /** A file of the database is damaged. Called once for each finding. */
  readonly damaged?: (finding: Finding) => void
  /** A commit failed: the store must become read-only (promise 3). Called once. */
  readonly failed: (error: Error) => void
}

interface Waiter {
  resolve(): void
  reject(error: Error): void
}

/** Opens (or makes) the database. @throws StoreError as openDatabase does, RECORD_DAMAGED */
export async function openMetadataStore(options: MetadataStoreOptions): Promise<MetadataStore> {
  const database = await openDatabase(options)
  try {
    return new MetadataStore(database, options)
  } catch (error) {
    await database.close()
    throw error
  }
}

/** What `level` is on Node, and its types don't say. */
interface SizedDatabase {
  approximateSize(from: Uint8Array, to: Uint8Array): Promise<number>
}

function knowsSizes(database: object): database is SizedDatabase {
  return 'approximateSize' in database
}

export class MetadataStore implements MetadataReader, Committer {
  readonly #database: Database
  readonly #options: MetadataStoreOptions
  /**
   * Verifies LevelDB's files. Nothing here calls it: `look()` is for after commits and every few seconds, `verifyAll()` for
   * before anything is deleted as garbage.
   */
  readonly monitor: TableMonitor
  readonly #participants: CommitParticipant[] = []
  #sequence: number
  #waiters: Waiter[] = []
  #isRunning = false
  /** the next commit is tried even if there seems to be no room */
  #isForced = false
  #pendingRecords = 0
  #timer: NodeJS.Timeout | undefined
  #failure: Error | undefined
  #hasBegun = false
  #isClosed = false
  /** What LevelDB throws in a read: damage gets our words, and is told. */
  readonly #damaged = (error: unknown): never => {
    const damage = damageOf(error, this.#options.directory)
    if (damage !== error && damage instanceof Error) {
      this.#options.damaged?.({ file: 'metadata', what: damage.message })
    }
    throw damage
  }
  readonly #warming = new AbortController()
  #warmed: Promise<void> = Promise.resolve()

  constructor(database: Database, options: MetadataStoreOptions) {
    this.#database = database
    this.#options = options
    this.monitor = new TableMonitor({
      directory: options.directory,
      ...(options.damaged && { onDamage: options.damaged }),
    })
    const record = this.get(SEQUENCE_KEY)
    this.#sequence = record === undefined ? 0 : parseSequence(record)
  }

  /** Number of the last durable commit; 0 in a new store. */
  get sequence(): number {
    return this.#sequence
  }

  /** What is damaged in the database's files, as far as it is known. */
  get damage(): readonly Finding[] {
    return this.monitor.damage
  }

  /** Verifies every file of the database. @returns everything that is wrong now */
  verify(options: VerifyOptions = {}): Promise<readonly Finding[]> {
    return this.monitor.verifyAll(options)
  }

  /** Participants collect in the order in which they were added. */
  addParticipant(participant: CommitParticipant): void {
    this.#participants.push(participant)
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const frame = this.#read(() => this.#database.getSync(key))
    return frame === undefined ? undefined : parseFrame(key, frame)
  }

  /** What lies there, checked or not: for whoever keeps a copy of a record before it is changed. */
  frame(key: Uint8Array): Uint8Array | undefined {
    return this.#read(() => this.#database.getSync(key))
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    const frames = await this.#database.getMany([...keys]).catch(this.#damaged)
    return frames.map((frame, index) =>
      frame === undefined ? undefined : parseFrame(keys[index] ?? SEQUENCE_KEY, frame),
    )
  }

  /** About what the records with `from` <= key < `to` take on disk, in tables; those in LevelDB's log alone don't count. */
  async sizeBytes(from: Uint8Array, to: Uint8Array): Promise<number> {
    if (!knowsSizes(this.#database)) throw new Error('the database has no approximateSize')
    return await this.#database.approximateSize(from, to).catch(this.#damaged)
  }

  range(
    from: Uint8Array,
    to: Uint8Array,
    damaged?: (key: Uint8Array) => void,
  ): AsyncIterable<{ key: Uint8Array; value: Uint8Array }> {
    return this.#range(from, to, damaged)
  }

  /** Keys with `from` <= key < `to`, ascending, in pieces, as of the call. */
  async *keys(from: Uint8Array, to: Uint8Array): AsyncIterable<readonly Uint8Array[]> {
    const keys = this.#database.keys({ gte: from, lt: to, highWaterMarkBytes: RANGE_BATCH_BYTES })
    try {
      for (;;) {
        const piece = await keys.nextv(RANGE_BATCH_ENTRIES).catch(this.#damaged)
        if (piece.length === 0) return
        yield piece
      }
    } finally {
      await keys.close()
    }
  }

  /** Within `committed`, the view is of exactly that commit. */
  view(): MetadataView {
    const snapshot = this.#database.snapshot()
    return {
      range: (from, to) => this.#range(from, to, undefined, snapshot),
      close: () => snapshot.close(),
    }
  }

  async *#range(
    from: Uint8Array,
    to: Uint8Array,
    damaged?: (key: Uint8Array) => void,
    snapshot?: ReturnType<Database['snapshot']>,
  ): AsyncIterable<{ key: Uint8Array; value: Uint8Array }> {
    const iterator = this.#database.iterator({
      gte: from,
      lt: to,
      ...(snapshot && { snapshot }),
      highWaterMarkBytes: RANGE_BATCH_BYTES,
    })
    try {
      for (let count = RANGE_FIRST_BATCH_ENTRIES; ; count *= RANGE_BATCH_GROWTH) {
        const entries = await iterator
          .nextv(Math.min(count, RANGE_BATCH_ENTRIES))
          .catch(this.#damaged)
        if (entries.length === 0) return
        for (const [key, frame] of entries) {
          const value = parseOr(key, frame, damaged)
          if (value !== undefined) yield { key, value }
        }
      }
    } finally {
      await iterator.close()
    }
  }

  #read<Value>(read: () => Value): Value {
    try {
      return read()
    } catch (error) {
      return this.#damaged(error)
    }
  }

  /** All records as of the last commit. */
  snapshot(): MetadataSnapshot {
    return snapshotOf(this.#database, this.#damaged)
  }

  touched(recordCount = 0): void {
    this.#pendingRecords += recordCount
    if (!this.#hasBegun || this.#isClosed || this.#failure !== undefined) return
    if (this.#pendingRecords >= PENDING_RECORDS_MAX && !this.#isRunning) {
      // Whoever wants to know waits for a commit of his own; a failure has been reported through `failed`.
      this.commit().catch(error => log('early commit: %O', error))
    }
    if (this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      // A failure has been reported through `failed`; the data's own errors wait in their files. What had no room is tried
      // again.
      this.#periodicCommit().catch(error => {
        log('periodic commit: %O', error)
        this.touched()
      })
    }, COMMIT_INTERVAL_MS)
    this.#timer.unref()
  }

  /** All participants are there: from now on there may be commits. Until then the store stays exactly as it was. */
  begin(): void {
    this.#hasBegun = true
    this.touched()
    this.#warmed = warmTables(this.#options.directory, this.#warming.signal).then(
      bytes => log('%d bytes of filters are in memory', bytes),
      // A table that LevelDB has deleted meanwhile, or the end: whatever was not read is read when it is needed.
      (error: unknown) => log('not all filters are in memory: %O', error),
    )
  }

  commit(): Promise<void> {
    if (!this.#hasBegun || this.#isClosed) {
      return Promise.reject(new Error('a commit before the beginning or after the end'))
    }
    return this.#ask()
  }

  /** The same, for what must not wait until there is room: something outside has been changed already. */
  commitRegardless(): Promise<void> {
    this.#isForced = true
    return this.commit()
  }

  #ask(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#readOnlyError())
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
      if (!this.#isRunning) void this.#run()
    })
  }

  /** A last commit and the end. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#warming.abort()
    try {
      await this.monitor.stop()
      await this.#warmed
      this.#isForced = true
      if (this.#hasBegun && this.#failure === undefined) await this.#ask()
    } finally {
      await this.#database.close()
    }
  }

  /** The end without a commit, for a start that failed: a store that was refused must stay exactly as it was. */
  async abandon(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.monitor.stop()
    await this.#database.close()
  }

  async #periodicCommit(): Promise<void> {
    try {
      await this.#options.flushData()
    } finally {
      await this.commit()
    }
  }

  /** One commit after the other as long as somebody waits: who asks during a commit shares the next one. */
  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#waiters.length > 0) {
      const refusal = await this.#refusal()
      if (refusal === undefined || this.#isForced) await this.#storeFirst()
      // In one turn: whoever forces a commit and is among the waiters is heard.
      const waiters = this.#waiters
      this.#waiters = []
      const isForced = this.#isForced
      this.#isForced = false
      if (refusal !== undefined && !isForced) {
        // Counted anew: otherwise each further change would ask for room.
        this.#pendingRecords = 0
        for (const waiter of waiters) waiter.reject(refusal)
        continue
      }
      try {
        await this.#commitOnce()
        for (const waiter of waiters) waiter.resolve()
      } catch (cause) {
        this.#fail(cause instanceof Error ? cause : new Error(String(cause)))
        for (const waiter of [...waiters, ...this.#waiters]) waiter.reject(this.#readOnlyError())
        this.#waiters = []
      }
    }
    // In the same turn as the last look at the waiters, so that nobody can arrive in between.
    this.#isRunning = false
  }

  async #storeFirst(): Promise<void> {
    const { storeFirst } = this.#options
    for (let storing = storeFirst?.(); storing !== undefined; storing = storeFirst?.()) {
      // Whoever wrote the data is told by its file; the commit must not hang with it.
      await storing.catch(reporterOf('storing data before a commit'))
    }
  }

  /** Why there can be no commit now, which is no failure. */
  async #refusal(): Promise<Error | undefined> {
    return await this.#options.checkRoom?.().then(
      () => undefined,
      (cause: unknown) => (cause instanceof Error ? cause : new Error(String(cause))),
    )
  }

  async #commitOnce(): Promise<void> {
    // A chained batch: putting costs LevelDB's binding a tenth of what an array of operations does, and all of it is
    // time of the event loop.
    const batch = this.#database.batch()
    const { observer } = this.#options
    const writer: MetadataWriter = {
      put: (key, value) => {
        const frame = packFrame(key, value)
        batch.put(key, frame)
        observer?.put(key, payloadOf(frame))
      },
      delete: key => {
        batch.del(key)
        observer?.delete(key)
      },
    }
    try {
      this.#pendingRecords = 0
      for (const participant of this.#participants) participant.collect(writer)
      await this.#options.syncData()
      const sequence = this.#sequence + 1
      writer.put(SEQUENCE_KEY, packSequence(sequence))
      const sync = !isLost('metadata.batch')
      await durably('metadata.batch', () => batch.write({ sync })).catch((error: unknown) => {
        throw writeDamageOf(error, this.#options.directory)
      })
      this.#sequence = sequence
    } finally {
      await batch.close()
    }
    for (const participant of this.#participants) participant.settled()
    await this.#options.committed(this.#sequence)
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#options.failed(error)
  }

  #readOnlyError(): StoreError {
    return new StoreError('STORE_READ_ONLY', 'The store is read-only since a commit failed.', {
      cause: this.#failure,
    })
  }
}

function parseOr(
  key: Uint8Array,
  frame: Buffer,
  damaged: ((key: Uint8Array) => void) | undefined,
): Uint8Array | undefined {
  try {
    return parseFrame(key, frame)
  } catch (error) {
    if (damaged === undefined) throw error
    damaged(key)
    return undefined
  }
}

/**
 * Checked reads of all records as they are now.
 * @param damaged turns what LevelDB throws into an error of ours
 */
export function snapshotOf(
  database: Database,
  damaged: (error: unknown) => never,
): MetadataSnapshot {
  const snapshot = database.snapshot()
  return {
    get: key => {
      const frame = readSync(database, key, snapshot, damaged)
      return frame === undefined ? undefined : parseFrame(key, frame)
    },
    entries: (from, to) => checkedEntries(database, snapshot, from, to, damaged),
    close: () => snapshot.close(),
  }
}

function readSync(
  database: Database,
  key: Uint8Array,
  snapshot: ReturnType<Database['snapshot']>,
  damaged: (error: unknown) => never,
): Buffer | undefined {
  try {
    return database.getSync(key, { snapshot })
  } catch (error) {
    return damaged(error)
  }
}

async function* checkedEntries(
  database: Database,
  snapshot: ReturnType<Database['snapshot']>,
  from: Uint8Array,
  to: Uint8Array | undefined,
  damaged: (error: unknown) => never,
): AsyncGenerator<CheckedEntry, void, undefined> {
  const iterator = database.iterator({
    gte: from,
    ...(to !== undefined && { lt: to }),
    snapshot,
    highWaterMarkBytes: RANGE_BATCH_BYTES,
  })
  try {
    for (;;) {
      const entries = await iterator.nextv(RANGE_BATCH_ENTRIES).catch(damaged)
      if (entries.length === 0) return
      for (const [key, value] of entries) yield checkedEntry(key, value)
    }
  } finally {
    await iterator.close()
  }
}

function checkedEntry(key: Uint8Array, frame: Buffer): CheckedEntry {
  try {
    return { key, value: parseFrame(key, frame) }
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    return { key, damage: error.message }
  }
}
