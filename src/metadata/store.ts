// The metadata store: LevelDB behind checked reads, and the one commit. Nothing else writes to LevelDB, and every write
// is a synced batch: `sync` covers only LevelDB's current log, so an unsynced batch could vanish behind a synced one
// (google/leveldb#193).

import { realpathSync } from 'node:fs'
import createDebug from 'debug'
import { Level } from 'level'
import { StoreError } from '../errors.ts'
import type {
  CheckedEntry,
  CommitParticipant,
  Committer,
  MetadataReader,
  MetadataSnapshot,
  MetadataWriter,
} from './contract.ts'
import { packFrame, parseFrame } from './frame.ts'
import { TABLE } from './keys.ts'

const log = createDebug('coffer:metadata')

/** 16 MiB was as good as any in measurements, and 64 MiB slower. */
const WRITE_BUFFER_BYTES = 16 * 1024 * 1024
const CACHE_BYTES = 16 * 1024 * 1024
/** Larger tables than LevelDB's 2 MiB, so that a big index doesn't run through the table cache. */
const TABLE_FILE_BYTES = 16 * 1024 * 1024
const RANGE_BATCH_ENTRIES = 1000
/** Extent pages have up to 10 KiB; the default of 16 KiB would fetch them one by one. Parsing so much takes some 1 ms. */
const RANGE_BATCH_BYTES = 1024 * 1024
/** What is not fsynced may wait this long for its commit (promise 1). */
const COMMIT_INTERVAL_MS = 5000

/** A commit collects in one turn of the event loop: this many records take it some 10 ms. */
const PENDING_RECORDS_MAX = 4096

const SEQUENCE_KEY = Buffer.from([TABLE.superblock, ...Buffer.from('sequence')])
const SEQUENCE_BYTES = 8

export interface MetadataStoreOptions {
  /** directory of the LevelDB database */
  readonly directory: string
  readonly createIfMissing: boolean
  /** Makes durable what the batch will refer to: block bytes before metadata (promise 1). */
  readonly syncData: () => Promise<void>
  /** Moves unflushed data towards the block files before a periodic commit. */
  readonly flushData: () => Promise<void>
  /** A commit is durable; runs before its waiters hear of it. What goes wrong in here is the callee's to handle. */
  readonly committed: (sequence: number) => Promise<void>
  /** A commit failed: the store must become read-only (promise 3). Called once. */
  readonly failed: (error: Error) => void
}

interface Waiter {
  resolve(): void
  reject(error: Error): void
}

/** Opens (or makes) the database. @throws StoreError STORE_IN_USE, METADATA_UNREADABLE */
export async function openMetadataStore(options: MetadataStoreOptions): Promise<MetadataStore> {
  const database = new Level<Uint8Array, Buffer>(realpathSync(options.directory), {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    createIfMissing: options.createIfMissing,
    // Fingerprints don't compress, and uncompressed tables are read straight from the mapping.
    compression: false,
    writeBufferSize: WRITE_BUFFER_BYTES,
    cacheSize: CACHE_BYTES,
    maxFileSize: TABLE_FILE_BYTES,
  })
  try {
    await database.open()
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined
    const isLocked = cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_LOCKED'
    throw isLocked
      ? new StoreError('STORE_IN_USE', 'Another daemon has this store open.', { cause: error })
      : new StoreError('METADATA_UNREADABLE', 'The metadata database does not open.', {
          cause: error,
        })
  }
  return new MetadataStore(database, options)
}

export class MetadataStore implements MetadataReader, Committer {
  readonly #database: Level<Uint8Array, Buffer>
  readonly #options: MetadataStoreOptions
  readonly #participants: CommitParticipant[] = []
  #sequence: number
  #waiters: Waiter[] = []
  #isRunning = false
  #pendingRecords = 0
  #timer: NodeJS.Timeout | undefined
  #failure: Error | undefined
  #hasBegun = false
  #isClosed = false

  constructor(database: Level<Uint8Array, Buffer>, options: MetadataStoreOptions) {
    this.#database = database
    this.#options = options
    const record = this.get(SEQUENCE_KEY)
    this.#sequence = record === undefined ? 0 : Number(Buffer.from(record).readBigUInt64LE(0))
  }

  /** Number of the last durable commit; 0 in a new store. */
  get sequence(): number {
    return this.#sequence
  }

  /** Participants collect in the order in which they were added. */
  addParticipant(participant: CommitParticipant): void {
    this.#participants.push(participant)
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const frame = this.#database.getSync(key)
    return frame === undefined ? undefined : parseFrame(key, frame)
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    const frames = await this.#database.getMany([...keys])
    return frames.map((frame, index) =>
      frame === undefined ? undefined : parseFrame(keys[index] ?? SEQUENCE_KEY, frame),
    )
  }

  async *range(
    from: Uint8Array,
    to: Uint8Array,
  ): AsyncIterable<{ key: Uint8Array; value: Uint8Array }> {
    const iterator = this.#database.iterator({
      gte: from,
      lt: to,
      highWaterMarkBytes: RANGE_BATCH_BYTES,
    })
    try {
      for (;;) {
        const entries = await iterator.nextv(RANGE_BATCH_ENTRIES)
        if (entries.length === 0) return
        for (const [key, value] of entries) yield { key, value: parseFrame(key, value) }
      }
    } finally {
      await iterator.close()
    }
  }

  /** All records as of the last commit. */
  snapshot(): MetadataSnapshot {
    const snapshot = this.#database.snapshot()
    const database = this.#database
    return {
      get: key => {
        const frame = database.getSync(key, { snapshot })
        return frame === undefined ? undefined : parseFrame(key, frame)
      },
      entries: (from, to) => checkedEntries(database, snapshot, from, to),
      close: () => snapshot.close(),
    }
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
      // A failure has been reported through `failed`; the data's own errors wait in their files.
      this.#periodicCommit().catch(error => log('periodic commit: %O', error))
    }, COMMIT_INTERVAL_MS)
    this.#timer.unref()
  }

  /** All participants are there: from now on there may be commits. Until then the store stays exactly as it was. */
  begin(): void {
    this.#hasBegun = true
    this.touched()
  }

  commit(): Promise<void> {
    if (!this.#hasBegun || this.#isClosed) {
      return Promise.reject(new Error('a commit before the beginning or after the end'))
    }
    return this.#ask()
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
    try {
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
      const waiters = this.#waiters
      this.#waiters = []
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

  async #commitOnce(): Promise<void> {
    // A chained batch: putting costs LevelDB's binding a tenth of what an array of operations does, and all of it is
    // time of the event loop.
    const batch = this.#database.batch()
    const writer: MetadataWriter = {
      put: (key, value) => void batch.put(key, packFrame(key, value)),
      delete: key => void batch.del(key),
    }
    try {
      this.#pendingRecords = 0
      for (const participant of this.#participants) participant.collect(writer)
      await this.#options.syncData()
      const sequence = this.#sequence + 1
      const record = Buffer.alloc(SEQUENCE_BYTES)
      record.writeBigUInt64LE(BigInt(sequence))
      writer.put(SEQUENCE_KEY, record)
      await batch.write({ sync: true })
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

async function* checkedEntries(
  database: Level<Uint8Array, Buffer>,
  snapshot: ReturnType<Level<Uint8Array, Buffer>['snapshot']>,
  from: Uint8Array,
  to: Uint8Array | undefined,
): AsyncGenerator<CheckedEntry, void, undefined> {
  const iterator = database.iterator({
    gte: from,
    ...(to !== undefined && { lt: to }),
    snapshot,
    highWaterMarkBytes: RANGE_BATCH_BYTES,
  })
  try {
    for (;;) {
      const entries = await iterator.nextv(RANGE_BATCH_ENTRIES)
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
