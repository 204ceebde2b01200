// The middle of what several runs have measured.

/** Of what was measured: NaN stands for what was not. */
export function median(samples: readonly number[]): number {
  const sorted = samples
    .filter(sample => !Number.isNaN(sample))
    .toSorted((left, right) => left - right)
  const middle = sorted.length / 2
  const upper = sorted[Math.floor(middle)] ?? Number.NaN
  const lower = sorted[Math.ceil(middle) - 1] ?? Number.NaN
  return (lower + upper) / 2
}

/** Of the runs that have both. */
export function medianRatio(above: readonly number[], below: readonly number[]): number {
  return median(
    above.flatMap((value, run) => {
      const other = below[run]
      return other === undefined ? [] : [value / other]
    }),
  )
}
