// The statistics methods: sums over block records and containers.

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ContainerStats, GroupStats, SystemStats } from '../control/index.ts'
import type { FuseMount } from '../fuse/index.ts'
import type { ContainerInfo } from '../vfs/index.ts'
import type { Counters } from './lifetime-counters.ts'
import type { LoopDelay } from './loop-delay.ts'
import { writePrometheus } from './prometheus.ts'
import type { PrometheusText } from './prometheus.ts'
import { savingsOf, sumBlocks } from './savings.ts'
import type { BlockTotals } from './savings.ts'
import type { Storage } from './storage.ts'
import type { Throughput } from './throughput.ts'

export interface StatisticsMethodsOptions {
  readonly storage: Storage
  readonly mount: FuseMount
  readonly metadataPath: string
  readonly version: string
  readonly startedAt: Date
  readonly throughput: Throughput
  readonly loopDelay: LoopDelay
}

export class StatisticsMethods {
  readonly #options: StatisticsMethodsOptions

  constructor(options: StatisticsMethodsOptions) {
    this.#options = options
  }

  async system(): Promise<SystemStats> {
    const { storage, mount, throughput, loopDelay } = this.#options
    const { bytesWritten, bytesRead, latencies, repliesInFlight, requestsWaiting } =
      mount.statistics
    const { heapUsed, external } = process.memoryUsage()
    const { counters } = storage
    const rates = throughput.summary()
    return {
      ...(await this.#chain(storage.vfs.containers(), sumBlocks(storage.blockRecords()))),
      rssBytes: process.memoryUsage.rss(),
      held: {
        ...storage.vfs.held,
        requestsWaiting,
        repliesInFlight,
        unflushedBytes: storage.unflushedBytes,
        heapBytes: heapUsed,
        externalBytes: external,
      },
      bytesWritten,
      bytesRead,
      ...rates.now,
      throughput: rates,
      sinceStart: withHitRate(counters.sinceStart()),
      lifetime: {
        since: new Date(counters.sinceSeconds * 1000).toISOString(),
        ...withHitRate(counters.lifetime()),
      },
      indexEntriesAdded: storage.indexEntriesAdded,
      operations: {
        read: latencies.read.summary(),
        write: latencies.write.summary(),
        fsync: latencies.fsync.summary(),
        create: latencies.create.summary(),
        lookup: latencies.lookup.summary(),
        other: latencies.other.summary(),
      },
      ...loopDelay.summary(),
    }
  }

  /** For monitoring. */
  async prometheus(): Promise<PrometheusText> {
    const { storage, mount, version, startedAt } = this.#options
    const { requestsByOpcode, latencies } = mount.statistics
    return await writePrometheus({
      version,
      startedAt,
      statistics: await this.system(),
      requestsByOpcode,
      latencies,
      space: storage.space,
      alerts: storage.alerts.list(),
      isReadOnly: storage.readOnlyReason !== undefined,
    })
  }

  /** @throws CofferError GROUP_NOT_FOUND */
  async storageGroup(name: string): Promise<GroupStats> {
    const { storage } = this.#options
    const { id } = storage.groups.named(name)
    const containers = storage.vfs.containers().filter(container => container.group === id)
    const records = [...storage.blockRecords()].filter(record => record.group === id)
    return { name, ...(await this.#chain(containers, sumBlocks(records))) }
  }

  /** @throws CofferError CONTAINER_NOT_FOUND */
  async container(name: string): Promise<ContainerStats> {
    const { storage } = this.#options
    const { group, fileCount, logicalBytes } = storage.vfs.containerByName(name)
    return {
      name,
      group: storage.groups.byId(group).name,
      files: fileCount,
      currentBytes: logicalBytes,
    }
  }

  /** The savings chain and what the disk holds. */
  async #chain(containers: readonly ContainerInfo[], totals: BlockTotals) {
    const currentBytes = containers.reduce((sum, { logicalBytes }) => sum + logicalBytes, 0)
    return {
      ...savingsOf(currentBytes, totals),
      files: containers.reduce((sum, { fileCount }) => sum + fileCount, 0),
      chunks: totals.chunks,
      blocks: totals.blocks,
      physicalBytes: totals.fileBytes,
      metadataBytes: await directoryBytes(this.#options.metadataPath),
    }
  }
}

function withHitRate(counters: Counters) {
  const { lookups, hits } = counters
  const hitPercent = lookups === 0 ? 0 : Math.round((hits / lookups) * 10_000) / 100
  return { ...counters, hitPercent }
}

async function directoryBytes(path: string): Promise<number> {
  let bytes = 0
  for (const name of await readdir(path)) {
    // LevelDB removes files while we look.
    const found = await stat(join(path, name)).catch(() => undefined)
    bytes += found?.size ?? 0
  }
  return bytes
}
