// Compares two counts of references. Pure.

import type { UsageTotals } from './contract.ts'
import { UsageTally } from './tally.ts'

/** Differences named at most: enough to begin with, and no flood. */
const NAMED_MAX = 10

/** @returns what differs, in words; empty when the two counts agree */
export function compareUsage(counted: UsageTotals, recorded: UsageTotals): readonly string[] {
  const differences = [
    ...differencesOf('storage group', counted.groups, recorded.groups, usage => {
      return `${usage?.pages ?? 0} pages, ${usage?.extents ?? 0} extents, ${usage?.bytes ?? 0} bytes`
    }),
    ...differencesOf('block file', counted.blocks, recorded.blocks, usage => {
      return `${usage?.extents ?? 0} extents, ${usage?.bytes ?? 0} bytes`
    }),
  ]
  if (differences.length <= NAMED_MAX) return differences
  const unnamed = differences.length - NAMED_MAX
  return [...differences.slice(0, NAMED_MAX), `${unnamed} more counts differ`]
}

function differencesOf<Usage>(
  what: string,
  counted: ReadonlyMap<number, Usage>,
  recorded: ReadonlyMap<number, Usage>,
  inWords: (usage: Usage | undefined) => string,
): string[] {
  const differences: string[] = []
  for (const id of new Set([...recorded.keys(), ...counted.keys()])) {
    const [found, said] = [inWords(counted.get(id)), inWords(recorded.get(id))]
    if (found === said) continue
    differences.push(`${what} ${id}: the extents listed are ${found}, the commits counted ${said}`)
  }
  return differences
}

/** What is to be added to `recorded` to make it `counted`. */
export function subtractUsage(counted: UsageTotals, recorded: UsageTotals): UsageTotals {
  const difference = new UsageTally()
  for (const [block, usage] of counted.blocks) difference.addBlock(block, usage)
  for (const [group, usage] of counted.groups) difference.addGroup(group, usage)
  for (const [block, { extents, bytes }] of recorded.blocks) {
    difference.addBlock(block, { extents: -extents, bytes: -bytes })
  }
  for (const [group, { pages, extents, bytes }] of recorded.groups) {
    difference.addGroup(group, { pages: -pages, extents: -extents, bytes: -bytes })
  }
  return difference
}
