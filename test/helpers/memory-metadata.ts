// A metadata store in memory for tests below the mount: a sorted map, and a commit that applies at once.

import type { CommitParticipant, Committer, MetadataReader } from '../../src/metadata/index.ts'

export class MemoryMetadata implements MetadataReader, Committer {
  readonly records = new Map<string, Uint8Array>()
  readonly participants: CommitParticipant[] = []

  get(key: Uint8Array): Uint8Array | undefined {
    return this.records.get(Buffer.from(key).toString('latin1'))
  }

  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return Promise.resolve(keys.map(key => this.get(key)))
  }

  async *range(
    from: Uint8Array,
    to: Uint8Array,
  ): AsyncIterable<{ key: Uint8Array; value: Uint8Array }> {
    const low = Buffer.from(from).toString('latin1')
    const high = Buffer.from(to).toString('latin1')
    for (const name of [...this.records.keys()].sort()) {
      const value = this.records.get(name)
      if (name >= low && name < high && value !== undefined) {
        yield { key: Buffer.from(name, 'latin1'), value }
      }
    }
  }

  touched(): void {}

  async commit(): Promise<void> {
    for (const participant of this.participants) {
      participant.collect({
        put: (key, value) =>
          this.records.set(Buffer.from(key).toString('latin1'), Buffer.from(value)),
        delete: key => this.records.delete(Buffer.from(key).toString('latin1')),
      })
    }
    for (const participant of this.participants) participant.settled()
  }
}
