// The trash: blocks/trash/, where freed block files and what a crash left behind are kept for a time. A file keeps its
// group and id in its name, so that it can go back to its place.
//
//   trash/<group>-<block id in 8 hex digits>.blk

import { lstat, readdir, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { syncDirectory } from '../durable-file.ts'
import { durably, durablySync } from '../fault-points.ts'
import { codeOf } from './errors.ts'
import { blockPath, makeBlockFolders } from './paths.ts'

export const TRASH_FOLDER = 'trash'
const NAME = /^([1-9][0-9]{0,4})-([0-9a-f]{8})\.blk$/

/** A block file by what its place says of it. */
export interface PlacedBlock {
  readonly block: number
  readonly group: number
}

/** What became of each file. */
export interface Moves {
  readonly done: readonly PlacedBlock[]
  readonly errors: readonly (PlacedBlock & { readonly error: unknown })[]
}

export class Trash {
  readonly #directory: string
  readonly #path: string

  /** @param directory of all block files; its folder `trash` is there */
  constructor(directory: string) {
    this.#directory = directory
    this.#path = join(directory, TRASH_FOLDER)
  }

  pathOf({ block, group }: PlacedBlock): string {
    return join(this.#path, `${group}-${block.toString(16).padStart(8, '0')}.blk`)
  }

  /** Files in the trash; none where there is no trash yet. Others there are not the store's, and are left alone. */
  async list(): Promise<PlacedBlock[]> {
    const names = await readdir(this.#path).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return []
      throw error
    })
    return names.flatMap(name => {
      const [, group, block] = NAME.exec(name) ?? []
      if (group === undefined || block === undefined) return []
      return [{ group: Number(group), block: Number.parseInt(block, 16) }]
    })
  }

  /** Moves block files from their places. Durable when it resolves. Those without a file are left out. */
  async take(blocks: readonly PlacedBlock[]): Promise<Moves> {
    const folders = new Set<string>()
    const moves = await each(blocks, async placed => {
      const from = blockPath(this.#directory, placed.group, placed.block)
      const isMoved = await moved('trash.take', from.file, this.pathOf(placed))
      if (isMoved) folders.add(from.folder)
      // An earlier try may have moved it, and have failed behind that.
      return isMoved || (await this.#has(placed))
    })
    await this.#sync(folders)
    return moves
  }

  /** Moves block files back to their places. Durable when it resolves. Those without a file in the trash are left out. */
  async giveBack(blocks: readonly PlacedBlock[]): Promise<Moves> {
    const folders = new Set<string>()
    const moves = await each(blocks, async placed => {
      const to = blockPath(this.#directory, placed.group, placed.block)
      for (const folder of await makeBlockFolders(this.#directory, to)) folders.add(folder)
      return await moved('trash.give-back', this.pathOf(placed), to.file)
    })
    await this.#sync(folders)
    return moves
  }

  /** Deletes files for good. Durable when it resolves. */
  async delete(blocks: readonly PlacedBlock[]): Promise<Moves> {
    const moves = await each(blocks, async placed => {
      await durably('trash.delete', () => unlink(this.pathOf(placed))).catch((error: unknown) => {
        if (codeOf(error) !== 'ENOENT') throw error
      })
      return true
    })
    await this.#sync(new Set())
    return moves
  }

  async #has(placed: PlacedBlock): Promise<boolean> {
    return await lstat(this.pathOf(placed)).then(
      () => true,
      (error: unknown) => {
        if (codeOf(error) === 'ENOENT') return false
        throw error
      },
    )
  }

  async #sync(folders: ReadonlySet<string>): Promise<void> {
    for (const folder of [...folders, this.#path]) {
      await durablySync('trash.directory-sync', () => syncDirectory(folder))
    }
  }
}

/** @returns false when there is no file to be moved */
async function moved(
  step: 'trash.take' | 'trash.give-back',
  from: string,
  to: string,
): Promise<boolean> {
  try {
    await durably(step, () => rename(from, to))
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

/** One after the other; an error of one keeps no other from being done. @param work false: it has no part in `done` */
async function each(
  blocks: readonly PlacedBlock[],
  work: (placed: PlacedBlock) => Promise<boolean>,
): Promise<Moves> {
  const done: PlacedBlock[] = []
  const errors: (PlacedBlock & { error: unknown })[] = []
  for (const { block, group } of blocks) {
    try {
      if (await work({ block, group })) done.push({ block, group })
    } catch (error) {
      errors.push({ block, group, error })
    }
  }
  return { done, errors }
}
