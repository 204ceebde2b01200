// The counters of references against the extents themselves.

import { compareUsage, countersIn, subtractUsage, UsageTally } from '../evidence/index.ts'
import { TABLE } from '../metadata/index.ts'
import { parsed, rows } from './scan-context.ts'
import type { ScanContext } from './scan-context.ts'

/** Nothing is said where extents or counters can't be read: other checks tell of that. */
export async function checkUsageCounters(
  context: Pick<ScanContext, 'snapshot' | 'found' | 'step'>,
): Promise<void> {
  const { snapshot, found } = context
  const counted = new UsageTally()
  let isWhole = true
  const damaged = (): void => {
    isWhole = false
  }
  for await (const row of rows(context, Buffer.of(TABLE.extents), undefined, false, damaged)) {
    const bytes = parsed(context, row, () => counted.add(row.value, 1), false)
    if (bytes === undefined) isWhole = false
  }
  if (!isWhole) return
  const recorded = await countersIn(snapshot, damaged)
  const differences = compareUsage(counted, recorded)
  if (differences.length === 0) return
  found('usage-counters', `${differences.join('; ')}.`, {
    correction: subtractUsage(counted, recorded),
  })
}
