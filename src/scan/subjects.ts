// What a finding is about, for programs: repairs are planned by it. The words of a finding are for people.

import type { UsageTotals } from '../evidence/index.ts'
import type { CheckName } from './checks.ts'

/** A name in a directory, as its record says. */
export interface NamePlace {
  readonly parent: number
  readonly name: string
  /** that it lies under */
  readonly hash: number
  /** the inode that it leads to */
  readonly target: number
  /** that it says of the target (S_IFMT bits) */
  readonly type: number
}

interface Count {
  readonly inode: number
  /** what is to be added to what it counts */
  readonly delta: number
}

interface ContainerCount {
  readonly container: number
  readonly delta: number
}

interface RecordPlace {
  readonly key: Buffer
}

interface BlockPlace {
  readonly block: number
  readonly reason: string
}

/** Of the checks that are not here, a finding is told in words only. */
export interface Subjects {
  'record-readable': RecordPlace
  /** the least number that the counter may give out */
  'counter-inode': { readonly next: number }
  'counter-container': { readonly next: number }
  'counter-block': { readonly next: number }
  'name-inode': NamePlace
  'name-directory': NamePlace
  'name-type': NamePlace
  'name-hash': NamePlace
  /** the containers of the directory and of the inode */
  'name-container': NamePlace & { readonly container: number; readonly inodeContainer: number }
  'inode-links': Count
  'inode-children': Count
  /** `parent`: the directory that its one name lies in; 0 when it has several names */
  'inode-parent': { readonly inode: number; readonly was: number; readonly parent: number }
  'inode-lost': { readonly inode: number; readonly container: number }
  'inode-container': { readonly inode: number; readonly container: number }
  'inode-mapped': Count
  'orphan-mark': { readonly inode: number; readonly isMarked: boolean; readonly exists: boolean }
  'xattr-flag': { readonly inode: number; readonly has: boolean }
  'xattr-inode': RecordPlace & { readonly inode: number }
  'extent-inode': RecordPlace & { readonly inode: number; readonly exists: boolean }
  /** what is to be added to the counters */
  'usage-counters': { readonly correction: UsageTotals }
  'container-root': { readonly container: number; readonly root: number }
  'container-files': ContainerCount
  'container-bytes': ContainerCount
  'index-block': RecordPlace
  'index-place': RecordPlace
  'block-file': BlockPlace
  'block-header': BlockPlace
}

export type SubjectOf<Check extends CheckName> = Check extends keyof Subjects
  ? Subjects[Check]
  : undefined

/** One finding as programs see it. */
export type Discovery = {
  readonly [Check in CheckName]: {
    readonly check: Check
    readonly text: string
    readonly subject: SubjectOf<Check>
  }
}[CheckName]

/** Where findings go. */
export type Found = <Check extends CheckName>(
  check: Check,
  text: string,
  subject: SubjectOf<Check>,
) => void
