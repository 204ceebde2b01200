// What the commands have in common that begin something long: whose data, until its end or not, and what files it found lost.

import { formatRest, formatTable } from './format.ts'
import { formatSize } from './sizes.ts'

export const WAIT = { type: 'boolean', default: false, describe: 'Until it has ended' } as const
export const DRY_RUN = {
  type: 'boolean',
  default: false,
  describe: 'Show what it would do, and do nothing',
} as const

export function groupOption(describe: string) {
  return { type: 'string', requiresArg: true, describe } as const
}

/** The parameters of a call for one group, or for all of them. */
export function scopeOf({ group }: { group: string | undefined }): { group?: string } {
  return group === undefined ? {} : { group }
}

export interface LostFile {
  readonly inode: number
  readonly path: string | null
  readonly ranges: readonly { readonly startBytes: number; readonly lengthBytes: number }[]
  readonly rangeCount: number
  readonly lostBytes: number
}

/** @param count how many there are, of which these are the first ones */
export function formatLostFiles(files: readonly LostFile[], count: number): string {
  const rows = files.map(({ inode, path, ranges, rangeCount, lostBytes }) => [
    String(inode),
    formatSize(lostBytes),
    ranges
      .map(({ startBytes, lengthBytes }) => `${startBytes}+${lengthBytes}`)
      .concat(rangeCount > ranges.length ? '…' : [])
      .join(' '),
    path ?? '(no name)',
  ])
  const head = ['Inode', 'Lost', 'Ranges (start+length)', 'File']
  return `${formatTable(head, rows)}${formatRest(count - files.length)}`
}
