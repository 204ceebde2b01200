// Statistics in Prometheus' exposition format. Made anew for each request from counters that are kept anyway, so that
// nothing is counted twice. Names and units follow Prometheus' conventions: base units, `_total` for what only grows.

import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { AlertCount, Severity } from '../alerts/index.ts'
import type { SystemStats } from '../control/index.ts'
import { operationFamilies } from '../fuse/index.ts'
import type { Latencies, LatencyHistogram } from '../fuse/index.ts'
import type { DiskSpace } from './space-guard.ts'

/** 16 µs to 17 s, each four times the one before. They are ends of the histograms' buckets, so that counts are exact. */
const BOUNDS_MICROSECONDS = Array.from({ length: 11 }, (_, index) => 16 * 4 ** index)
const LATENCY_NAME = 'coffer_operation_duration_seconds'
const LATENCY_HELP = 'From the arrival of a request to its answer'
const MICROSECONDS_PER_SECOND = 1e6
const severities = ['info', 'warning', 'critical'] as const

export interface PrometheusInput {
  readonly version: string
  readonly startedAt: Date
  readonly statistics: SystemStats
  readonly requestsByOpcode: Readonly<Record<string, number>>
  readonly latencies: Readonly<Latencies>
  readonly space: DiskSpace
  readonly alerts: Readonly<Record<Severity, AlertCount>>
  readonly isReadOnly: boolean
}

export interface PrometheusText {
  readonly contentType: string
  readonly text: string
}

/** All statistics as one text. */
export async function writePrometheus(input: PrometheusInput): Promise<PrometheusText> {
  const registry = new Registry()
  addGauges(registry, gauges(input))
  addCounters(registry, input)
  const registers = [registry]
  const info = { name: 'coffer_info', help: 'Always 1; the version', labelNames: ['version'] }
  new Gauge({ ...info, registers }).set({ version: input.version }, 1)
  const alerts = new Gauge({
    name: 'coffer_alerts',
    help: 'Alerts that stand and are not acknowledged',
    labelNames: ['severity'],
    registers,
  })
  const acknowledged = new Gauge({
    name: 'coffer_alerts_acknowledged',
    help: 'Alerts that stand and are acknowledged',
    labelNames: ['severity'],
    registers,
  })
  for (const severity of severities) {
    alerts.set({ severity }, input.alerts[severity].open)
    acknowledged.set({ severity }, input.alerts[severity].acknowledged)
  }
  new LatencyMetric(registry, input.latencies)
  return { contentType: registry.contentType, text: await registry.metrics() }
}

type Row = readonly [name: string, help: string, value: number]

function gauges({ statistics, space, startedAt, isReadOnly }: PrometheusInput): Row[] {
  return [
    ['coffer_current_bytes', 'What is stored, as clients see it', statistics.currentBytes],
    ['coffer_post_dedupe_bytes', 'After deduplication', statistics.postDedupeBytes],
    ['coffer_post_compression_bytes', 'After compression', statistics.postCompressionBytes],
    ['coffer_post_encryption_bytes', 'After encryption', statistics.postEncryptionBytes],
    ['coffer_physical_bytes', 'What block files take on disk', statistics.physicalBytes],
    ['coffer_trash_bytes', 'What freed block files take on disk', statistics.trashBytes],
    ['coffer_metadata_bytes', 'What the metadata takes on disk', statistics.metadataBytes],
    ['coffer_files', 'Files', statistics.files],
    ['coffer_chunks', 'Chunks', statistics.chunks],
    ['coffer_blocks', 'Block files', statistics.blocks],
    ['coffer_disk_size_bytes', 'Size of the disk of the store', space.totalBytes],
    ['coffer_disk_free_bytes', 'Free on the disk of the store', space.freeBytes],
    ['coffer_read_only', '1 when the store is read-only', isReadOnly ? 1 : 0],
    [
      'coffer_event_loop_delay_p99_seconds',
      'How late the event loop is, in 99 of 100 looks since the start',
      statistics.eventLoopDelayP99Microseconds / MICROSECONDS_PER_SECOND,
    ],
    [
      'coffer_event_loop_delay_max_seconds',
      'How late the event loop is at worst since the start',
      statistics.eventLoopDelayMaxMicroseconds / MICROSECONDS_PER_SECOND,
    ],
    ['coffer_index_entries', 'Entries of the chunk index', statistics.indexEntries],
    ['coffer_index_bytes', 'About what the chunk index takes on disk', statistics.indexBytes],
    ['coffer_keys_active', 'Keys that seal new data', statistics.keys.active],
    ['coffer_keys_decrypt_only', 'Keys of data to seal again', statistics.keys.decryptOnly],
    ['coffer_open_files', 'Files that clients have open', statistics.held.openFiles],
    ['coffer_referred_inodes', 'Inodes that the kernel knows', statistics.held.referredInodes],
    ['coffer_unflushed_bytes', 'Written, not in block files yet', statistics.held.unflushedBytes],
    ['process_resident_memory_bytes', 'Resident memory', statistics.rssBytes],
    ['process_start_time_seconds', 'Start of the daemon', startedAt.getTime() / 1000],
  ]
}

function addGauges(registry: Registry, rows: readonly Row[]): void {
  for (const [name, help, value] of rows) {
    new Gauge({ name, help, registers: [registry] }).set(value)
  }
}

function addCounters(registry: Registry, { statistics, requestsByOpcode }: PrometheusInput): void {
  const registers = [registry]
  const rows: Row[] = [
    ['coffer_written_bytes_total', 'Written by clients', statistics.bytesWritten],
    ['coffer_read_bytes_total', 'Read by clients', statistics.bytesRead],
    ['coffer_dedupe_lookups_total', 'Chunks that dedupe looked up', statistics.sinceStart.lookups],
    ['coffer_dedupe_hits_total', 'Chunks that were there already', statistics.sinceStart.hits],
    ['coffer_chunks_stored_total', 'Chunks that were new', statistics.sinceStart.chunksStored],
    [
      'coffer_index_entries_added_total',
      'Entries of the chunk index that were written',
      statistics.indexEntriesAdded,
    ],
  ]
  for (const [name, help, value] of rows) new Counter({ name, help, registers }).inc(value)
  const requests = new Counter({
    name: 'coffer_requests_total',
    help: 'Requests of the kernel',
    labelNames: ['opcode'],
    registers,
  })
  for (const [opcode, count] of Object.entries(requestsByOpcode)) requests.inc({ opcode }, count)
}

/** A histogram that shows what others have counted: prom-client's own would have to hear of every single request. */
class LatencyMetric extends Histogram<'operation'> {
  readonly #latencies: Readonly<Latencies>

  constructor(registry: Registry, latencies: Readonly<Latencies>) {
    super({
      name: LATENCY_NAME,
      help: LATENCY_HELP,
      labelNames: ['operation'],
      registers: [registry],
    })
    this.#latencies = latencies
  }

  /** What the registry asks for; prom-client's types leave it out. */
  async getForPromString() {
    const values = operationFamilies.flatMap(operation =>
      histogramValues(operation, this.#latencies[operation]),
    )
    return { name: LATENCY_NAME, help: LATENCY_HELP, type: 'histogram', values }
  }
}

function histogramValues(operation: string, histogram: LatencyHistogram) {
  const buckets = BOUNDS_MICROSECONDS.map(bound => ({
    le: bound / MICROSECONDS_PER_SECOND,
    value: histogram.countBelow(bound),
  }))
  return [
    ...[...buckets, { le: '+Inf', value: histogram.count }].map(({ le, value }) => ({
      metricName: `${LATENCY_NAME}_bucket`,
      labels: { operation, le },
      value,
    })),
    { metricName: `${LATENCY_NAME}_sum`, labels: { operation }, value: histogram.sumSeconds },
    { metricName: `${LATENCY_NAME}_count`, labels: { operation }, value: histogram.count },
  ]
}
