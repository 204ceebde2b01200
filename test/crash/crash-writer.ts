// A client that never rests: writes, rewrites, appends, replaces, renames and deletes files of its own, makes some of
// that durable, and has everything recorded.

import { open, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { contentOf } from '../helpers/open-store.ts'
import { ABSENT, type PowerCutRecord, type Version } from './power-cut-record.ts'

const NAMES = 30
const FILE_BYTES_MAX = 300_000
const LARGE_FILE_BYTES_MAX = 2_500_000
/** Contents that come again and again, so that there are hits. */
const COMMON_SEEDS = 12

export class PowerCutWriter {
  readonly #directory: string
  readonly #record: PowerCutRecord
  readonly #lane: number
  #seed: number
  isStopped = false

  constructor(directory: string, record: PowerCutRecord, lane: number) {
    this.#directory = directory
    this.#record = record
    this.#lane = lane
    this.#seed = 1_000_000 * (lane + 1)
  }

  async run(): Promise<void> {
    while (!this.isStopped) {
      const dice = Math.random()
      if (dice < 0.4) await this.#write(this.#anyName(), chance(0.6))
      else if (dice < 0.55) await this.#append(this.#anyName())
      else if (dice < 0.7) await this.#replace(this.#anyName())
      else if (dice < 0.82) await this.#rename(this.#anyName(), this.#anyName())
      else await this.#delete(this.#anyName())
    }
  }

  async #write(name: string, isSynced: boolean): Promise<void> {
    const content = this.#newContent()
    const index = this.#record.begin(name, { content, bytesMin: 0 })
    await this.#put(name, 'w', contentOf(content.seed, content.lengthBytes), isSynced)
    if (isSynced) this.#record.promise(name, index)
  }

  async #append(name: string): Promise<void> {
    const { content, bytesMin } = this.#record.latest(name)
    if (content === undefined) return
    const { seed, lengthBytes } = content
    const longer = contentOf(seed, lengthBytes + 1 + random(FILE_BYTES_MAX))
    const index = this.#record.begin(name, {
      content: { seed, lengthBytes: longer.length },
      bytesMin: this.#record.isDurable(name) ? lengthBytes : bytesMin,
    })
    const isSynced = chance(0.5)
    await this.#put(name, 'a', longer.subarray(lengthBytes), isSynced)
    if (isSynced) this.#record.promise(name, index)
  }

  /** As programs do that want the old file or the new one: never anything else is found. */
  async #replace(name: string): Promise<void> {
    const temporary = `${name}.new`
    await this.#write(temporary, true)
    await this.#move(temporary, name)
  }

  async #rename(from: string, to: string): Promise<void> {
    const { content } = this.#record.latest(from)
    if (from === to || content === undefined || !this.#record.isDurable(from)) return
    await this.#move(from, to)
  }

  async #move(from: string, to: string): Promise<void> {
    const { content } = this.#record.latest(from)
    if (content === undefined) throw new Error(`there is no ${from} to rename`)
    const whole: Version = { content, bytesMin: content.lengthBytes }
    const toIndex = this.#record.begin(to, whole)
    const movedTo = { name: to, index: toIndex }
    const fromIndex = this.#record.begin(from, { ...ABSENT, movedTo })
    await rename(this.#path(from), this.#path(to))
    if (chance(0.6) && (await this.#syncDirectory())) {
      this.#record.promise(from, fromIndex)
      this.#record.promise(to, toIndex)
    }
  }

  async #delete(name: string): Promise<void> {
    if (this.#record.latest(name).content === undefined) return
    const index = this.#record.begin(name, ABSENT)
    await unlink(this.#path(name))
    if (chance(0.5) && (await this.#syncDirectory())) this.#record.promise(name, index)
  }

  async #put(name: string, flags: string, bytes: Buffer, isSynced: boolean): Promise<void> {
    const file = await open(this.#path(name), flags)
    try {
      await file.writeFile(bytes)
      if (isSynced) await file.sync()
    } finally {
      await file.close()
    }
  }

  async #syncDirectory(): Promise<true> {
    const directory = await open(this.#directory)
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
    return true
  }

  #newContent(): { seed: number; lengthBytes: number } {
    const bytesMax = chance(0.08) ? LARGE_FILE_BYTES_MAX : FILE_BYTES_MAX
    const seed = chance(0.3) ? random(COMMON_SEEDS) : this.#seed++
    return { seed, lengthBytes: 1 + random(bytesMax) }
  }

  #anyName(): string {
    return `lane${this.#lane}-${random(NAMES)}`
  }

  #path(name: string): string {
    return join(this.#directory, name)
  }
}

function chance(probability: number): boolean {
  return Math.random() < probability
}

/** 0 to below the limit */
function random(limit: number): number {
  return Math.floor(Math.random() * limit)
}
