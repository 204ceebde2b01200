// A metadata store whose answers can be held back.

import { FakeMetadata, later } from './fakes.ts'

/** Answers what it was asked as of then, but not before it is told to. */
export class SlowMetadata extends FakeMetadata {
  gets = 0
  ranges = 0
  isSlow = false
  readonly #waiting: (() => void)[] = []

  override get(key: Uint8Array): Uint8Array | undefined {
    this.gets++
    return super.get(key)
  }

  override async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    const found = keys.map(key => super.get(key))
    await this.turn()
    return found
  }

  override async *range(
    from: Uint8Array,
    to: Uint8Array,
  ): AsyncIterable<{ key: Uint8Array; value: Uint8Array }> {
    this.ranges++
    const found: { key: Uint8Array; value: Uint8Array }[] = []
    for await (const entry of super.range(from, to)) found.push(entry)
    await this.turn()
    yield* found
  }

  async turn(): Promise<void> {
    if (this.isSlow) await new Promise<void>(resolve => this.#waiting.push(resolve))
  }

  async goOn(): Promise<void> {
    this.#waiting.shift()?.()
    await later()
  }

  async hurry(): Promise<void> {
    this.isSlow = false
    while (this.#waiting.length > 0) await this.goOn()
  }
}
