// How medians and ratios are printed: as a table of Markdown, which is as readable on a terminal.

import type { Row, Unit } from './groups.ts'
import { median, medianRatio } from './medians.ts'
import { THREAD_KINDS } from './processor-clock.ts'
import type { MemoryResult } from './memory.ts'

const MEBIBYTE = 2 ** 20
const GIBIBYTE = 2 ** 30

/** Column => what its heading says. */
const TITLES: Readonly<Record<string, string>> = { sealed: 'encrypted', nothing: 'do-nothing' }

/** The ratios that say most, where a group has both columns. */
const RATIOS: readonly (readonly [above: string, below: string])[] = [
  ['sealed', 'coffer'],
  ['sealed', 'gocryptfs'],
  ['sealed', 'plain'],
]

/** Of the others all digits behind the point are noise. */
const DIGITS: Partial<Record<Unit, number>> = { x: 2, MB: 1 }

export interface Summary {
  readonly medians: Readonly<Record<string, number>>
  /** the middle of the ratios within each run, since the machine changes more between runs */
  readonly ratios: Readonly<Record<string, number>>
}

function ratiosOf(columns: readonly string[]): (readonly [string, string])[] {
  return RATIOS.filter(pair => pair.every(column => columns.includes(column)))
}

export function summarize(row: Row, columns: readonly string[]): Summary {
  const samples = (column: string): readonly number[] => row.samples[column] ?? []
  return {
    medians: Object.fromEntries(columns.map(column => [column, median(samples(column))])),
    ratios: Object.fromEntries(
      ratiosOf(columns).map(([above, below]) => [
        `${titleOf(above)} / ${below}`,
        medianRatio(samples(above), samples(below)),
      ]),
    ),
  }
}

const titleOf = (column: string): string => TITLES[column] ?? column

/** Columns as wide as their widest cell; the first to the left, numbers to the right. */
export function layOut(lines: readonly (readonly string[])[]): string {
  return aligned(lines)
    .map(cells => cells.join('  ').trimEnd())
    .join('\n')
}

function aligned(lines: readonly (readonly string[])[]): string[][] {
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
  return lines.map(line => line.map(pad))
}

function layOutMarkdown(header: readonly string[], lines: readonly (readonly string[])[]): string {
  const [head = [], ...body] = aligned([header, ...lines])
  const rule = head.map((cell, column) => {
    const width = Math.max(2, cell.length)
    return column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`
  })
  return [head, rule, ...body].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

function format(value: number, digits: number): string {
  return Number.isNaN(value) ? '–' : value.toFixed(digits)
}

const toMebibytes = (bytes: number | undefined): string =>
  bytes === undefined ? '–' : (bytes / MEBIBYTE).toFixed(0)

/** Peaks in the order of the columns; without them where nothing runs that is coffer. */
function peaksOf(row: Row, columns: readonly string[]): string {
  const peaks = columns.filter(column => row.peakBytes[column] !== undefined)
  return peaks.map(column => toMebibytes(row.peakBytes[column])).join(' / ') || '–'
}

/** @param columns those that were measured */
export function formatTable(rows: readonly Row[], columns: readonly string[]): string {
  const ratios = ratiosOf(columns).map(([above, below]) => `${titleOf(above)} / ${below}`)
  const header = ['workload', 'unit', ...columns.map(titleOf), ...ratios, 'peak RSS, MiB']
  const lines = rows.map(row => {
    const summary = summarize(row, columns)
    return [
      row.label,
      row.unit,
      ...columns.map(column =>
        format(summary.medians[column] ?? Number.NaN, DIGITS[row.unit] ?? 0),
      ),
      ...ratios.map(ratio => format(summary.ratios[ratio] ?? Number.NaN, 2)),
      peaksOf(row, columns),
    ]
  })
  return layOutMarkdown(header, lines)
}

/** How busy the daemon's threads were, in percents of a processor; nothing where nothing runs that is coffer. */
export function formatProcessors(rows: readonly Row[], columns: readonly string[]): string {
  const lines = rows.flatMap(row =>
    columns.flatMap(column => {
      const shares = row.processors[column]
      if (shares === undefined) return []
      const cells = THREAD_KINDS.map(kind => shares[kind])
      const total = cells.reduce((sum, share) => sum + share, 0)
      return [[row.label, titleOf(column), ...[...cells, total].map(toPercent)]]
    }),
  )
  if (lines.length === 0) return ''
  return layOutMarkdown(['processor time, % of one', 'column', ...THREAD_KINDS, 'together'], lines)
}

const toPercent = (share: number): string => (share * 100).toFixed(0)

export function formatMemory(memory: MemoryResult): string {
  const written = (memory.writtenBytes / GIBIBYTE).toFixed(1)
  const peak = toMebibytes(memory.peakBytes)
  const after = toMebibytes(memory.afterBytes)
  return `Daemon after ${written} GiB in ${memory.files} files: peak RSS ${peak} MiB, RSS at rest ${after} MiB.`
}
