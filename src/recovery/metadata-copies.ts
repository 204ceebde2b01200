// Keeps a copy of the metadata beside the data: gathers what commits change, and writes it down every half minute, off
// the way of the commits. When there is no generation that can be gone on with, or its journal has outgrown its
// snapshot, a new one is begun from a view of LevelDB, beside which everything goes on.
//
// Both generations get what is gathered while the new snapshot is written; the old one is deleted when it is whole.

import { setTimeout as sleep } from 'node:timers/promises'
import createDebug from 'debug'
import { DeletionProof } from '../deletion-proof.ts'
import { reportInternalError } from '../internal-errors.ts'
import type { MetadataView, MetadataWriter } from '../metadata/index.ts'
import { isCopied, nameOf } from './copy-format.ts'
import {
  CopyGeneration,
  deleteGeneration,
  discardGeneration,
  listGenerations,
} from './copy-generation.ts'
import { readGeneration, type CopyFound } from './copy-reader.ts'
import { writeProvedSnapshot } from './proved-snapshot.ts'

const log = createDebug('coffer:copies')

/** So much of what was committed may be missing from the copy. */
const INTERVAL_MS = 30_000
/** A large change is written at once. */
const GATHERED_BYTES = 4 * 1024 * 1024
/** A disk that doesn't take what is gathered must not fill the memory: the copy is given up, and begun anew. */
const GATHERED_BYTES_MAX = 64 * 1024 * 1024
/** In memory a change takes this much more than its key and value. */
const CHANGE_OVERHEAD_BYTES = 100
/** A journal is worth a new snapshot when it is larger than that, and than this. */
const JOURNAL_BYTES_MIN = 64 * 1024 * 1024
const RETRY_MS = 10 * 60_000

export interface MetadataCopiesOptions {
  /** where the copy's files are, and nothing else */
  readonly directory: string
  readonly metadata: { view(): MetadataView; commit(): Promise<void> }
  readonly nowSeconds: () => number
  /** a snapshot leaves clients and the cleaner their room */
  readonly hasRoom: () => boolean
  readonly alerts: {
    raise(code: 'METADATA_COPY', text: string): void
    clear(code: 'METADATA_COPY'): void
  }
  /** a journal that is smaller is not worth a new snapshot; for tests */
  readonly journalBytesMin?: number
}

class Stopped extends Error {}

export class MetadataCopies implements MetadataWriter {
  readonly #options: MetadataCopiesOptions
  /** what the commit under way changes; keys as latin1 */
  #committing: [key: string, value: Uint8Array | null][] = []
  /** what commits have changed since it was last written down; keys as latin1 */
  #gathered = new Map<string, Uint8Array | null>()
  #gatheredBytes = 0
  /** of the last durable commit */
  #sequence: number
  #current: CopyGeneration | undefined
  #next: CopyGeneration | undefined
  #lastNumber = 0
  #flushing: Promise<void> = Promise.resolve()
  #snapshot: Promise<void> | undefined
  #wanted: ((view: MetadataView, sequence: number) => void) | undefined
  /** how often something was written down that must go, and how often that had happened before the current snapshot */
  #staleCount = 0
  #renewedCount = 0
  #timer: NodeJS.Timeout | undefined
  #retryTimer: NodeJS.Timeout | undefined
  #isStarted = false
  #isStopping = false

  private constructor(options: MetadataCopiesOptions, sequence: number) {
    this.#options = options
    this.#sequence = sequence
  }

  /** Looks for a generation that can be gone on with. Nothing is written before `start`. */
  static async open(options: MetadataCopiesOptions, sequence: number): Promise<MetadataCopies> {
    const copies = new MetadataCopies(options, sequence)
    const [newest] = await listGenerations(options.directory)
    if (newest === undefined) return copies
    copies.#lastNumber = newest
    copies.#current = await CopyGeneration.resume(options.directory, newest, sequence).catch(
      (error: unknown) => {
        log('generation %d: %O', newest, error)
        return undefined
      },
    )
    return copies
  }

  /** The copy is durable up to this commit; -1 when there is none that is kept up. */
  get copiedSequence(): number {
    return this.#current?.sequence ?? -1
  }

  put(key: Uint8Array, value: Uint8Array): void {
    if (isCopied(key)) this.#committing.push([nameOf(key), value])
  }

  delete(key: Uint8Array): void {
    if (isCopied(key)) this.#committing.push([nameOf(key), null])
  }

  /** The commit is durable. Called before another one begins. */
  committed(sequence: number): void {
    this.#sequence = sequence
    if (this.#current !== undefined || this.#next !== undefined) this.#gather()
    this.#committing = []
    const wanted = this.#wanted
    this.#wanted = undefined
    if (wanted !== undefined) wanted(this.#options.metadata.view(), sequence)
  }

  /** There may be commits from now on. */
  start(): void {
    this.#isStarted = true
    if (this.#current === undefined || this.#isStale) this.#beginSnapshot()
  }

  /** Something that was secret all the time has been written down, and has no place there any more. */
  renew(): void {
    this.#staleCount++
    if (this.#isStarted) this.#beginSnapshot()
  }

  /**
   * What has been committed so far is in the copy, or there is no copy that could have it. Whoever deletes what an older
   * state of the metadata refers to waits for this.
   */
  async caughtUp(): Promise<void> {
    if (this.#current === undefined) await this.#snapshot
    await this.#flush()
  }

  /** The last commits are coming: a first snapshot, or one that a secret must not outlive, gets some time. */
  async stopping(waitMs: number): Promise<void> {
    if ((this.#current === undefined || this.#isStale) && this.#snapshot !== undefined) {
      const waited = new AbortController()
      const { signal } = waited
      await Promise.race([this.#snapshot, sleep(waitMs, undefined, { signal }).catch(() => {})])
      waited.abort()
    }
    this.#isStopping = true
    await this.#snapshot
  }

  /** Writes down what is left; there are no commits any more. */
  async close(): Promise<void> {
    this.#isStopping = true
    clearTimeout(this.#timer)
    clearTimeout(this.#retryTimer)
    await this.#snapshot
    // Without the last commit's mark it isn't gone on with: the next start begins a new one.
    if (!this.#isStale) await this.#flush()
    this.#current?.close()
  }

  get #isStale(): boolean {
    return this.#renewedCount < this.#staleCount
  }

  #gather(): void {
    for (const [key, value] of this.#committing) {
      const old = this.#gathered.get(key)
      if (old === undefined) this.#gatheredBytes += key.length + CHANGE_OVERHEAD_BYTES
      this.#gatheredBytes += (value?.length ?? 0) - (old?.length ?? 0)
      this.#gathered.set(key, value)
    }
    if (this.#gatheredBytes > GATHERED_BYTES_MAX) {
      this.#giveUp(new Error('the disk is too slow for it'), [this.#current, this.#next])
    } else if (this.#gatheredBytes > GATHERED_BYTES) void this.#flush()
    else if (!this.#isStopping) {
      this.#timer ??= setTimeout(() => void this.#flush(), INTERVAL_MS)
      this.#timer.unref()
    }
  }

  /** One after the other. Never rejects. */
  #flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#flushing = this.#flushing.then(() => this.#flushOnce())
    return this.#flushing
  }

  async #flushOnce(): Promise<void> {
    const changes = this.#gathered
    const sequence = this.#sequence
    const targets = [this.#current, this.#next].filter(
      target => target !== undefined && target.sequence < sequence,
    )
    if (targets.length === 0) return
    this.#gathered = new Map()
    this.#gatheredBytes = 0
    const seconds = this.#options.nowSeconds()
    for (const target of targets) {
      // Given up meanwhile.
      if (target === undefined || (target !== this.#current && target !== this.#next)) continue
      try {
        await target.append(changes, sequence, seconds)
      } catch (error) {
        this.#giveUp(error, [target])
      }
    }
    this.#lookAtSize()
  }

  #lookAtSize(): void {
    const { journalBytesMin = JOURNAL_BYTES_MIN } = this.#options
    const current = this.#current
    if (current === undefined || this.#isStopping) return
    if (current.journalBytes > Math.max(current.snapshotBytes, journalBytesMin)) {
      this.#beginSnapshot()
    }
  }

  /** What is on disk stays readable up to where it came; nothing is written behind it. */
  #giveUp(error: unknown, generations: readonly (CopyGeneration | undefined)[]): void {
    reportInternalError('copying the metadata', error)
    if (generations.includes(this.#next)) this.#next = undefined
    if (this.#current !== undefined && generations.includes(this.#current)) {
      this.#current.close()
      this.#current = undefined
    }
    if (this.#current === undefined && this.#next === undefined) {
      this.#gathered = new Map()
      this.#gatheredBytes = 0
    }
    const reason = error instanceof Error ? error.message : String(error)
    this.#options.alerts.raise('METADATA_COPY', `The copy of the metadata is behind: ${reason}.`)
    this.#retryLater()
  }

  #retryLater(): void {
    if (this.#isStopping) return
    this.#retryTimer ??= setTimeout(() => {
      this.#retryTimer = undefined
      if (this.#current === undefined || this.#isStale) this.#beginSnapshot()
    }, RETRY_MS)
    this.#retryTimer.unref()
  }

  #beginSnapshot(): void {
    if (this.#snapshot !== undefined || this.#isStopping) return
    if (!this.#options.hasRoom()) {
      this.#giveUp(new Error('there is no room for a new one'), [])
      return
    }
    this.#snapshot = this.#makeSnapshot()
      .catch((error: unknown) => {
        if (error instanceof Stopped) return
        this.#giveUp(error, [this.#next])
      })
      .finally(() => {
        this.#snapshot = undefined
        // Once more at once when the secret was dropped during it; after a failure, later.
        if (this.#isStale && this.#retryTimer === undefined) this.#beginSnapshot()
      })
  }

  async #makeSnapshot(): Promise<void> {
    const { directory, nowSeconds, metadata, alerts } = this.#options
    const staleCount = this.#staleCount
    const number = ++this.#lastNumber
    const next = CopyGeneration.create(directory, number)
    let isWhole = false
    let superseded: DeletionProof<number>[] = []
    // A commit that has begun already may still hold the secret.
    if (this.#isStale) await metadata.commit()
    const wanted = new Promise<MetadataView>(resolve => {
      this.#wanted = (view, sequence) => {
        next.begin(sequence, nowSeconds())
        this.#next = next
        resolve(view)
      }
    })
    try {
      await metadata.commit()
      const view = await wanted
      try {
        await writeProvedSnapshot(next, view, () => this.#checkGoesOn(next))
      } finally {
        await view.close()
      }
      // With a mark in its journal: only then can it be gone on with.
      await this.#flush()
      this.#checkGoesOn(next)
      if (next.sequence < 0) {
        throw new Error('the journal has no mark')
      }
      // Before it takes the older one's place: what can't be read back takes none.
      const readBack = await readGeneration(directory, number, { write: async () => undefined })
      const older = (await listGenerations(directory)).filter(each => each < number)
      superseded = older.map(each => supersededBy(next, readBack, each))
      if (readBack === undefined) throw new Error('the new one does not read back')
      isWhole = true
    } finally {
      this.#wanted = undefined
      if (this.#next === next) this.#next = undefined
      if (!isWhole) {
        next.close()
        await discardGeneration(directory, number).catch((error: unknown) => log('%O', error))
      }
    }
    this.#current?.close()
    this.#current = next
    this.#renewedCount = staleCount
    for (const proof of superseded) await deleteGeneration(directory, proof)
    alerts.clear('METADATA_COPY')
  }

  /** @throws Stopped; Error when the generation was given up */
  #checkGoesOn(next: CopyGeneration): void {
    if (this.#isStopping) throw new Stopped()
    if (this.#next !== next) throw new Error('its journal could not be written')
  }
}

/** An older generation may go when the newer one has its mark, and was read back whole. @throws EvidenceError */
function supersededBy(
  next: CopyGeneration,
  readBack: CopyFound | undefined,
  older: number,
): DeletionProof<number> {
  const sequence = readBack?.sequence ?? -1
  return DeletionProof.prove(
    `Copy ${older} of the metadata`,
    older,
    {
      source: 'own record',
      isDead: next.sequence >= 0,
      detail: `the newer copy has its mark at commit ${next.sequence}`,
    },
    {
      source: 'newer copy',
      isDead: sequence >= 0 && sequence <= next.sequence,
      detail: sequence < 0 ? 'it does not read back' : `it reads back up to commit ${sequence}`,
    },
  )
}
