// Lets small files share regions: small appends of one group wait for each other, until together they fill a region,
// until somebody needs them durable, or for a moment at most. Big appends pass straight through.

import type { ChunkLocation, NewChunk, SealingPolicy } from '../blocks/block-store.ts'
import { REGION_CHUNKS_MAX, REGION_RAW_BYTES_MAX } from '../blocks/block-store.ts'
import type { ChunkAppender } from './deduplicator.ts'

/** An append of this size makes a good region of its own. */
const SMALL_APPEND_BYTES = REGION_RAW_BYTES_MAX / 2
/**
 * Long enough for a copy of small files (some MB/s at least) to fill a region, short beside the commit interval: what
 * waits here holds a write buffer.
 */
const WAIT_MS_MAX = 100

interface Waiting {
  readonly chunks: readonly NewChunk[]
  readonly sequence: number
  resolve(locations: ChunkLocation[]): void
  reject(error: unknown): void
}

/** What waits for one policy: chunks that are sealed alike may share a region. */
interface Gathering {
  /** of what waits now: a key's memory is wiped when its group is locked, and comes back elsewhere */
  policy: SealingPolicy
  waiting: Waiting[]
  bytes: number
  chunkCount: number
  timer: NodeJS.Timeout | undefined
  isAppending: boolean
}

export class AppendGatherer implements ChunkAppender {
  readonly #target: ChunkAppender
  readonly #gatherings = new Map<string, Gathering>()
  #urgentCount = 0

  constructor(target: ChunkAppender) {
    this.#target = target
  }

  /** Until the returned function is called, nothing waits for company. */
  hurry(): () => void {
    this.#urgentCount++
    for (const gathering of this.#gatherings.values()) this.#send(gathering)
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      this.#urgentCount--
    }
  }

  append(
    policy: SealingPolicy,
    chunks: readonly NewChunk[],
    sequence: number,
  ): Promise<ChunkLocation[]> {
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.data.length, 0)
    if (bytes >= SMALL_APPEND_BYTES) return this.#target.append(policy, chunks, sequence)
    const gathering = this.#gatheringOf(policy)
    if (
      gathering.bytes + bytes > REGION_RAW_BYTES_MAX ||
      gathering.chunkCount + chunks.length > REGION_CHUNKS_MAX
    ) {
      this.#sendNow(gathering)
    }
    if (gathering.policy.key !== policy.key) {
      this.#sendNow(gathering)
      gathering.policy = policy
    }
    return new Promise((resolve, reject) => {
      gathering.waiting.push({ chunks, sequence, resolve, reject })
      gathering.bytes += bytes
      gathering.chunkCount += chunks.length
      // In a hurry too: it may be over when the append ends that this one waits for.
      gathering.timer ??= setTimeout(() => this.#sendNow(gathering), WAIT_MS_MAX)
      if (this.#urgentCount > 0) this.#send(gathering)
    })
  }

  #gatheringOf(policy: SealingPolicy): Gathering {
    const name = `${policy.group} ${policy.compression} ${policy.keyId}`
    let gathering = this.#gatherings.get(name)
    if (gathering === undefined) {
      gathering = {
        policy,
        waiting: [],
        bytes: 0,
        chunkCount: 0,
        timer: undefined,
        isAppending: false,
      }
      this.#gatherings.set(name, gathering)
    }
    return gathering
  }

  /** In a hurry one append at a time: what comes during it goes together with the next. */
  #send(gathering: Gathering): void {
    if (!gathering.isAppending) this.#sendNow(gathering)
  }

  #sendNow(gathering: Gathering): void {
    clearTimeout(gathering.timer)
    gathering.timer = undefined
    const { waiting, policy } = gathering
    if (waiting.length === 0) return
    gathering.waiting = []
    gathering.bytes = 0
    gathering.chunkCount = 0
    gathering.isAppending = true
    void this.#append(policy, waiting).finally(() => {
      gathering.isAppending = false
      if (this.#urgentCount > 0) this.#sendNow(gathering)
    })
  }

  async #append(policy: SealingPolicy, waiting: readonly Waiting[]): Promise<void> {
    try {
      // The oldest number: what is noted with a region must have been durable when its chunks came.
      const sequence = Math.min(...waiting.map(each => each.sequence))
      const chunks = waiting.flatMap(each => each.chunks)
      const locations = await this.#target.append(policy, chunks, sequence)
      let at = 0
      for (const each of waiting) {
        each.resolve(locations.slice(at, at + each.chunks.length))
        at += each.chunks.length
      }
    } catch (error) {
      for (const each of waiting) each.reject(error)
    }
  }
}
