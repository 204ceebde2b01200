// Stores of format 2 had no counters of references, and knew damaged block files by alerts alone. Their first start makes
// both. Until its commit the store is as it was; FORMAT says 3 only after it.

import type { AlertBoard, EventLog } from '../alerts/index.ts'
import type { BlockStore } from '../blocks/index.ts'
import { countExtents, subtractUsage, type UsageCounters } from '../evidence/index.ts'
import type { MetadataStore } from '../metadata/index.ts'
import { mappedBytesOf } from './mapped-bytes.ts'

export interface UpgradeParts {
  readonly metadata: MetadataStore
  readonly blocks: BlockStore
  readonly usage: UsageCounters
  readonly alerts: AlertBoard
  readonly events: EventLog
}

/** The coming commit has what format 3 needs. @throws StoreError RECORD_DAMAGED, METADATA_DAMAGED */
export async function upgradeFromFormat2(parts: UpgradeParts): Promise<void> {
  const { metadata, blocks, usage, alerts, events } = parts
  for (const { code, subject, text } of alerts.list()) {
    if (code === 'DAMAGED_BLOCK' && subject !== null) blocks.quarantine(Number(subject), text)
  }
  const snapshot = metadata.snapshot()
  try {
    const { usage: counted, disagreements } = await countExtents({
      snapshot,
      mappedBytesOf,
      visit: () => undefined,
      step: async () => undefined,
    })
    if (disagreements.length === 0) usage.correct(subtractUsage(counted, usage.totals))
    else {
      const text = `References could not be counted, so nothing is freed: ${disagreements.join('; ')}.`
      alerts.raise('EVIDENCE_DISAGREES', text)
    }
  } finally {
    await snapshot.close()
  }
  events.record('STORE_UPGRADED', 'info', 'The store was upgraded from format 2 to format 3.')
}
