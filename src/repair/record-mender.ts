// Deletes records that no layer holds in memory, with the next commit. It collects before all layers: what one of them writes
// into the same batch counts, and a record that has been written since it was looked at stays.

import type { CommitParticipant, MetadataWriter } from '../metadata/index.ts'

export interface RecordFrames {
  /** a record with its frame, whole or not */
  frame(key: Uint8Array): Uint8Array | undefined
}

export class RecordMender implements CommitParticipant {
  readonly #metadata: RecordFrames
  readonly #expected = new Map<string, Uint8Array>()

  constructor(metadata: RecordFrames) {
    this.#metadata = metadata
  }

  /** @returns whether there is such a record */
  delete(key: Buffer): boolean {
    const frame = this.#metadata.frame(key)
    if (frame === undefined) return false
    this.#expected.set(key.toString('latin1'), frame)
    return true
  }

  collect(batch: MetadataWriter): void {
    for (const [name, expected] of this.#expected) {
      const key = Buffer.from(name, 'latin1')
      const frame = this.#metadata.frame(key)
      if (frame !== undefined && Buffer.compare(frame, expected) === 0) batch.delete(key)
    }
    this.#expected.clear()
  }

  settled(): void {}
}
