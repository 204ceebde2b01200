// The scanner, put together with what it looks at; and what its reports do to alerts.

import type { AlertBoard, EventLog } from '../alerts/index.ts'
import {
  CHUNK_BYTES_MAX,
  FINGERPRINT_BYTES,
  readBlockHeader,
  regionSlot,
  scanBlockFile,
} from '../blocks/index.ts'
import type { BlockStore } from '../blocks/index.ts'
import { Pace } from '../cleaner/index.ts'
import type { MetadataStore } from '../metadata/index.ts'
import { cutAndFingerprint } from '../native/data-path.ts'
import { plural } from '../plural.ts'
import { Scanner } from '../scan/index.ts'
import type { ScanBook, ScanParts, ScanPace, ScanReport } from '../scan/index.ts'
import { nameHash } from '../vfs/index.ts'
import type { Vfs } from '../vfs/index.ts'
import { parseBlockRecord } from './block-records.ts'
import type { DataPath } from './data-path.ts'
import type { Encryption } from './encryption.ts'
import type { MetadataHealth } from './metadata-health.ts'
import type { StorageGroups } from './storage-groups.ts'

export interface ScanningOptions {
  readonly metadata: MetadataStore
  readonly health: MetadataHealth
  readonly data: DataPath
  readonly blocks: BlockStore
  readonly groups: StorageGroups
  readonly encryption: Encryption
  readonly vfs: Vfs
  readonly alerts: AlertBoard
  readonly events: EventLog
  readonly book: ScanBook
  readonly isCleaning: () => boolean
  readonly nameHashKey: Uint8Array
  readonly nowSeconds: () => number
  readonly clientBytes: () => { readonly read: number; readonly written: number }
  /** since when a window for scans has been open, in seconds since 1970; undefined when none is */
  readonly windowAt: (nowSeconds: number) => number | undefined
}

export function buildScanner(options: ScanningOptions): Scanner {
  return new Scanner({
    ...scanParts(options),
    book: options.book,
    nowSeconds: options.nowSeconds,
    newPace: () => patientPace(options.clientBytes),
    windowAt: options.windowAt,
    publish: report => publish(options, report),
  })
}

/** What scans and repairs look at. */
export function scanParts(
  options: Omit<ScanningOptions, 'book' | 'events' | 'vfs' | 'windowAt'>,
): ScanParts {
  const { metadata, health, data, blocks, groups, encryption } = options
  const exists = (id: number): boolean => groups.list().some(group => group.id === id)
  return {
    metadata,
    blocks: {
      hasBlock: block => blocks.hasBlock(block),
      records: () => blocks.records(),
      pathOf: block => blocks.pathOf(block),
      readUncached: (block, page, slot) => blocks.readUncached(block, page, slot),
      regionSlot,
      scan: path => scanBlockFile(path),
      header: path => readBlockHeader(path),
    },
    groups: {
      exists,
      nameOf: id => groups.list().find(group => group.id === id)?.name ?? `deleted-${id}`,
      isLocked: id => exists(id) && encryption.isLocked(id),
      isKeyKnown: (id, keyId) => {
        const info = encryption.info(id)
        return info?.keys.some(key => key.id === keyId && key.state !== 'retired')
      },
      fingerprintOf: (id, chunk) => fingerprintOf(options, id, chunk),
      beginRead: () => data.inFlight.begin(),
    },
    isCleaning: options.isCleaning,
    hashOf: nameHash(options.nameHashKey),
    verifyDatabase: async () => {
      const findings = await health.findings(true)
      return findings.map(({ file, what }) => `The metadata database is damaged, ${file}: ${what}.`)
    },
    parseBlockRecord,
  }
}

/** Clients come first. */
export function patientPace(clientBytes: ScanningOptions['clientBytes']): ScanPace {
  return new Pace({
    clientBytes: () => {
      const { read, written } = clientBytes()
      return read + written
    },
    isUrgent: false,
    mayGoOn: () => true,
  })
}

/** The fingerprint of one chunk: nothing is cut, since a chunk is shorter than the window in which a cut is looked for. */
function fingerprintOf(
  { groups, encryption }: Pick<ScanningOptions, 'groups' | 'encryption'>,
  id: number,
  chunk: Uint8Array,
): Promise<Uint8Array> | undefined {
  const isThere = groups.list().some(group => group.id === id)
  if (!isThere || encryption.isLocked(id)) return undefined
  const parameters = {
    key: encryption.chunkKeyOf(id),
    averageBytes: 2 * CHUNK_BYTES_MAX,
    maxBytes: CHUNK_BYTES_MAX,
  }
  return cutAndFingerprint(chunk, parameters, true).then(({ fingerprints }) =>
    fingerprints.subarray(0, FINGERPRINT_BYTES),
  )
}

/** Raises what a report says; ends what earlier ones said, as far as this one looked there. */
function publish(options: ScanningOptions, report: ScanReport): void {
  const { alerts, events, blocks, vfs } = options
  const { damagedBlocks, damagedBlockCount, lostFiles, lostFileCount, outcome } = report
  const isThrough = outcome !== 'stopped' && outcome !== 'failed'
  const isComplete =
    damagedBlockCount === damagedBlocks.length &&
    lostFileCount === lostFiles.length &&
    report.lockedGroups.length === 0
  if (isThrough && report.readsData && report.group === null && isComplete) {
    const files = new Set(lostFiles.map(({ inode }) => String(inode)))
    for (const { subject } of alerts.ofCode('DAMAGED_FILE')) {
      if (subject !== null && !files.has(subject)) alerts.clear('DAMAGED_FILE', subject)
    }
    const damaged = new Set(damagedBlocks.map(({ block }) => block))
    const suspects = alerts.ofCode('DAMAGED_BLOCK').map(({ subject }) => Number(subject))
    for (const block of new Set([...suspects, ...blocks.quarantined.keys()])) {
      if (damaged.has(block)) continue
      alerts.clear('DAMAGED_BLOCK', String(block))
      // Regions that were read before it was repaired.
      blocks.uncache(block)
      blocks.endQuarantine(block)
    }
    alerts.countAnew('DAMAGED_FILE')
    alerts.countAnew('DAMAGED_BLOCK')
  }
  for (const { block, reason } of damagedBlocks) {
    blocks.quarantine(block, reason)
    const text = `Block file ${block} is damaged: ${reason}`
    alerts.raise('DAMAGED_BLOCK', text.replace(/\.*$/, '.'), String(block))
  }
  for (const { inode, path, lostBytes } of lostFiles) {
    const name = path ?? vfs.fileInfo(inode)?.container ?? 'no container'
    const text = `Inode ${inode} (${name}) has lost ${plural(lostBytes, 'byte')}; see "coffer maintenance scan-report".`
    alerts.raise('DAMAGED_FILE', text, String(inode))
  }
  const isWarning = outcome === 'damaged' || outcome === 'incomplete'
  events.record('SCAN_ENDED', isWarning ? 'warning' : 'info', describe(report))
}

function describe({ id, outcome, text, checks, lostFileCount, damagedBlockCount }: ScanReport) {
  const findings = checks.reduce((sum, { count }) => sum + count, 0)
  return (
    `Scan ${id} is ${outcome}: ${plural(findings, 'finding')} in the metadata, ${plural(damagedBlockCount, 'damaged block file')}, ` +
    `${plural(lostFileCount, 'file')} with losses. ${text}`
  ).trim()
}
