// The repairer, put together with what it repairs; and what its reports do to alerts.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { UsageCounters } from '../evidence/index.ts'
import { makeDirectoryDurably, writeDurably } from '../durable-file.ts'
import { plural } from '../plural.ts'
import { Repairer } from '../repair/index.ts'
import type { QuarantinedFile, RecordMender, RepairBook, RepairReport } from '../repair/index.ts'
import type { ScanReport } from '../scan/index.ts'
import type { BlockIds } from './block-ids.ts'
import { reportDamagedBlock } from './cleaning.ts'
import type { DamageWatch } from './damage-watch.ts'
import { patientPace, scanParts } from './scanning.ts'
import type { ScanningOptions } from './scanning.ts'

export interface RepairingOptions extends Omit<ScanningOptions, 'book' | 'windowAt'> {
  readonly book: RepairBook
  /** of the last scan that ended */
  readonly scanReport: () => ScanReport | undefined
  readonly mender: RecordMender
  readonly ids: BlockIds
  readonly usage: UsageCounters
  readonly damage: DamageWatch
  /** of the copies of changed records; made when the first one is written */
  readonly directory: string
  readonly isReadOnly: () => boolean
}

export function buildRepairer(options: RepairingOptions): Repairer {
  const { metadata, groups, vfs, alerts, usage, blocks, ids, damage, directory, book } = options
  return new Repairer({
    scan: scanParts(options),
    target: {
      mending: vfs.mending,
      records: options.mender,
      raiseBlockCounter: next => ids.raise(next),
      correctUsage: correction => usage.correct(correction),
      quarantineBlock: (block, reason) => {
        // The cleaner may have deleted it meanwhile.
        if (!blocks.hasBlock(block) || blocks.quarantined.has(block)) return false
        reportDamagedBlock(blocks, alerts, block, `it ${reason}.`)
        return true
      },
    },
    book,
    groups: () => groups.list().map(({ id }) => id),
    frame: key => metadata.frame(key),
    keep: async (name, bytes) => {
      await makeDirectoryDurably(directory)
      await writeDurably('repair-backup', join(directory, name), bytes)
    },
    forget: name => rm(join(directory, name), { force: true }),
    heal: async () => damage.look(),
    knownLosses: () => knownLosses(options),
    damagedBlocks: () =>
      [...blocks.quarantined].map(([block, reason]) => ({
        block,
        reason: `Block file ${block} is damaged: ${reason}`,
      })),
    isReadOnly: options.isReadOnly,
    nowSeconds: options.nowSeconds,
    newPace: () => patientPace(options.clientBytes),
    ended: report => ended(options, report),
  })
}

/** Damage inside of block files is found by reading them: what a scan has found, and what is damaged still. */
function knownLosses({ scanReport, alerts }: RepairingOptions): QuarantinedFile[] {
  const isDamaged = (inode: number): boolean => alerts.isRaised('DAMAGED_FILE', String(inode))
  return (scanReport()?.lostFiles ?? [])
    .filter(({ inode }) => isDamaged(inode))
    .map(({ inode, path, ranges, rangeCount, lostBytes }) => ({
      inode,
      path,
      ranges,
      rangeCount,
      lostBytes,
    }))
}

function ended({ alerts, events, book }: RepairingOptions, report: RepairReport): void {
  const { id, outcome, text, doneCount, leftCount, quarantinedFileCount } = report
  for (const { inode, path, lostBytes } of book.quarantine.files) {
    const name = path ?? 'no name'
    const what = `Inode ${inode} (${name}) has lost ${plural(lostBytes, 'byte')} and is quarantined.`
    alerts.raise('DAMAGED_FILE', what, String(inode))
  }
  const isWell = outcome === 'clean' || outcome === 'repaired'
  const summary =
    `Repair ${id} is ${outcome}: ${plural(doneCount, 'thing')} repaired, ${leftCount} left alone, ` +
    `${plural(quarantinedFileCount, 'file')} with losses. ${text}`
  events.record('REPAIR_ENDED', isWell ? 'info' : 'warning', summary.trim())
}
