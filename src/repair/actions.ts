// What a repair may do: one action is one step that is whole in itself, and a line that says it.

import type { UsageTotals } from '../evidence/index.ts'
import type { CheckName, NamePlace } from '../scan/index.ts'
import type { SalvagedDirectory, SalvagedFile } from '../vfs/index.ts'

/**
 * In this order, with a new look at all records after each: what a later stage corrects depends on what the earlier ones
 * have put right.
 */
export const STAGES = [
  'counters',
  'containers',
  'inodes',
  'records',
  'names',
  'lost',
  'counts',
  'sums',
  'references',
  'blocks',
] as const
export type Stage = (typeof STAGES)[number]

/** What is done, as the one who does it needs it. */
export type Deed =
  | { readonly kind: 'raise-counter'; readonly nextInode: number; readonly nextContainer: number }
  | { readonly kind: 'raise-block-counter'; readonly next: number }
  | { readonly kind: 'mend-root'; readonly container: number; readonly root: number }
  | {
      readonly kind: 'restore-container'
      readonly container: number
      readonly name: string
      readonly root: number
      readonly group: number
    }
  | {
      readonly kind: 'salvage-file'
      readonly file: SalvagedFile
      readonly names: readonly NamePlace[]
    }
  | {
      readonly kind: 'salvage-directory'
      readonly directory: SalvagedDirectory
      readonly name: NamePlace | undefined
    }
  | { readonly kind: 'drop-inode'; readonly inode: number; readonly names: readonly NamePlace[] }
  | { readonly kind: 'delete-record'; readonly key: Buffer }
  | { readonly kind: 'drop-xattrs'; readonly inode: number }
  | { readonly kind: 'unmark'; readonly inode: number }
  | { readonly kind: 'mark'; readonly inode: number }
  | { readonly kind: 'remove-name'; readonly name: NamePlace }
  | { readonly kind: 'set-name-type'; readonly name: NamePlace }
  | { readonly kind: 'restore-name'; readonly name: NamePlace }
  | { readonly kind: 'move-name'; readonly name: NamePlace }
  | {
      readonly kind: 'set-container'
      readonly inode: number
      readonly from: number
      readonly to: number
    }
  | {
      readonly kind: 'set-parent'
      readonly inode: number
      readonly was: number
      readonly parent: number
    }
  | { readonly kind: 'adopt'; readonly inode: number }
  | { readonly kind: 'add-links'; readonly inode: number; readonly delta: number }
  | { readonly kind: 'add-children'; readonly inode: number; readonly delta: number }
  | { readonly kind: 'add-mapped'; readonly inode: number; readonly delta: number }
  | { readonly kind: 'set-xattr-flag'; readonly inode: number; readonly has: boolean }
  | {
      readonly kind: 'recount-container'
      readonly container: number
      readonly bytes: number
      readonly files: number
    }
  | { readonly kind: 'correct-usage'; readonly correction: UsageTotals }
  | { readonly kind: 'quarantine-block'; readonly block: number; readonly reason: string }

export interface Action {
  readonly stage: Stage
  readonly check: CheckName
  /** one line for people: what is done, naming the record or the inode */
  readonly text: string
  readonly deed: Deed
  /** records that it changes: copies of them are kept */
  readonly keys: readonly Buffer[]
}

/** A finding that no action follows from. */
export interface LeftAlone {
  readonly check: CheckName
  readonly text: string
  readonly why: string
}

export interface RepairPlan {
  /** by stage */
  readonly actions: readonly Action[]
  readonly left: readonly LeftAlone[]
}
