// Targets: every record of LevelDB. An input is one record, a length byte and the key before its value, so that keys are
// damaged too; the frame's checksum is behind it, as somebody who writes to the database himself can make it right.

import { AlertBoard } from '../../src/alerts/alert-board.ts'
import { KNOWN_PER_CODE_MAX } from '../../src/alerts/code-alerts.ts'
import { EventLog } from '../../src/alerts/event-log.ts'
import { MailBook } from '../../src/alerts/mail-book.ts'
import { PassBook } from '../../src/cleaner/pass-book.ts'
import { ScheduleBook } from '../../src/cleaner/schedule-book.ts'
import { BlockCensus } from '../../src/daemon/block-census.ts'
import { BlockIds } from '../../src/daemon/block-ids.ts'
import { KeystoreErasures } from '../../src/daemon/keystore-erasures.ts'
import { BlockRecordKeeper, loadBlockRecords } from '../../src/daemon/block-records.ts'
import { LifetimeCounters } from '../../src/daemon/lifetime-counters.ts'
import { RunMarker } from '../../src/daemon/run-marker.ts'
import { StorageGroups } from '../../src/daemon/storage-groups.ts'
import { Superblock } from '../../src/daemon/superblock.ts'
import { ChunkIndex } from '../../src/dedupe/chunk-index.ts'
import type { CommitParticipant, MetadataReader } from '../../src/metadata/index.ts'
import { MemoryMetadata } from '../helpers/memory-metadata.ts'
import { isAccepted, type FuzzTarget } from './target.ts'

const NOW_SECONDS = 1_700_000_000
const GROUP = 3
const FINGERPRINT = new Uint8Array(32).fill(0xf1)
const nowSeconds = (): number => NOW_SECONDS
const touched = (): void => {}

interface Table {
  readonly name: string
  /** fills it with what is to be written down */
  readonly write: () => CommitParticipant | Promise<CommitParticipant>
  /** reads it all, as a start does */
  readonly load: (metadata: MetadataReader & { touched(): void }) => unknown
}

const noCounts = {
  freedBytes: 4096,
  writtenBytes: 0,
  compactedBytes: 1,
  recompressedBytes: 0,
  encryptedBytes: 0,
  freedBlocks: 1,
  copiedBlocks: 0,
  damagedBlocks: 0,
  retiredKeys: 0,
}

function writtenGroups(): StorageGroups {
  const groups = new StorageGroups()
  groups.add('DefaultGroup', 'fast')
  groups.dropSecrets(groups.add('büro', 'best', 8192).id)
  groups.update('büro', { quotaBytes: 2 ** 40 })
  groups.setKeystoreSequence(2, 7)
  return groups
}

function writtenBoard(): AlertBoard {
  const board = new AlertBoard({ nowSeconds, touched, record: () => {} })
  board.raise('STORE_READ_ONLY', 'a disk failed')
  board.raise('DAMAGED_BLOCK', 'block 7 is damaged', '7')
  board.acknowledge('DAMAGED_BLOCK', { note: 'a new disk is ordered' })
  for (let at = 0; at <= KNOWN_PER_CODE_MAX; at++) board.raise('GROUP_LOCKED', 'x', String(at))
  for (let at = 1; at < KNOWN_PER_CODE_MAX; at++) board.clear('GROUP_LOCKED', String(at))
  return board
}

function writtenEvents(): EventLog {
  const events = new EventLog({ nowSeconds, touched })
  events.record('DAEMON_STARTED', 'info', 'started')
  events.record('GROUP_ADDED', 'warning', 'ä group')
  return events
}

function writtenMail(): MailBook {
  const book = new MailBook(touched)
  book.configure({
    relay: 'mail.example.com',
    port: 587,
    tls: 'starttls',
    user: 'coffer',
    senderName: 'Coffer',
    sender: 'coffer@example.com',
    to: ['admin@example.com'],
    cc: [],
    bcc: [],
  })
  book.add({
    change: 'raised',
    code: 'STORE_READ_ONLY',
    subject: null,
    severity: 'critical',
    title: 'Read-only',
    whatToDo: 'Look at the disk.',
    text: 'a disk failed',
    sinceSeconds: NOW_SECONDS,
    timeSeconds: NOW_SECONDS,
  })
  return book
}

function writtenPasses(): PassBook {
  const book = new PassBook(new MemoryMetadata())
  const pass = {
    kind: 'manual' as const,
    group: null,
    startedSeconds: NOW_SECONDS,
    endedSeconds: null,
    outcome: 'running' as const,
    text: '',
    plannedBytes: 4096,
    counts: noCounts,
  }
  book.end({ ...book.begin(pass), outcome: 'complete', endedSeconds: NOW_SECONDS + 5 }, true)
  book.begin({ ...pass, group: 1 })
  return book
}

function writtenSchedule(): ScheduleBook {
  const book = new ScheduleBook(new MemoryMetadata(), 'Europe/Berlin')
  book.add({ purpose: 'cleaner', day: 'daily', startMinutes: 60, stopMinutes: 300 })
  book.add({ purpose: 'scan', day: 'saturday', startMinutes: 1439, stopMinutes: 0 })
  return book
}

function writtenBlocks(): BlockRecordKeeper {
  const record = {
    block: 5,
    isClosed: true,
    group: 1,
    keyId: 2,
    compression: 'best' as const,
    lengthBytes: 1_000_000,
    regionCount: 9,
    chunkCount: 80,
    rawBytes: 2_000_000,
    compressedBytes: 900_000,
    quarantine: 'a region is damaged',
    freedSeconds: null,
  }
  return new BlockRecordKeeper(
    {
      collectRecords: () => [
        record,
        { ...record, block: 6, isClosed: false, quarantine: null },
        { ...record, block: 7, freedSeconds: 1_800_000_000 },
      ],
      collectForgotten: () => [],
    },
    new BlockCensus(),
  )
}

function writtenErasures(): KeystoreErasures {
  const erasures = new KeystoreErasures(new MemoryMetadata())
  erasures.add(7)
  erasures.add(300)
  return erasures
}

function writtenIds(): BlockIds {
  const ids = new BlockIds(new MemoryMetadata())
  ids.take(9)
  return ids
}

function writtenIndex(): ChunkIndex {
  const index = new ChunkIndex(new MemoryMetadata())
  index.add(GROUP, FINGERPRINT, { block: 7, page: 300, ordinal: 12 })
  return index
}

const noClient = {
  bytesWritten: 1,
  bytesRead: 2,
  operations: 3,
  lookups: 4,
  hits: 5,
  chunksStored: 6,
}

const TABLES: readonly Table[] = [
  {
    name: 'group',
    write: writtenGroups,
    load: metadata => new StorageGroups().load(metadata),
  },
  {
    name: 'alert',
    write: writtenBoard,
    load: metadata => new AlertBoard({ nowSeconds, touched, record: () => {} }).load(metadata),
  },
  {
    name: 'event',
    write: writtenEvents,
    load: metadata => new EventLog({ nowSeconds, touched }).load(metadata),
  },
  { name: 'mail', write: writtenMail, load: metadata => new MailBook(touched).load(metadata) },
  { name: 'pass', write: writtenPasses, load: metadata => new PassBook(metadata) },
  {
    name: 'schedule',
    write: writtenSchedule,
    load: metadata => new ScheduleBook(metadata, 'Europe/Berlin').openAt('cleaner', NOW_SECONDS),
  },
  { name: 'block-record', write: writtenBlocks, load: metadata => loadBlockRecords(metadata) },
  {
    name: 'keystore-erasures',
    write: writtenErasures,
    load: metadata => new KeystoreErasures(metadata),
  },
  { name: 'block-ids', write: writtenIds, load: metadata => new BlockIds(metadata) },
  {
    name: 'superblock',
    write: () => new Superblock(new MemoryMetadata()),
    load: metadata => new Superblock(metadata),
  },
  {
    name: 'run-marker',
    write: () => new RunMarker(new MemoryMetadata()),
    load: metadata => new RunMarker(metadata),
  },
  {
    name: 'lifetime-counters',
    write: () => new LifetimeCounters(new MemoryMetadata(), NOW_SECONDS, () => noClient),
    load: metadata => new LifetimeCounters(metadata, NOW_SECONDS, () => noClient).lifetime(),
  },
  {
    name: 'chunk-index',
    write: writtenIndex,
    load: async metadata => {
      const index = new ChunkIndex(metadata)
      await index.lookup(GROUP, [FINGERPRINT])
      await index.sweep(
        () => false,
        async () => {},
      )
    },
  },
]

/** What a participant would commit, as inputs. */
export async function recordsOf(participant: CommitParticipant): Promise<Uint8Array[]> {
  const metadata = new MemoryMetadata()
  metadata.participants.push(participant)
  await metadata.commit()
  return [...metadata.records].map(([key, value]) => packRecord(Buffer.from(key, 'latin1'), value))
}

export function packRecord(key: Uint8Array, value: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.of(key.length), key, value])
}

/** A store with this one record. */
export function metadataOf(input: Uint8Array): MemoryMetadata {
  const metadata = new MemoryMetadata()
  const keyEnd = 1 + (input[0] ?? 0)
  const key = Buffer.from(input.subarray(1, keyEnd)).toString('latin1')
  metadata.records.set(key, input.subarray(keyEnd))
  return metadata
}

async function targetOf({ name, write, load }: Table): Promise<FuzzTarget> {
  return {
    name: `record-${name}`,
    samples: await recordsOf(await write()),
    run: async input => {
      await isAccepted(() => load(metadataOf(input)))
    },
  }
}

export const recordTargets: readonly FuzzTarget[] = await Promise.all(TABLES.map(targetOf))
