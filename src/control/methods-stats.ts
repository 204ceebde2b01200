// Control methods of statistics.

import { z } from 'zod'

import { bytes, containerName, count, groupName, isoTime, nothing, percent } from './schemas.ts'

/** What every level of statistics reports: the savings chain from what clients wrote to what is stored. */
const savings = {
  currentBytes: bytes.describe('as clients see it'),
  postDedupeBytes: bytes.describe(
    'what no file refers to any more included, until the cleaner frees it',
  ),
  postCompressionBytes: bytes,
  postEncryptionBytes: bytes,
  dedupePercent: percent.describe('two decimals; 0 when more is stored than clients see'),
  compressionPercent: percent,
  totalPercent: percent,
  files: count,
  chunks: count,
}

/** What exists once per dedupe domain, and so not for a container alone. */
const storage = {
  physicalBytes: bytes.describe('what block files take on disk, without the trash'),
  trashBytes: bytes.describe('what freed block files take on disk until they are deleted'),
  metadataBytes: bytes.describe('what the metadata takes on disk'),
  blocks: count,
}

/** What keys there are, by their states. */
const keys = z
  .object({
    active: count.describe('new data is sealed with it; one for each encrypted group'),
    decryptOnly: count.describe(
      'data is sealed with it, and moved to the active one by the cleaner',
    ),
    retired: count.describe('nothing is sealed with it; its material is erased'),
  })
  .describe('content encryption keys')

/** Of clients and of dedupe, over some time. */
const counters = {
  bytesWritten: bytes.describe('by clients'),
  bytesRead: bytes.describe('by clients'),
  operations: count.describe('requests of the mount'),
  lookups: count.describe('chunks that dedupe looked up'),
  hits: count.describe('chunks that were there already'),
  hitPercent: percent.describe('hits of 100 lookups; two decimals'),
  chunksStored: count.describe('chunks that were new'),
}

const rates = z.object({
  writeBytesPerSecond: z.number().nonnegative(),
  readBytesPerSecond: z.number().nonnegative(),
})

const microseconds = z.int().nonnegative()

const latency = z.object({
  count,
  p50Microseconds: microseconds,
  p95Microseconds: microseconds,
  p99Microseconds: microseconds,
  maxMicroseconds: microseconds,
})

/** A container's chunks are shared with its group's other containers, so what it takes alone is not a number. */
const containerStats = z.object({
  name: containerName,
  group: groupName,
  files: count,
  currentBytes: bytes,
})
const groupStats = z.object({ name: groupName, ...savings, ...storage, keys })
const systemStats = z.object({
  ...savings,
  ...storage,
  keys,
  rssBytes: bytes.describe("the daemon's resident memory"),
  held: z
    .object({
      openFiles: count,
      cachedInodes: count.describe('at most 200,000 and those in use'),
      referredInodes: count.describe('that the kernel knows and has yet to forget'),
      requestsWaiting: count.describe('of the mount, for their answers'),
      repliesInFlight: count.describe('whose bytes are being handed to the kernel'),
      unflushedBytes: bytes.describe('written by clients, not in block files yet'),
      heapBytes: bytes.describe('JavaScript objects in use'),
      externalBytes: bytes.describe('buffers that belong to JavaScript objects'),
      chunkFilterBytes: bytes.describe(
        'the filter that knows new chunks from known ones, part of externalBytes; 0 until it is made',
      ),
    })
    .describe('now, and given back when clients let go; for finding leaks'),
  bytesWritten: bytes.describe('by clients since the start'),
  bytesRead: bytes.describe('by clients since the start'),
  writeBytesPerSecond: z.number().nonnegative().describe('as throughput.now'),
  readBytesPerSecond: z.number().nonnegative().describe('as throughput.now'),
  throughput: z
    .object({ now: rates, minute: rates, hour: rates })
    .describe('over the last ten seconds, minute and hour, or since the start'),
  sinceStart: z.object(counters),
  lifetime: z
    .object({ since: isoTime, ...counters })
    .describe(
      'since the store was made; a killed daemon loses what it counted after its last commit',
    ),
  indexEntries: count.describe('of the chunk index: one for each chunk'),
  indexBytes: bytes.describe('about what the chunk index takes of the metadata'),
  indexEntriesAdded: count.describe(
    'entries of the chunk index written since the start, for stored and for moved chunks',
  ),
  operations: z
    .object({
      read: latency,
      write: latency,
      fsync: latency,
      create: latency,
      lookup: latency,
      other: latency,
    })
    .describe('of the mount since the start: from the arrival of a request to its answer'),
  eventLoopDelayP99Microseconds: microseconds.describe('since the start'),
  eventLoopDelayMaxMicroseconds: microseconds.describe('since the start'),
})

const client = z.object({
  pid: count.describe('0: the kernel itself, or a process of another namespace'),
  uid: count,
  command: z.string().nullable().describe('null when the process has ended, or is the kernel'),
  bytesWritten: bytes,
  bytesRead: bytes,
  operations: count,
  lastActiveAt: isoTime,
})

export const statsMethods = {
  'stats.system': {
    summary: 'Savings and counters of the whole store.',
    params: nothing,
    result: systemStats,
  },
  'stats.clients': {
    summary: 'The processes that used the mount last, at most 256, the most recently active first.',
    params: nothing,
    result: z.object({ clients: z.array(client) }),
  },
  'stats.prometheus': {
    summary: "Counters, latencies, sizes and alerts in Prometheus' exposition format.",
    params: nothing,
    result: z.object({ contentType: z.string(), text: z.string() }),
  },
  'stats.storageGroup': {
    summary: 'Savings of one storage group.',
    params: z.strictObject({ name: groupName }),
    result: groupStats,
  },
  'stats.container': {
    summary: 'What one container holds; its savings are those of its group.',
    params: z.strictObject({ name: containerName }),
    result: containerStats,
  },
} as const
