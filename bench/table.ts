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
  /** of every run; none of a target that isn't installed */
  readonly samples: Readonly<Record<TargetName, number[]>>
}

export interface Summary {
  readonly medians: Readonly<Record<TargetName, number>>
  /** the middle of the ratios within each run, since the machine changes more between runs */
  readonly sealedToClear: number
  readonly sealedToGocryptfs: number
  readonly sealedToPlain: number
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((left, right) => left - right)
  const middle = sorted.length / 2
  const upper = sorted[Math.floor(middle)] ?? Number.NaN
  const lower = sorted[Math.ceil(middle) - 1] ?? Number.NaN
  return (lower + upper) / 2
}

function medianRatio(above: readonly number[], below: readonly number[]): number {
  return median(above.map((value, run) => value / (below[run] ?? Number.NaN)))
}

export function summarize({ samples }: Row): Summary {
  const { coffer, sealed, gocryptfs, nothing, plain } = samples
  return {
    medians: {
      coffer: median(coffer),
      sealed: median(sealed),
      gocryptfs: median(gocryptfs),
      nothing: median(nothing),
      plain: median(plain),
    },
    sealedToClear: medianRatio(sealed, coffer),
    sealedToGocryptfs: medianRatio(sealed, gocryptfs),
    sealedToPlain: medianRatio(sealed, plain),
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
    'gocryptfs',
    'do-nothing',
    'plain',
    'encrypted/clear',
    'encrypted/gocryptfs',
    'encrypted/plain',
    'encrypted min-max',
  ]
  const lines = rows.map(row => {
    const { medians, sealedToClear, sealedToGocryptfs, sealedToPlain } = summarize(row)
    const { sealed } = row.samples
    return [
      row.label,
      row.unit,
      medians.coffer.toFixed(0),
      medians.sealed.toFixed(0),
      medians.gocryptfs.toFixed(0),
      medians.nothing.toFixed(0),
      medians.plain.toFixed(0),
      sealedToClear.toFixed(2),
      sealedToGocryptfs.toFixed(2),
      sealedToPlain.toFixed(2),
      `${Math.min(...sealed).toFixed(0)}-${Math.max(...sealed).toFixed(0)}`,
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
