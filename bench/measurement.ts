// One group is measured, run after run, within its time.

import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Failure, Group, Row, Sample } from './groups.ts'
import type { BenchOptions } from './options.ts'
import type { ProcessorShares } from './processor-clock.ts'
import { Sources } from './sources.ts'

export interface GroupResult {
  readonly name: string
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: readonly Row[]
  readonly failures: readonly Failure[]
  readonly remarks: readonly string[]
  /** whole ones */
  readonly runs: number
  readonly seconds: number
  /** it wasn't through when its time was over: the last run is not whole */
  readonly isCutShort: boolean
}

interface MutableRow extends Row {
  readonly samples: Record<string, number[]>
  readonly peakBytes: Record<string, number>
  readonly processors: Record<string, ProcessorShares>
}

/** Collects what the runs of a group find. */
export class Recorder {
  readonly rows: readonly MutableRow[]
  readonly failures: Failure[] = []
  readonly #say: (line: string) => void

  constructor(group: Group, { sizes }: BenchOptions, say: (line: string) => void) {
    this.rows = group
      .rows(sizes)
      .map(head => ({ ...head, samples: {}, peakBytes: {}, processors: {} }))
    this.#say = say
  }

  add(runIndex: number, { row: id, column, value, peakBytes, processors }: Sample): void {
    const row = this.rows.find(each => each.id === id)
    if (row === undefined) throw new Error(`there is no row ${id}`)
    const samples = (row.samples[column] ??= [])
    // What failed in an earlier run: ratios are of the same run.
    while (samples.length < runIndex) samples.push(Number.NaN)
    samples.push(value)
    if (peakBytes !== undefined) {
      row.peakBytes[column] = Math.max(row.peakBytes[column] ?? 0, peakBytes)
    }
    if (processors !== undefined) row.processors[column] = processors
    this.#say(`run ${runIndex + 1}, ${row.label}, ${column}: ${value.toFixed(1)} ${row.unit}`)
  }

  fail(failure: Failure): void {
    this.failures.push(failure)
    this.#say(`${failure.row}, ${failure.column}: FAILED: ${failure.message}`)
  }
}

export interface Measuring {
  readonly options: BenchOptions
  /** those of the group that are installed and were asked for */
  readonly columns: readonly string[]
  /** where to make directories */
  readonly base: string
  /** aborted: the user wants no more */
  readonly interrupt: AbortSignal
  readonly say: (line: string) => void
}

/** @throws what `interrupt` says when it is aborted; everything else is part of the result */
export async function measureGroup(group: Group, measuring: Measuring): Promise<GroupResult> {
  const { options, columns, interrupt, say } = measuring
  const runsMax = options.runs
  const secondsMax = group.runSecondsMax * runsMax * options.patience
  const timeout = AbortSignal.timeout(secondsMax * 1000)
  const signal = AbortSignal.any([interrupt, timeout])
  const recorder = new Recorder(group, options, say)
  const sources = new Sources()
  const startedMs = performance.now()
  const elapsed = (): number => (performance.now() - startedMs) / 1000
  let runs = 0
  try {
    for (let longest = 0; runs < runsMax && elapsed() + longest <= secondsMax; runs += 1) {
      const begun = elapsed()
      const base = await mkdtemp(join(measuring.base, `${group.name}-`))
      try {
        const runIndex = runs
        await group.run({
          sizes: options.sizes,
          sources,
          base,
          runIndex,
          columns,
          signal,
          record: sample => recorder.add(runIndex, sample),
          fail: failure => recorder.fail(failure),
        })
      } finally {
        await rm(base, { recursive: true, force: true })
      }
      longest = Math.max(longest, elapsed() - begun)
    }
  } catch (error) {
    if (!timeout.aborted) throw error
    interrupt.throwIfAborted()
    say(`${group.name}: its ${secondsMax} seconds are over`)
  } finally {
    await sources.remove()
  }
  const { rows, failures } = recorder
  return {
    name: group.name,
    title: group.title,
    columns,
    rows,
    failures,
    runs,
    remarks: group.remarks?.(rows) ?? [],
    seconds: elapsed(),
    isCutShort: timeout.aborted && runs < runsMax,
  }
}
