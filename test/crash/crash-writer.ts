// A client that never rests: writes, rewrites, appends, truncates, replaces, renames and deletes files of its own and
// sets their attributes, makes some of that durable, and has everything recorded.

import { open, rename, truncate, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { tool } from '../helpers/mounted.ts'
import { contentOf } from '../helpers/open-store.ts'
import type { Random } from '../helpers/random.ts'
import { ABSENT, type CrashRecord, type Version } from './crash-record.ts'

const NAMES = 30
const FILE_BYTES_MAX = 300_000
const LARGE_FILE_BYTES_MAX = 2_500_000
/** Contents that come again and again, so that there are hits. */
const COMMON_SEEDS = 12
export const ATTRIBUTE = 'user.fact'

export interface CrashWriterOptions {
  readonly mount: string
  /** below the mount; part of the names in the record */
  readonly directory: string
  readonly record: CrashRecord
  readonly random: Random
  readonly lane: number
}

export class CrashWriter {
  readonly #options: CrashWriterOptions
  readonly #random: Random
  readonly #record: CrashRecord
  isStopped = false
  /** the disk is full: an operation that hears so is its last, of which anything or nothing may be found */
  mayRunOutOfSpace = false

  constructor(options: CrashWriterOptions) {
    this.#options = options
    this.#random = options.random
    this.#record = options.record
  }

  /** Until it is stopped, or something fails. */
  async run(): Promise<void> {
    try {
      while (!this.isStopped) await this.#step()
    } catch (error) {
      if (!this.mayRunOutOfSpace || !isNoSpace(error)) throw error
    }
  }

  async #step(): Promise<void> {
    const dice = this.#random.next()
    if (dice < 0.35) await this.#write(this.#anyName(), this.#random.chance(0.6))
    else if (dice < 0.48) await this.#append(this.#anyName())
    else if (dice < 0.56) await this.#truncate(this.#anyName())
    else if (dice < 0.62) await this.#setAttribute(this.#anyName())
    else if (dice < 0.74) await this.#replace(this.#anyName())
    else if (dice < 0.84) await this.#rename(this.#anyName(), this.#anyName())
    else await this.#delete(this.#anyName())
  }

  async #write(name: string, isSynced: boolean): Promise<void> {
    const content = this.#newContent()
    const { attribute } = this.#record.latest(name)
    const index = this.#record.begin(name, { content, bytesMin: 0, attribute })
    await this.#put(name, 'w', contentOf(content.seed, content.lengthBytes), isSynced)
    if (isSynced) this.#record.promise(name, index)
  }

  async #append(name: string): Promise<void> {
    const { content, bytesMin, attribute } = this.#record.latest(name)
    if (content === undefined) return
    const { seed, lengthBytes } = content
    const longer = contentOf(seed, lengthBytes + 1 + this.#random.below(FILE_BYTES_MAX))
    const index = this.#record.begin(name, {
      content: { seed, lengthBytes: longer.length },
      bytesMin: this.#record.isDurable(name) ? lengthBytes : bytesMin,
      attribute,
    })
    const isSynced = this.#random.chance(0.5)
    await this.#put(name, 'a', longer.subarray(lengthBytes), isSynced)
    if (isSynced) this.#record.promise(name, index)
  }

  async #truncate(name: string): Promise<void> {
    const { content, bytesMin, attribute } = this.#record.latest(name)
    if (content === undefined) return
    const lengthBytes = this.#random.below(content.lengthBytes + 1)
    const index = this.#record.begin(name, {
      content: { seed: content.seed, lengthBytes },
      bytesMin: this.#record.isDurable(name) ? lengthBytes : Math.min(bytesMin, lengthBytes),
      attribute,
    })
    await truncate(this.#path(name), lengthBytes)
    if (this.#random.chance(0.5)) await this.#syncFile(name, index)
  }

  async #setAttribute(name: string): Promise<void> {
    const { content, bytesMin } = this.#record.latest(name)
    if (content === undefined) return
    const attribute = `value-${this.#random.below(2 ** 32)}`
    const bytesMinNow = this.#record.isDurable(name) ? content.lengthBytes : bytesMin
    const index = this.#record.begin(name, { content, bytesMin: bytesMinNow, attribute })
    await tool('setfattr', '-n', ATTRIBUTE, '-v', attribute, this.#path(name))
    if (this.#random.chance(0.5)) await this.#syncFile(name, index)
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
    const { content, attribute } = this.#record.latest(from)
    if (content === undefined) throw new Error(`there is no ${from} to rename`)
    const whole: Version = { content, bytesMin: content.lengthBytes, attribute }
    const toIndex = this.#record.begin(to, whole)
    const movedTo = { name: to, index: toIndex }
    const fromIndex = this.#record.begin(from, { ...ABSENT, movedTo })
    await rename(this.#path(from), this.#path(to))
    if (this.#random.chance(0.6)) {
      await this.#sync(this.#directory)
      this.#record.promise(from, fromIndex)
      this.#record.promise(to, toIndex)
    }
  }

  async #delete(name: string): Promise<void> {
    if (this.#record.latest(name).content === undefined) return
    const index = this.#record.begin(name, ABSENT)
    await unlink(this.#path(name))
    if (!this.#random.chance(0.5)) return
    await this.#sync(this.#directory)
    this.#record.promise(name, index)
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

  async #syncFile(name: string, index: number): Promise<void> {
    await this.#sync(this.#path(name))
    this.#record.promise(name, index)
  }

  async #sync(path: string): Promise<void> {
    const file = await open(path)
    try {
      await file.sync()
    } finally {
      await file.close()
    }
  }

  #newContent(): { seed: number; lengthBytes: number } {
    const bytesMax = this.#random.chance(0.08) ? LARGE_FILE_BYTES_MAX : FILE_BYTES_MAX
    const seed = this.#random.chance(0.3)
      ? this.#random.below(COMMON_SEEDS)
      : COMMON_SEEDS + this.#random.below(2 ** 32)
    return { seed, lengthBytes: 1 + this.#random.below(bytesMax) }
  }

  #anyName(): string {
    const { directory, lane } = this.#options
    return `${directory}/lane${lane}-${this.#random.below(NAMES)}`
  }

  get #directory(): string {
    return join(this.#options.mount, this.#options.directory)
  }

  #path(name: string): string {
    return join(this.#options.mount, name)
  }
}

/** setfattr says it in words. Where the filesystem finds out when it syncs, as btrfs does, the store is read-only from then on. */
function isNoSpace(error: unknown): boolean {
  return error instanceof Error && /ENOSPC|No space left|EIO|EROFS|Read-only/.test(String(error))
}
