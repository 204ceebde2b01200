// The statistics methods: sums over block records and containers.

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ContainerStats, GroupStats, SystemStats } from '../control/index.ts'
import type { KeyInfo } from '../crypto/index.ts'
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
    const totals = sumBlocks(storage.blockRecords())
    return {
      ...(await this.#chain(storage.vfs.containers(), totals)),
      keys: this.#keys(storage.groups.list()),
      rssBytes: process.memoryUsage.rss(),
      held: {
        ...storage.vfs.held,
        requestsWaiting,
        repliesInFlight,
        unflushedBytes: storage.unflushedBytes,
        heapBytes: heapUsed,
        externalBytes: external,
        chunkFilterBytes: storage.chunkFilterBytes,
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
      indexEntries: totals.chunks,
      indexBytes: await storage.indexSizeBytes(),
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
      alerts: storage.alerts.counts(),
      isReadOnly: storage.readOnlyReason !== undefined,
    })
  }

  /** @throws CofferError GROUP_NOT_FOUND */
  async storageGroup(name: string): Promise<GroupStats> {
    const { storage } = this.#options
    const group = storage.groups.named(name)
    const { id } = group
    const containers = storage.vfs.containers().filter(container => container.group === id)
    const records = [...storage.blockRecords()].filter(record => record.group === id)
    const chain = await this.#chain(containers, sumBlocks(records), id)
    return { name, ...chain, keys: this.#keys([group]) }
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

  #keys(groups: readonly { readonly id: number }[]): GroupStats['keys'] {
    const { encryption } = this.#options.storage
    const keys = groups.flatMap(({ id }) => encryption.info(id)?.keys ?? [])
    const count = (state: KeyInfo['state']) => keys.filter(key => key.state === state).length
    return {
      active: count('active'),
      decryptOnly: count('decrypt-only'),
      retired: count('retired'),
    }
  }

  /** The savings chain and what the disk holds. */
  async #chain(containers: readonly ContainerInfo[], totals: BlockTotals, group?: number) {
    const currentBytes = containers.reduce((sum, { logicalBytes }) => sum + logicalBytes, 0)
    return {
      ...savingsOf(currentBytes, totals),
      files: containers.reduce((sum, { fileCount }) => sum + fileCount, 0),
      chunks: totals.chunks,
      blocks: totals.blocks,
      physicalBytes: totals.fileBytes,
      trashBytes: this.#options.storage.trash.contentOf(group).bytes,
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
