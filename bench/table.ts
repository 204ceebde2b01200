// Medians, ratios, and how they are printed.

import type { MemoryResult } from './memory.ts'
import type { TargetName } from './targets.ts'
import type { Unit } from './workloads.ts'

const GIBIBYTE = 2 ** 30
const MEBIBYTE = 2 ** 20

export interface Row {
  readonly id: string
  readonly label: string
  readonly unit: Unit
  /** of every run */
  readonly samples: Readonly<Record<TargetName, number[]>>
}

export interface Summary {
  readonly medians: Readonly<Record<TargetName, number>>
  readonly sealedToClear: number
  readonly toPlain: number
  readonly toNothing: number
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((left, right) => left - right)
  const middle = sorted.length / 2
  const upper = sorted[Math.floor(middle)] ?? Number.NaN
  const lower = sorted[Math.ceil(middle) - 1] ?? Number.NaN
  return (lower + upper) / 2
}

export function summarize({ samples }: Row): Summary {
  const coffer = median(samples.coffer)
  const sealed = median(samples.sealed)
  const nothing = median(samples.nothing)
  const plain = median(samples.plain)
  return {
    medians: { coffer, sealed, nothing, plain },
    sealedToClear: sealed / coffer,
    toPlain: coffer / plain,
    toNothing: coffer / nothing,
  }
}

/** Columns as wide as their widest cell; the first to the left, numbers to the right. */
export function layOut(lines: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const line of lines) {
    for (const [column, cell] of line.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length)
    }
  }
  const pad = (cell: string, column: number): string => {
    const width = widths[column] ?? 0
    return column === 0 ? cell.padEnd(width) : cell.padStart(width)
  }
  return lines.map(line => line.map(pad).join('  ').trimEnd()).join('\n')
}

export function formatTable(rows: readonly Row[]): string {
  const header = [
    'workload',
    'unit',
    'coffer',
    'encrypted',
    'do-nothing',
    'plain',
    'encrypted/clear',
    'coffer/plain',
    'coffer/do-nothing',
    'coffer min-max',
  ]
  const lines = rows.map(row => {
    const { medians, sealedToClear, toPlain, toNothing } = summarize(row)
    const { coffer } = row.samples
    return [
      row.label,
      row.unit,
      medians.coffer.toFixed(0),
      medians.sealed.toFixed(0),
      medians.nothing.toFixed(0),
      medians.plain.toFixed(0),
      sealedToClear.toFixed(2),
      toPlain.toFixed(2),
      toNothing.toFixed(2),
      `${Math.min(...coffer).toFixed(0)}-${Math.max(...coffer).toFixed(0)}`,
    ]
  })
  return layOut([header, ...lines])
}

export function formatMemory(memory: MemoryResult): string {
  const written = (memory.writtenBytes / GIBIBYTE).toFixed(1)
  const peak = (memory.peakBytes / MEBIBYTE).toFixed(0)
  const after = (memory.afterBytes / MEBIBYTE).toFixed(0)
  return `daemon after ${written} GiB in ${memory.files} files: peak RSS ${peak} MiB, RSS at rest ${after} MiB`
}
