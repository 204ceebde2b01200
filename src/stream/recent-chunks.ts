// The chunks that files ended with when they were flushed last. Whoever appends a little and flushes again, as logs and
// databases do, has them cut again each time: from here they need not be read back from the disk. They are found by their
// fingerprints, so that what is found is what is wanted, whatever has become of the file.

import { bufferOf } from '../buffer-of.ts'

/** The ends of some sixty files; a small one is all end. */
const RECENT_BYTES_MAX = 2 * 1024 * 1024

export class RecentChunks {
  /** by fingerprint, the one added last is the last */
  readonly #chunks = new Map<string, Uint8Array>()
  #lengthBytes = 0

  /** Keeps a copy. */
  add(fingerprint: Uint8Array, data: Uint8Array): void {
    const name = nameOf(fingerprint)
    this.#remove(name)
    this.#chunks.set(name, data.slice())
    this.#lengthBytes += data.length
    for (const oldest of this.#chunks.keys()) {
      if (this.#lengthBytes <= RECENT_BYTES_MAX) return
      this.#remove(oldest)
    }
  }

  /** The chunk, to be copied from in the same turn. */
  find(fingerprint: Uint8Array): Uint8Array | undefined {
    return this.#chunks.get(nameOf(fingerprint))
  }

  /** Nothing of them stays in memory: a storage group is being locked. */
  wipe(): void {
    for (const name of this.#chunks.keys()) this.#remove(name)
  }

  #remove(name: string): void {
    const data = this.#chunks.get(name)
    if (data === undefined) return
    data.fill(0)
    this.#chunks.delete(name)
    this.#lengthBytes -= data.length
  }
}

function nameOf(fingerprint: Uint8Array): string {
  return bufferOf(fingerprint).toString('latin1')
}
