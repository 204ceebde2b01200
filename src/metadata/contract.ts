// What the layers above see of the metadata store: checked reads, and participation in the one commit.

/**
 * One ordered key space. The first byte of a key is its table (see key.ts); integers in keys are big-endian so that
 * ranges iterate in numeric order.
 */
export interface MetadataReader {
  /** The checked payload, or undefined. @throws StoreError RECORD_DAMAGED */
  get(key: Uint8Array): Uint8Array | undefined
  /** Several keys in one native call off the main thread, in the same order. @throws StoreError RECORD_DAMAGED */
  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>
  /**
   * Entries with `from` <= key < `to`, ascending, as of the call.
   * @param damaged told of the keys of damaged records, which are left out; without it they are an error
   * @throws StoreError RECORD_DAMAGED
   */
  range(
    from: Uint8Array,
    to: Uint8Array,
    damaged?: (key: Uint8Array) => void,
  ): AsyncIterable<{ key: Uint8Array; value: Uint8Array }>
}

/** The records of one commit, also while later ones are made. */
export interface MetadataView {
  range(from: Uint8Array, to: Uint8Array): AsyncIterable<{ key: Uint8Array; value: Uint8Array }>
  /** It keeps old records from being given up until then. */
  close(): Promise<void>
}

/** A record as it lies there: its checked payload, or why it can't be trusted. */
export type CheckedEntry =
  | { readonly key: Uint8Array; readonly value: Uint8Array; readonly damage?: undefined }
  | { readonly key: Uint8Array; readonly value?: undefined; readonly damage: string }

/** All records as of one commit, for whoever compares tables with each other. Holds old versions on disk until closed. */
export interface MetadataSnapshot {
  /** @throws StoreError RECORD_DAMAGED */
  get(key: Uint8Array): Uint8Array | undefined
  /** Entries with `from` <= key < `to` (without it: to the last one), ascending; damaged ones too. */
  entries(from: Uint8Array, to?: Uint8Array): AsyncIterable<CheckedEntry>
  close(): Promise<void>
}

export interface MetadataWriter {
  put(key: Uint8Array, value: Uint8Array): void
  delete(key: Uint8Array): void
}

/**
 * A holder of in-memory changes. At a commit every participant writes all of its changes into one batch, synchronously,
 * so that the batch is one consistent moment. LevelDB doesn't know them until `settled`: until then reads must be
 * answered from memory.
 */
export interface CommitParticipant {
  /** Puts every change since the last `collect` into the batch, and keeps answering reads of them from memory. */
  collect(batch: MetadataWriter): void
  /** The batch of the last `collect` is durable: its changes may leave memory unless they have changed again. */
  settled(): void
}

export interface Committer {
  /** Everything in memory when the call is made is durable when it resolves. Concurrent calls share one commit. */
  commit(): Promise<void>
  /**
   * Tell the committer that there is something to commit within the interval.
   * @param recordCount how many new records it is; many of them are committed at once, so that no commit grows large
   */
  touched(recordCount?: number): void
}
