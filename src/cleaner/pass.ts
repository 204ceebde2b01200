// One pass of the cleaner: mark, plan, free, then copy window by window, then retire keys. After a crash at any moment
// the store is whole: a block file goes to the trash only after a commit in which no extent refers to it, and only when the
// listing of all extents and the counters that commits keep agree on that.
//
// Why no writer is raced: what is put in place during the pass is seen by the watcher. A dedupe hit goes to no condemned
// block file; whoever had a hit before it was condemned is waited for. So after the wait the marks of condemned block
// files are final but for extents that are copied from live ones, which were marked before.

import { DeletionProof } from '../deletion-proof.ts'
import { FilesystemError } from '../errors.ts'
import type { PassParts } from './contract.ts'
import { copyBlock } from './copy.ts'
import { Liveness } from './liveness.ts'
import { markExtents, PassWatcher } from './mark.ts'
import { PassStopped } from './pace.ts'
import type { Pace } from './pace.ts'
import { noCounts } from './pass-counts.ts'
import { planPass } from './plan.ts'
import type { Plan, PlannedAction, PlannedBlock } from './plan.ts'
import { relocateExtents } from './relocate.ts'
import { Relocations } from './relocations.ts'
import { nextWindow } from './window.ts'

/** Block files that one commit frees: their records are small, but moving files takes the disk a while. */
const FREED_BLOCKS_MAX = 256

/** Of the trash, given up at a time when there is no room for copying. */
const COPY_ROOM_BYTES = 256 * 1024 * 1024

export type PassPhase = 'mark' | PlannedAction | 'relocate' | 'sweep' | 'retire'

export interface PassOptions {
  /** only this group; all groups without it */
  readonly group?: number
  /** open block files are closed first, so that what is dead in them is found too */
  readonly closesFiles: boolean
  readonly pace: Pace
  /** the plan is made */
  readonly planned: (plan: Plan) => Promise<void>
  readonly progress: (phase: PassPhase, doneBytes: number, totalBytes: number) => void
}

/** Why a pass has not done all that it planned. */
export type Incomplete = 'NO_ROOM' | 'DAMAGE' | 'LOCKED'

export class Pass {
  readonly counts = noCounts()
  readonly #parts: PassParts
  readonly #options: PassOptions
  readonly #liveness = new Liveness()
  /** live chunks of a condemned block file when it was copied */
  readonly #liveCounts = new Map<number, number>()
  readonly #watcher = new PassWatcher(this.#liveness)
  readonly #incomplete = new Set<Incomplete>()
  #doneBytes = 0
  #totalBytes = 0

  constructor(parts: PassParts, options: PassOptions) {
    this.#parts = parts
    this.#options = options
  }

  get livenessBytes(): number {
    return this.#liveness.memoryBytes
  }

  /** What the pass would do. Nothing is changed, but that open block files are closed. */
  async dryRun(): Promise<Plan> {
    return this.#watching(() => this.#markAndPlan())
  }

  /**
   * @returns why something was left undone; empty when the pass is complete
   * @throws PassStopped; StoreError RECORD_DAMAGED, METADATA_DAMAGED, EvidenceError (nothing more is freed), STORE_READ_ONLY
   */
  async run(): Promise<ReadonlySet<Incomplete>> {
    await this.#watching(async () => {
      const plan = await this.#markAndPlan()
      await this.#options.planned(plan)
      this.#totalBytes = plan.blocks.reduce((sum, { liveBytes }) => sum + liveBytes, 0)
      await this.#free(plan.blocks.filter(({ action }) => action === 'free'))
      await this.#copyAll(plan.blocks.filter(({ action }) => action !== 'free'))
    })
    await this.#sweepIndex()
    await this.#retireKeys()
    return this.#incomplete
  }

  async #watching<Result>(work: () => Promise<Result>): Promise<Result> {
    const { extents, blocks } = this.#parts
    extents.watch(this.#watcher)
    try {
      return await work()
    } finally {
      extents.watch(undefined)
      blocks.pardonAll()
    }
  }

  async #markAndPlan(): Promise<Plan> {
    const { metadata, blocks, groups, settleDeletions } = this.#parts
    const { pace, group, closesFiles, progress } = this.#options
    progress('mark', 0, 0)
    await settleDeletions()
    blocks.closeFiles(
      record =>
        (group === undefined || record.group === group) &&
        (closesFiles || !this.#isAsWanted(record)),
    )
    // What was put before the watcher came is in LevelDB after this.
    await metadata.commit()
    pace.check()
    await this.#parts.verifyMetadata().catch((error: unknown) => {
      pace.check()
      throw error
    })
    await markExtents(this.#parts, this.#liveness, () => pace.step())
    this.#parts.trash.listingProved()
    return planPass({
      records: blocks.records(),
      liveBytes: block => this.#liveness.liveBytes(block),
      isLocked: id => groups.isLocked(id),
      compressionOf: id => groups.compressionOf(id),
      needsReseal: (id, keyId) => groups.needsReseal(id, keyId),
      isQuarantined: block => blocks.quarantined.has(block),
      ...(group !== undefined && { group }),
    })
  }

  /** Whether what is appended to the open block file is sealed as the group wants it now. */
  #isAsWanted(record: {
    readonly group: number
    readonly keyId: number
    readonly compression: string
  }): boolean {
    const { groups } = this.#parts
    if (groups.isLocked(record.group)) return true
    const { keyId, compression } = groups.policyOf(record.group)
    return keyId === record.keyId && compression === record.compression
  }

  async #free(planned: readonly PlannedBlock[]): Promise<void> {
    for (let at = 0; at < planned.length; at += FREED_BLOCKS_MAX) {
      await this.#options.pace.pauseBetween()
      this.#report('free')
      const slice = planned.slice(at, at + FREED_BLOCKS_MAX)
      await this.#condemn(slice)
      const dead = slice.filter(({ block, group }) => {
        if (this.#parts.groups.isLocked(group)) return false
        return this.#liveness.liveChunks(block) === 0
      })
      await this.#release(dead)
      this.counts.freedBlocks += dead.length
    }
  }

  async #condemn(planned: readonly PlannedBlock[]): Promise<void> {
    this.#parts.blocks.condemn(planned.map(({ block }) => block))
    await this.#parts.inFlight.settled()
  }

  /** Block files that nothing refers to; they and what else was condemned are so no longer. */
  async #release(dead: readonly PlannedBlock[]): Promise<void> {
    const { blocks, metadata, copied, nowSeconds, trash } = this.#parts
    if (dead.length > 0) {
      await metadata.commit()
      await copied()
    }
    const proofs = dead.map(({ block }) => this.#proofOf(block))
    blocks.free(proofs, nowSeconds())
    await metadata.commit()
    await blocks.settleFreed()
    blocks.pardonAll()
    for (const { fileBytes } of dead) this.counts.freedBytes += fileBytes
    await trash.expire()
  }

  /** @throws EvidenceError */
  #proofOf(block: number): DeletionProof<number> {
    const live = this.#liveness.liveChunks(block)
    // What was copied keeps its marks: its extents have followed, and none has come since.
    const copied = this.#liveCounts.get(block)
    const { extents, bytes } = this.#parts.usage.of(block)
    return DeletionProof.prove(
      `Block file ${block}`,
      block,
      {
        source: 'extent listing',
        isDead: live === (copied ?? 0),
        detail: `${live} chunks are live, ${copied ?? 0} of them were copied`,
      },
      {
        source: 'reference counters',
        isDead: extents === 0 && bytes === 0,
        detail: `${extents} extents map ${bytes} bytes of it`,
      },
    )
  }

  async #copyAll(planned: readonly PlannedBlock[]): Promise<void> {
    let rest = planned
    while (rest.length > 0) {
      await this.#options.pace.pauseBetween()
      let window = nextWindow(rest, await this.#parts.space())
      if (window.length === 0 && (await this.#parts.trash.makeRoom(COPY_ROOM_BYTES)) > 0) {
        window = nextWindow(rest, await this.#parts.space())
      }
      if (window.length === 0) {
        this.#incomplete.add('NO_ROOM')
        // What compacting has no room for mustn't keep other things from being done, nor be overtaken by them.
        return
      }
      const taken = new Set(window)
      rest = rest.filter(each => !taken.has(each))
      try {
        await this.#copyWindow(window)
      } catch (error) {
        // Clients were faster than the look at the disk.
        if (!isNoSpace(error)) throw error
        this.#incomplete.add('NO_ROOM')
        return
      }
    }
  }

  /** When it is told to stop, what has been copied by then is brought to its end. */
  async #copyWindow(window: readonly PlannedBlock[]): Promise<void> {
    const relocations = new Relocations()
    const copied: PlannedBlock[] = []
    let stopped: Error | undefined
    await this.#condemn(window)
    try {
      // In the order in which they were written, so that what belongs together stays together.
      for (const planned of [...window].sort((a, b) => a.block - b.block)) {
        this.#report(planned.action)
        if (await this.#copyOne(planned, relocations)) copied.push(planned)
      }
    } catch (error) {
      if (!(error instanceof PassStopped) && !isNoSpace(error)) throw error
      stopped = error
    }
    this.#report('relocate')
    const { metadata, extents } = this.#parts
    const breathe = (): Promise<void> => this.#options.pace.breathe()
    await relocateExtents({ metadata, extents, watcher: this.#watcher, breathe }, relocations)
    await this.#release(copied)
    this.counts.copiedBlocks += copied.length
    if (stopped !== undefined) throw stopped
  }

  async #copyOne(planned: PlannedBlock, relocations: Relocations): Promise<boolean> {
    const { pace } = this.#options
    pace.check()
    this.#liveCounts.set(planned.block, this.#liveness.liveChunks(planned.block))
    const tally = { movedBytes: 0, writtenBytes: 0 }
    const target = { liveness: this.#liveness, relocations, tally }
    try {
      const kept = await copyBlock(this.#parts, planned, target, pace)
      this.#doneBytes += planned.liveBytes
      if (kept === 'damaged') {
        this.counts.damagedBlocks++
        this.#incomplete.add('DAMAGE')
      } else if (kept === 'locked') this.#incomplete.add('LOCKED')
      return kept === undefined
    } finally {
      this.counts.writtenBytes += tally.writtenBytes
      this.#count(planned.action, tally.movedBytes)
    }
  }

  #count(action: PlannedAction, movedBytes: number): void {
    if (action === 'compact') this.counts.compactedBytes += movedBytes
    else if (action === 'recompress') this.counts.recompressedBytes += movedBytes
    else if (action === 'reseal') this.counts.encryptedBytes += movedBytes
  }

  /** Entries of chunks that are gone only take room. */
  async #sweepIndex(): Promise<void> {
    const { index, blocks, metadata } = this.#parts
    if (this.counts.freedBlocks + this.counts.copiedBlocks === 0) return
    this.#options.pace.check()
    this.#report('sweep')
    await index.sweep(
      block => blocks.hasBlock(block),
      async deletedCount => {
        if (deletedCount > 0) metadata.touched(deletedCount)
        await this.#options.pace.step()
      },
    )
    await metadata.commit()
  }

  async #retireKeys(): Promise<void> {
    const { groups } = this.#parts
    const { group } = this.#options
    this.#report('retire')
    for (const id of groups.ids()) {
      this.#options.pace.check()
      if (groups.isLocked(id) || (group !== undefined && id !== group)) continue
      await this.#parts.trash.beforeRetirement(id)
      this.counts.retiredKeys += (await groups.retireUnusedKeys(id)).length
    }
  }

  #report(phase: PassPhase): void {
    this.#options.progress(phase, this.#doneBytes, this.#totalBytes)
  }
}

function isNoSpace(error: unknown): error is Error {
  if (!(error instanceof FilesystemError)) return false
  return error.code === 'ENOSPC' || error.code === 'EDQUOT'
}
