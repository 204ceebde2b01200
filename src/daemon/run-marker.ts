// Whether the last daemon ended in order: a record that is there while one runs, and that the last commit takes away.

import { StoreError } from '../errors.ts'
import { TABLE } from '../metadata/index.ts'
import type { CommitParticipant, MetadataReader, MetadataWriter } from '../metadata/index.ts'

const KEY = Buffer.of(TABLE.superblock, ...Buffer.from('running'))
const RECORD = Buffer.of(1)

export class RunMarker implements CommitParticipant {
  /** the last daemon was killed, or its store had failed */
  readonly wasUnclean: boolean
  #change: 'put' | 'delete' | undefined = 'put'

  /** @throws StoreError UNKNOWN_VERSION */
  constructor(metadata: MetadataReader) {
    const record = metadata.get(KEY)
    this.wasUnclean = record !== undefined
    if (record !== undefined && record[0] !== RECORD[0]) {
      throw new StoreError('UNKNOWN_VERSION', "The daemon's marker is of an unknown version.")
    }
  }

  /** The next commit is the last one. */
  stopping(): void {
    this.#change = 'delete'
  }

  collect(batch: MetadataWriter): void {
    if (this.#change === 'put') batch.put(KEY, RECORD)
    else if (this.#change === 'delete') batch.delete(KEY)
    this.#change = undefined
  }

  settled(): void {}
}
