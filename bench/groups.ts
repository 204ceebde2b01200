// The words of the benchmark: a group is a set of workloads that are measured together, on what its columns name.

import type { ProcessorShares } from './processor-clock.ts'
import type { Sizes } from './options.ts'
import type { Sources } from './sources.ts'

export type Unit = 'MB/s' | 'files/s' | 'writes/s' | 'transactions/s' | 'ms' | 'MB' | 'x'

/** What a row measures. Of `ms` and `MB` less is better. */
export interface RowHead {
  readonly id: string
  readonly label: string
  readonly unit: Unit
}

export interface Failure {
  readonly row: string
  readonly column: string
  readonly message: string
}

export interface Row extends RowHead {
  /** of every run; nothing for what isn't installed or failed */
  readonly samples: Readonly<Record<string, readonly number[]>>
  /** the greatest resident memory of coffer's daemon while this was measured */
  readonly peakBytes: Readonly<Record<string, number>>
  /** of coffer's daemon, in the last run */
  readonly processors: Readonly<Record<string, ProcessorShares>>
}

export interface Sample {
  readonly row: string
  readonly column: string
  readonly value: number
  readonly peakBytes?: number | undefined
  readonly processors?: ProcessorShares | undefined
}

/** One run of a group: everything is measured once. */
export interface RunContext {
  readonly sizes: Sizes
  readonly sources: Sources
  /** an empty directory on the disk that is measured */
  readonly base: string
  /** who begins changes from run to run: who comes first may gain or lose by it */
  readonly runIndex: number
  /** what is installed, and was asked for */
  readonly columns: readonly string[]
  readonly signal: AbortSignal
  readonly record: (sample: Sample) => void
  readonly fail: (failure: Failure) => void
}

export interface Group {
  readonly name: string
  readonly title: string
  /** so long for each run: none begins that wouldn't end in time, and one that doesn't is cut short */
  readonly runSecondsMax: number
  /** in the order of the table */
  readonly columns: readonly string[]
  /** those that take so long that they are only measured when they are asked for */
  readonly slowColumns?: readonly string[]
  readonly rows: (sizes: Sizes) => readonly RowHead[]
  readonly run: (context: RunContext) => Promise<void>
  /** what the numbers say beyond themselves */
  readonly remarks?: (rows: readonly Row[]) => readonly string[]
}
