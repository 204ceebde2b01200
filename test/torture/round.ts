// One crash and what was found after it.

export interface Round {
  /** kill, or the filesystem whose power was cut */
  readonly kind: string
  /** what makes the same choices again */
  readonly seed: number
  /** what else happened */
  readonly circumstances: string
  /** names of which something had been promised */
  readonly facts: number
  readonly wrongs: readonly string[]
  /** where the store of a wrong round was kept */
  readonly kept: string | undefined
}

export interface RoundOptions {
  readonly seed: number
  /** where a store that has lost something is kept */
  readonly keepIn: string
  /** all disks are full before their last cut, not only half of them */
  readonly fillsEveryDisk?: boolean
  /** of the daemon that crashes; not of the one that is looked at */
  readonly env?: Readonly<Record<string, string>>
}

/** What goes wrong in a check is a finding as well: a start that fails above all. */
export async function wrongsOf(check: () => Promise<string[]>): Promise<string[]> {
  try {
    return await check()
  } catch (error) {
    return [error instanceof Error ? (error.stack ?? error.message) : String(error)]
  }
}
