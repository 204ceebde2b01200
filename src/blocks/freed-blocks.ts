// Block files on their way out of the store: freed, written down by a commit, moved to the trash, brought back or deleted.
// Only a file that was moved may be deleted.

import assert from 'node:assert'
import type { DeletionProof } from '../deletion-proof.ts'
import { reportInternalError } from '../internal-errors.ts'
import type { BlockRecord, TrashDeletion } from './block-store.ts'
import type { BlockRegistry } from './block-registry.ts'
import { codeOf } from './errors.ts'
import { readBlockHeader } from './scan.ts'
import type { Trash } from './trash.ts'

export class FreedBlocks {
  readonly #registry: BlockRegistry
  readonly #trash: Trash
  /** freed, and the last commit doesn't say so yet */
  readonly #fresh = new Map<number, BlockRecord>()
  /** freed by the last commit; their files are still in place */
  readonly #movable = new Map<number, BlockRecord>()
  /** moves and deletions, one after the other: a file that is brought back must not be moved by an older request */
  #work: Promise<unknown> = Promise.resolve()

  constructor(registry: BlockRegistry, trash: Trash) {
    this.#registry = registry
    this.#trash = trash
  }

  /** The coming commit writes down that the block file is in the trash. */
  add(block: number, nowSeconds: number): void {
    const record = this.#registry.get(block)
    assert(record?.isClosed === true, 'what is freed is closed')
    const freed = { ...record, freedSeconds: nowSeconds }
    this.#registry.remember(freed)
    this.#fresh.set(block, freed)
  }

  /** Everything that was added is in the commit that is being made. */
  collected(): void {
    for (const [block, record] of this.#fresh) this.#movable.set(block, record)
    this.#fresh.clear()
  }

  /** Moves the files of committed ones. What fails is tried again by the next call, or by a start. */
  settle(): Promise<void> {
    return this.#inTurn(() => this.#settle())
  }

  async #settle(): Promise<void> {
    if (this.#movable.size === 0) return
    const { done, errors } = await this.#trash.take([...this.#movable.values()])
    const failed = new Set(errors.map(({ block }) => block))
    const moved = new Set(done.map(({ block }) => block))
    for (const block of this.#movable.keys()) {
      if (failed.has(block)) continue
      this.#movable.delete(block)
      // It was missing: nothing is left to be kept.
      if (!moved.has(block)) this.#registry.forget(block)
    }
    for (const { block, error } of errors) {
      reportInternalError(`moving block file ${block} to the trash`, error)
    }
  }

  /** Those in the trash, in the order in which they were freed. */
  moved(): readonly BlockRecord[] {
    const all = this.#registry.trash()
    if (this.#fresh.size + this.#movable.size === 0) return all
    return all.filter(({ block }) => !this.#isInPlace(block))
  }

  /** What these take. */
  get movedBytes(): number {
    let bytes = this.#registry.trashBytes
    for (const { lengthBytes } of this.#fresh.values()) bytes -= lengthBytes
    for (const { lengthBytes } of this.#movable.values()) bytes -= lengthBytes
    return bytes
  }

  delete(proofs: readonly DeletionProof<number>[]): Promise<TrashDeletion> {
    return this.#inTurn(() => this.#delete(proofs))
  }

  async #delete(proofs: readonly DeletionProof<number>[]): Promise<TrashDeletion> {
    const deletable: BlockRecord[] = []
    const foreign: number[] = []
    for (const { subject: block } of proofs) {
      const record = this.#registry.trashed(block)
      if (record === undefined || this.#isInPlace(block)) continue
      if (await this.#isItself(record)) deletable.push(record)
      else foreign.push(block)
    }
    const { done, errors } = await this.#trash.delete(deletable)
    // Files first: a crash in between leaves records of the trash without files, which a start forgets.
    for (const { block } of done) this.#registry.forget(block)
    return {
      deleted: done.map(({ block }) => block),
      foreign,
      errors: errors.map(({ block, error }) => ({ block, message: messageOf(error) })),
    }
  }

  /** @returns those that are part of the store again */
  restore(blocks: readonly number[]): Promise<number[]> {
    return this.#inTurn(() => this.#restore(blocks))
  }

  async #restore(blocks: readonly number[]): Promise<number[]> {
    const records = blocks.flatMap(block => this.#registry.trashed(block) ?? [])
    const { done, errors } = await this.#trash.giveBack(
      records.filter(({ block }) => !this.#isInPlace(block)),
    )
    for (const { block, error } of errors) {
      reportInternalError(`bringing block file ${block} back from the trash`, error)
    }
    const back = new Set(done.map(({ block }) => block))
    const restored = records.filter(({ block }) => this.#isInPlace(block) || back.has(block))
    for (const record of restored) {
      // Or the next call of `settle` would move a file of the store.
      this.#fresh.delete(record.block)
      this.#movable.delete(record.block)
      this.#registry.remember({ ...record, freedSeconds: null })
    }
    return restored.map(({ block }) => block)
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#work.then(work, work)
    this.#work = done.catch(() => undefined)
    return done
  }

  #isInPlace(block: number): boolean {
    return this.#fresh.has(block) || this.#movable.has(block)
  }

  /** The file in the trash is the one that its record means. One without regions holds nothing that could be lost. */
  async #isItself(record: BlockRecord): Promise<boolean> {
    if (record.regionCount === 0) return true
    try {
      const header = await readBlockHeader(this.#trash.pathOf(record))
      return header?.block === record.block && header.group === record.group
    } catch (error) {
      // Deleted by an earlier try that failed behind that: only its record is left.
      if (codeOf(error) === 'ENOENT') return true
      reportInternalError(`reading block file ${record.block} of the trash`, error)
      return false
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
