// Copies of data on their way to a block file, in memory that is used again. Fresh memory costs page faults, and has V8 look
// through its whole heap each time that some tens of MiB of it have been let go.

/** Smaller ones come from V8's own pools, and would leave most of a slot unused. */
const REUSED_BYTES_MIN = 32 * 1024
/** More of them wait for a block file seldom; 6 MiB. */
const FREE_SLOTS_MAX = 16

export interface Copy {
  readonly bytes: Uint8Array
  /** Nobody reads the copy any more. */
  release(): void
}

export class CopyMemory {
  readonly #slotBytes: number
  readonly #free: Uint8Array[] = []

  /** @param slotBytes no copy is longer */
  constructor(slotBytes: number) {
    this.#slotBytes = slotBytes
  }

  copy(data: Uint8Array): Copy {
    if (data.length > this.#slotBytes) throw new RangeError('the data is longer than a slot')
    if (data.length < REUSED_BYTES_MIN) return { bytes: data.slice(), release: () => {} }
    const slot = this.#free.pop() ?? new Uint8Array(this.#slotBytes)
    const bytes = slot.subarray(0, data.length)
    bytes.set(data)
    let isReleased = false
    const release = (): void => {
      if (isReleased) throw new Error('a copy was released twice')
      isReleased = true
      if (this.#free.length < FREE_SLOTS_MAX) this.#free.push(slot)
    }
    return { bytes, release }
  }
}
