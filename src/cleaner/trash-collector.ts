// Empties the trash: by age, when room is needed, or when the administrator says so. Each file takes a proof that
// nothing refers to it. While evidence disagrees or the metadata is damaged nothing leaves the trash: the files may be
// the only ones left of what the metadata has lost.

import type { BlockRecord, BlockStore } from '../blocks/index.ts'
import { DeletionProof, EvidenceError } from '../deletion-proof.ts'
import type { BlockUsage } from '../evidence/index.ts'
import { CofferError } from '../errors.ts'
import type { CleanerTrash, KeyRetirement } from './contract.ts'
import { planTrash, type TrashRequest } from './trash-plan.ts'

export interface TrashOptions {
  readonly blocks: Pick<
    BlockStore,
    | 'records'
    | 'trashed'
    | 'trashedBytes'
    | 'freed'
    | 'deleteTrashed'
    | 'restoreTrashed'
    | 'quarantine'
    | 'hasBlock'
  >
  readonly usage: { of(block: number): BlockUsage }
  readonly metadata: { commit(): Promise<void>; touched(recordCount?: number): void }
  readonly nowSeconds: () => number
  /** freed block files are kept so long */
  readonly keepSeconds: number
  readonly keyRetirement: KeyRetirement
  /** @throws StoreError METADATA_DAMAGED */
  readonly verifyMetadata: () => Promise<void>
  /**
   * Compares all extents with counters and inodes. Counters alone prove nothing before that: they may have been lost.
   * @throws EvidenceError, StoreError
   */
  readonly proveListing: () => Promise<void>
  /** the listing doesn't agree with the counters, or can't be read */
  readonly unproved: (text: string) => void
  /** a file could not be deleted */
  readonly failed: (text: string) => void
  /** why nothing may be deleted now; undefined when all is well */
  readonly heldBecause: () => string | undefined
  /** the administrator wants nothing to be deleted for its age */
  readonly isHeld: () => boolean
  /** a group's active key; files of the trash that are sealed with it keep no other key from being erased */
  readonly activeKeyId: (group: number) => number | undefined
  /** a source disagrees about this file of the trash: it stays */
  readonly disagreed: (text: string) => void
  /** nothing disagreed about any file that was asked for */
  readonly agreed: () => void
}

export interface TrashReport {
  readonly files: number
  readonly bytes: number
}

export class TrashCollector implements CleanerTrash {
  readonly #options: TrashOptions
  #work: Promise<unknown> = Promise.resolve()
  #emptiedGroups = new Set<number>()
  /** files that were asked for and stayed: they make no room */
  readonly #stuck = new Set<number>()
  /** extents, counters and inodes have agreed since the start */
  #isProved = false

  constructor(options: TrashOptions) {
    this.#options = options
  }

  /** What lies in the trash. */
  get content(): TrashReport {
    const { blocks } = this.#options
    return { files: blocks.trashed().length, bytes: blocks.trashedBytes }
  }

  /** When the oldest of its files was freed, in seconds since 1970; undefined when it is empty. */
  get oldestSeconds(): number | undefined {
    return this.#options.blocks.trashed()[0]?.freedSeconds ?? undefined
  }

  get keepSeconds(): number {
    return this.#options.keepSeconds
  }

  get keyRetirement(): KeyRetirement {
    return this.#options.keyRetirement
  }

  /** Bytes that would be given up if room were needed. */
  get reclaimableBytes(): number {
    const { blocks, heldBecause } = this.#options
    if (heldBecause() !== undefined) return 0
    let bytes = blocks.trashedBytes
    if (this.#stuck.size > 0) {
      for (const { block, lengthBytes } of blocks.trashed()) {
        if (this.#stuck.has(block)) bytes -= lengthBytes
      }
    }
    return bytes
  }

  /** Why nothing leaves the trash now; undefined when all is well. */
  get heldBecause(): string | undefined {
    return this.#options.heldBecause()
  }

  listingProved(): void {
    this.#isProved = true
    // What kept a file may be over.
    this.#stuck.clear()
  }

  async expire(): Promise<void> {
    const { nowSeconds, keepSeconds, isHeld } = this.#options
    if (isHeld()) return
    await this.#delete({ kind: 'expired', nowSeconds: nowSeconds(), keepSeconds })
  }

  async makeRoom(bytes: number): Promise<number> {
    return (await this.#delete({ kind: 'room', bytes })).bytes
  }

  async beforeRetirement(group: number): Promise<void> {
    const { keyRetirement, activeKeyId, blocks } = this.#options
    const active = activeKeyId(group)
    if (keyRetirement === 'wait' || active === undefined) return
    // Of these keys only the trash has files: without them they can be erased.
    const keyIds = new Set<number>()
    for (const each of blocks.trashed()) if (each.group === group) keyIds.add(each.keyId)
    for (const each of blocks.records()) if (each.group === group) keyIds.delete(each.keyId)
    keyIds.delete(active)
    if (keyIds.size > 0) await this.#delete({ kind: 'keys', group, keyIds })
  }

  /**
   * Verifies the metadata and deletes everything in the trash. Durable when it resolves.
   * @throws CofferError TRASH_HELD; EvidenceError; StoreError METADATA_DAMAGED
   */
  async empty(group?: number): Promise<TrashReport> {
    await this.#options.verifyMetadata()
    await this.#options.proveListing()
    this.listingProved()
    const held = this.#options.heldBecause()
    if (held !== undefined) throw new CofferError('TRASH_HELD', `The trash is kept: ${held}`)
    const report = await this.#delete({ kind: 'all', ...(group !== undefined && { group }) })
    await this.#options.metadata.commit()
    return report
  }

  /** Makes everything in the trash part of the store again. Durable when it resolves. */
  async undoFree(group?: number): Promise<TrashReport> {
    const { blocks, metadata } = this.#options
    const report = await this.#inTurn(async () => {
      // Also what has not been moved to the trash yet.
      const chosen = planTrash(blocks.freed(), {
        kind: 'all',
        ...(group !== undefined && { group }),
      })
      const restored = new Set(await blocks.restoreTrashed(chosen.map(({ block }) => block)))
      return sumOf(chosen.filter(({ block }) => restored.has(block)))
    })
    // Not within the turn: a commit that finds no room gives up some of the trash itself.
    await metadata.commit()
    return report
  }

  /** What would be chosen by `empty` and `undoFree`, for a dry run. */
  contentOf(group?: number): TrashReport {
    const all = planTrash(this.#options.blocks.trashed(), {
      kind: 'all',
      ...(group !== undefined && { group }),
    })
    return sumOf(all)
  }

  /** Storage groups whose files were deleted since the last call: keys may be unused now. */
  takeEmptiedGroups(): ReadonlySet<number> {
    const groups = this.#emptiedGroups
    this.#emptiedGroups = new Set()
    return groups
  }

  /** A deletion that is under way has ended. */
  async settled(): Promise<void> {
    await this.#work.catch(() => undefined)
  }

  async #delete(request: TrashRequest): Promise<TrashReport> {
    return await this.#inTurn(async () => {
      const { blocks, heldBecause } = this.#options
      if (heldBecause() !== undefined) return NOTHING
      // A request for room passes over what has stayed before: the next ones may go.
      const candidates =
        request.kind === 'room'
          ? blocks.trashed().filter(({ block }) => !this.#stuck.has(block))
          : blocks.trashed()
      const chosen = planTrash(candidates, request)
      if (chosen.length === 0 || !(await this.#prove())) return NOTHING
      return await this.#deleteProved(chosen)
    })
  }

  /** @returns whether extents, counters and inodes have agreed since the start */
  async #prove(): Promise<boolean> {
    if (this.#isProved) return true
    try {
      await this.#options.proveListing()
      this.listingProved()
    } catch (error) {
      this.#options.unproved(error instanceof Error ? error.message : String(error))
    }
    return this.#isProved
  }

  async #deleteProved(chosen: readonly BlockRecord[]): Promise<TrashReport> {
    const { blocks, metadata, disagreed, agreed, failed } = this.#options
    const proofs: DeletionProof<number>[] = []
    let isAgreed = true
    for (const record of chosen) {
      try {
        proofs.push(this.#proofOf(record))
      } catch (error) {
        if (!(error instanceof EvidenceError)) throw error
        isAgreed = false
        disagreed(error.message)
      }
    }
    const { deleted, foreign, errors } = await blocks.deleteTrashed(proofs)
    for (const block of foreign) {
      isAgreed = false
      disagreed(`Nothing was deleted: file ${block} of the trash has another header.`)
    }
    for (const { block, message } of errors) {
      failed(`File ${block} of the trash could not be deleted: ${message}`)
    }
    if (isAgreed) agreed()
    const gone = new Set(deleted)
    for (const { block, group } of chosen) {
      if (gone.has(block)) this.#emptiedGroups.add(group)
      else this.#stuck.add(block)
    }
    if (gone.size > 0) metadata.touched(gone.size)
    return sumOf(chosen.filter(({ block }) => gone.has(block)))
  }

  /** @throws EvidenceError */
  #proofOf({ block, freedSeconds }: BlockRecord): DeletionProof<number> {
    const { extents, bytes } = this.#options.usage.of(block)
    return DeletionProof.prove(
      `Block file ${block} in the trash`,
      block,
      {
        source: 'own record',
        isDead: freedSeconds !== null,
        detail: freedSeconds === null ? 'it is part of the store' : `freed at ${freedSeconds}`,
      },
      {
        source: 'reference counters',
        isDead: extents === 0 && bytes === 0,
        detail: `${extents} extents map ${bytes} bytes of it`,
      },
    )
  }

  /** One after the other: what is being brought back must not be deleted meanwhile. */
  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#work.then(work, work)
    this.#work = done.catch(() => undefined)
    return done
  }
}

const NOTHING: TrashReport = { files: 0, bytes: 0 }

function sumOf(records: readonly BlockRecord[]): TrashReport {
  let bytes = 0
  for (const { lengthBytes } of records) bytes += lengthBytes
  return { files: records.length, bytes }
}
