// Has the chunk filter there: from its file after an end in good order, from the index after any other, and again when it is
// more about what is gone than about what is there.

import { rm } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import createDebug from 'debug'
import { StoreError } from '../errors.ts'
import { ChunkFilter, type Filling } from './chunk-filter.ts'
import { indexRange } from './chunk-index.ts'
import { loadFilter, saveFilter } from './filter-file.ts'

const log = createDebug('coffer:filter')

/** What an entry of the index takes in LevelDB: key, frame, location, and its share of the table. */
const ENTRY_BYTES = 57
/** Three quarters of the time are left to everybody else, whatever the machine. */
const PAUSE_FACTOR = 3
/** While the filter is filled there will be more. */
const HEADROOM = 1.25

export interface FilterSource {
  /** Keys with `from` <= key < `to`, in pieces, as of the call. */
  keys(from: Uint8Array, to: Uint8Array): AsyncIterable<readonly Uint8Array[]>
  sizeBytes(from: Uint8Array, to: Uint8Array): Promise<number>
}

export interface FilterKeeperOptions {
  /** the filter's file */
  readonly path: string
  readonly source: FilterSource
  /** of the filter, in memory */
  readonly bytesMax: number
}

export class FilterKeeper {
  readonly filter: ChunkFilter
  readonly #options: FilterKeeperOptions
  readonly #end = new AbortController()
  #filling: Promise<void> | undefined
  #hasFailed = false

  private constructor(options: FilterKeeperOptions, filter: ChunkFilter) {
    this.#options = options
    this.filter = filter
  }

  /**
   * Changes nothing on the disk.
   * @param sequence number of the last commit
   */
  static async open(options: FilterKeeperOptions, sequence: number): Promise<FilterKeeper> {
    const { path, bytesMax } = options
    const state = await loadFilter(path, sequence, bytesMax).catch((error: unknown) => {
      if (!(error instanceof StoreError)) throw error
      log('%s', error.message)
      return undefined
    })
    return new FilterKeeper(options, new ChunkFilter(bytesMax, state))
  }

  /** From now on the index changes. */
  async start(): Promise<void> {
    // A file that comes back after a power cut is of another commit than the index is.
    await rm(this.#options.path, { force: true })
    if (!this.filter.isComplete) this.#fill()
  }

  /** To be called after each commit, before the next one collects. */
  look(): void {
    if (this.filter.isStale) this.#fill()
  }

  /** The end of filling, if it goes on. */
  async settled(): Promise<void> {
    await this.#filling
  }

  /** Before the index is closed. */
  async stop(): Promise<void> {
    this.#end.abort()
    await this.#filling
  }

  /**
   * Nothing changes the index any more, and its last commit had this number.
   * @param roomBytes what there is on the disk, beside what the next start needs before it takes the file away
   */
  async save(sequence: number, roomBytes: number): Promise<void> {
    const { state, isStale, bytes } = this.filter
    if (state === undefined || isStale) return
    if (bytes > roomBytes) {
      log('there is no room for the filter, which has %d bytes', bytes)
      return
    }
    try {
      await saveFilter(this.#options.path, sequence, state)
    } catch (error) {
      // A full disk, perhaps: the next start has to read the index.
      log('the filter is not kept: %O', error)
    }
  }

  /** Between two commits: what they have collected is in the index, or comes to the new filter. */
  #fill(): void {
    if (this.#filling !== undefined || this.#hasFailed || this.#end.signal.aborted) return
    const filling = this.filter.fill()
    this.#filling = this.#fillFromIndex(filling)
      .catch((error: unknown) => {
        filling.abandon()
        if (this.#end.signal.aborted) return
        // Without a filter every question goes to LevelDB, which tells whoever asks what is wrong. It would be no better in a moment.
        this.#hasFailed = true
        log('the index could not be read: %O', error)
      })
      .finally(() => {
        this.#filling = undefined
      })
  }

  async #fillFromIndex(filling: Filling): Promise<void> {
    const { source } = this.#options
    const { from, to } = indexRange()
    const startedMs = performance.now()
    const sizeBytes = await source.sizeBytes(from, to)
    filling.expect(Math.ceil((sizeBytes / ENTRY_BYTES) * HEADROOM))
    let sliceMs = performance.now()
    for await (const keys of source.keys(from, to)) {
      for (const key of keys) filling.add(key)
      const workMs = performance.now() - sliceMs
      await pause(workMs * PAUSE_FACTOR, undefined, { signal: this.#end.signal })
      sliceMs = performance.now()
    }
    filling.finish()
    log('filled in %d ms: %d bytes', Math.round(performance.now() - startedMs), this.filter.bytes)
  }
}
