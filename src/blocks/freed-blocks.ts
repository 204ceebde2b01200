// Block files on their way out of the store: freed by a commit, kept in the trash, brought back or deleted.

import assert from 'node:assert'
import type { DeletionProof } from '../deletion-proof.ts'
import { reporterOf } from '../internal-errors.ts'
import type { BlockRecord } from './block-store.ts'
import type { BlockRegistry } from './block-registry.ts'
import { codeOf } from './errors.ts'
import { readBlockHeader } from './scan.ts'
import type { PlacedBlock, Trash } from './trash.ts'

export class FreedBlocks {
  readonly #registry: BlockRegistry
  readonly #trash: Trash
  /** freed, and the last commit doesn't say so yet */
  #fresh: PlacedBlock[] = []
  /** freed by the last commit; their files are still in place */
  #movable: PlacedBlock[] = []

  constructor(registry: BlockRegistry, trash: Trash) {
    this.#registry = registry
    this.#trash = trash
  }

  /** The coming commit writes down that the block file is in the trash. */
  add(block: number, nowSeconds: number): void {
    const record = this.#registry.get(block)
    assert(record?.isClosed === true, 'what is freed is closed')
    this.#registry.remember({ ...record, quarantine: null, freedSeconds: nowSeconds })
    this.#fresh.push({ block, group: record.group })
  }

  /** Everything that was added is in the commit that is being made. */
  collected(): void {
    this.#movable.push(...this.#fresh)
    this.#fresh = []
  }

  /** Moves the files of committed ones. What fails is done by the next start. */
  async settle(): Promise<void> {
    const movable = this.#movable
    this.#movable = []
    await this.#trash.take(movable).catch(reporterOf('moving freed block files to the trash'))
  }

  /** In the order in which they were freed. */
  list(): readonly BlockRecord[] {
    return this.#registry.trash()
  }

  /** @returns those whose file is another one's: they are left alone */
  async delete(proofs: readonly DeletionProof<number>[]): Promise<number[]> {
    const deletable: BlockRecord[] = []
    const refused: number[] = []
    for (const { subject: block } of proofs) {
      const record = this.#registry.trashed(block)
      if (record === undefined) continue
      if (await this.#isItself(record)) deletable.push(record)
      else refused.push(block)
    }
    await this.#trash.delete(deletable)
    // Files first: a crash in between leaves records of the trash without files, which a start forgets.
    for (const { block } of deletable) this.#registry.forget(block)
    return refused
  }

  /** @returns those that are part of the store again */
  async restore(blocks: readonly number[]): Promise<number[]> {
    const records = blocks.flatMap(block => this.#registry.trashed(block) ?? [])
    const missing = new Set((await this.#trash.giveBack(records)).map(({ block }) => block))
    const restored = records.filter(({ block }) => !missing.has(block))
    for (const record of restored) this.#registry.remember({ ...record, freedSeconds: null })
    return restored.map(({ block }) => block)
  }

  /** The file in the trash is the one that its record means. One without regions holds nothing that could be lost. */
  async #isItself(record: BlockRecord): Promise<boolean> {
    if (record.regionCount === 0) return true
    const header = await readBlockHeader(this.#trash.pathOf(record)).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return record
      throw error
    })
    return header?.block === record.block && header.group === record.group
  }
}
