// Pooled native memory for unflushed data: touched once, reused for ever, and bounded, so that writers wait instead of
// the process growing (promise 8). Fresh memory is the most expensive thing on virtual machines.

/** A piece of the pool. It goes back when its last holder lets go. */
export class PooledBuffer {
  readonly bytes: Uint8Array
  /** undefined for memory of its own, which nobody waits for */
  readonly pool: BufferPool | undefined
  #holderCount = 1

  constructor(bytes: Uint8Array, pool?: BufferPool) {
    this.bytes = bytes
    this.pool = pool
  }

  retain(): void {
    if (this.#holderCount === 0) throw new Error('a buffer was retained after its end')
    this.#holderCount++
  }

  release(): void {
    if (this.#holderCount === 0) throw new Error('a buffer was released twice')
    if (--this.#holderCount === 0) this.pool?.giveBack(this.bytes)
  }
}

/** Buffers of one size. */
export class BufferPool {
  readonly bufferBytes: number
  readonly bufferCount: number
  readonly #free: Uint8Array[] = []
  readonly #waiting: ((buffer: PooledBuffer) => void)[] = []

  /** @param arena memory that is cut into as many buffers as fit */
  constructor(arena: Uint8Array, bufferBytes: number) {
    this.bufferBytes = bufferBytes
    for (let at = 0; at + bufferBytes <= arena.length; at += bufferBytes) {
      this.#free.push(arena.subarray(at, at + bufferBytes))
    }
    this.bufferCount = this.#free.length
    if (this.bufferCount === 0) throw new RangeError('the arena is smaller than one buffer')
  }

  /** For PooledBuffer alone: nobody holds this memory any more. */
  giveBack(bytes: Uint8Array): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free.push(bytes)
    else next(new PooledBuffer(bytes, this))
  }

  /** A buffer if one is free and nobody waits for it already. The one used last comes first: it is warm. */
  tryAcquire(): PooledBuffer | undefined {
    if (this.#waiting.length > 0) return undefined
    const bytes = this.#free.pop()
    return bytes === undefined ? undefined : new PooledBuffer(bytes, this)
  }

  /** In the order in which it was asked for. */
  acquire(): Promise<PooledBuffer> {
    const buffer = this.tryAcquire()
    if (buffer !== undefined) return Promise.resolve(buffer)
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  get waitingCount(): number {
    return this.#waiting.length
  }

  get freeCount(): number {
    return this.#free.length
  }
}
