// A control target that keeps containers in memory: what tests of the socket and of the command line talk to.

import type {
  ContainerInfo,
  GroupInfo,
  GroupStats,
  SystemStatus,
} from '../../src/control/methods.ts'
import type { ControlTarget } from '../../src/control/target.ts'
import { JobBoard } from '../../src/daemon/job-board.ts'
import { jobMethods } from '../../src/daemon/job-methods.ts'
import { CofferError } from '../../src/errors.ts'
import { fakeCleaner } from './fake-cleaner.ts'
import { fakeRepairs } from './fake-repairs.ts'
import { fakeScans } from './fake-scans.ts'
import { fakeTrash } from './fake-trash.ts'
import { fakeAlerting } from './fake-alerting.ts'
import { fakeSchedule } from './fake-schedule.ts'

const now = '2026-01-02T03:04:05.000Z'

const savings = {
  currentBytes: 3 * 1024 ** 3,
  postDedupeBytes: 1024 ** 3,
  postCompressionBytes: 512 * 1024 ** 2,
  postEncryptionBytes: 512 * 1024 ** 2,
  dedupePercent: 66.67,
  compressionPercent: 50,
  totalPercent: 83.33,
  files: 12,
  chunks: 345,
}
const latency = {
  count: 5,
  p50Microseconds: 80,
  p95Microseconds: 900,
  p99Microseconds: 1000,
  maxMicroseconds: 2000,
}
const counters = {
  bytesWritten: 10,
  bytesRead: 20,
  operations: 30,
  lookups: 100,
  hits: 75,
  hitPercent: 75,
  chunksStored: 25,
}
const storage = {
  physicalBytes: 600 * 1024 ** 2,
  trashBytes: 128 * 1024 ** 2,
  metadataBytes: 4096,
  blocks: 6,
}
const keys = { active: 1, decryptOnly: 2, retired: 3 }

export function fakeTarget(
  status: Partial<SystemStatus> = {},
  board = new JobBoard(() => Date.parse(now) / 1000),
): ControlTarget {
  const groups = new Map<string, GroupInfo>([['DefaultGroup', fakeGroup('DefaultGroup')]])
  const containers = new Map<string, ContainerInfo>()
  return {
    ...fakeCleaner(board),
    ...fakeScans(board),
    ...fakeTrash(),
    ...fakeRepairs(board),
    'system.status': async () => ({
      version: '0.1.0',
      pid: process.pid,
      store: '/srv/store',
      mount: '/srv/mount',
      transport: 'device',
      socket: '/run/coffer.sock',
      startedAt: now,
      uptimeSeconds: 93_784,
      groups: groups.size,
      containers: containers.size,
      lockedGroups: [],
      isReadOnly: false,
      readOnlyReason: null,
      alerts: [],
      moreAlerts: [],
      ...status,
    }),
    'daemon.stop': async () => ({}),
    'storageGroup.show': async ({ name }) => ({
      groups: name === undefined ? [...groups.values()] : [get(groups, name)],
    }),
    'storageGroup.add': async ({ name, compression, chunkSizeBytes }) => {
      const group = { ...fakeGroup(name), compression }
      if (chunkSizeBytes !== undefined) group.chunkSizeBytes = chunkSizeBytes
      groups.set(name, group)
      return group
    },
    'storageGroup.update': async ({ name, compression }) => {
      const group = get(groups, name)
      if (compression !== undefined) group.compression = compression
      return group
    },
    'storageGroup.delete': async ({ name }) => {
      get(groups, name)
      groups.delete(name)
      return {}
    },
    'storageGroup.setPassphrase': async ({ name }) => {
      get(groups, name).hasPassphrase = true
      return {}
    },
    'storageGroup.encryption': async ({ name, set }) => {
      const group = get(groups, name)
      if (set === 'on') group.isEncrypted = true
      return group
    },
    'storageGroup.unlock': async ({ name }) => get(groups, name),
    'storageGroup.lock': async ({ name }) => get(groups, name),
    'storageGroup.keys': async ({ name }) => ({
      name: get(groups, name).name,
      keys: [],
      clearBytes: 0,
      pendingBytes: 0,
    }),
    'storageGroup.rotateKey': async ({ name }) => get(groups, name),
    'container.show': async ({ name }) => ({
      containers: name === undefined ? [...containers.values()] : [get(containers, name)],
    }),
    'container.add': async ({ name, group }) => {
      if (containers.has(name)) {
        throw new CofferError('CONTAINER_EXISTS', `There is a container ${name} already.`)
      }
      const id = containers.size + 1
      const owner = { uid: 0, gid: 0, mode: '0755' }
      const container = { id, name, group, createdAt: now, files: 0, currentBytes: 0, ...owner }
      containers.set(name, container)
      return container
    },
    'container.rename': async ({ name, newName }) => {
      const container = { ...get(containers, name), name: newName }
      if (containers.has(newName)) {
        throw new CofferError('CONTAINER_EXISTS', `There is a container ${newName} already.`)
      }
      containers.delete(name)
      containers.set(newName, container)
      return container
    },
    'container.delete': async ({ name }) => {
      get(containers, name)
      containers.delete(name)
      return {}
    },
    'stats.system': async () => ({
      ...savings,
      ...storage,
      keys,
      rssBytes: 1024 ** 2,
      held: {
        openFiles: 2,
        cachedInodes: 12,
        referredInodes: 5,
        requestsWaiting: 0,
        repliesInFlight: 0,
        unflushedBytes: 4096,
        heapBytes: 8192,
        externalBytes: 16_384,
        chunkFilterBytes: 1_310_720,
      },
      bytesWritten: 10,
      bytesRead: 20,
      writeBytesPerSecond: 1.5,
      readBytesPerSecond: 0,
      throughput: { now: rates(1.5), minute: rates(2.5), hour: rates(0.5) },
      sinceStart: counters,
      lifetime: { since: now, ...counters, bytesWritten: 2 * 1024 ** 4 },
      indexEntries: 24,
      indexBytes: 2048,
      indexEntriesAdded: 26,
      operations: {
        read: latency,
        write: latency,
        fsync: latency,
        create: latency,
        lookup: latency,
        other: latency,
      },
      eventLoopDelayP99Microseconds: 1234,
      eventLoopDelayMaxMicroseconds: 5_678_901,
    }),
    'stats.clients': async () => ({
      clients: [
        { pid: 4711, uid: 0, command: 'tar', ...counted(3 * 1024 ** 3, 0), lastActiveAt: now },
        { pid: 815, uid: 1000, command: null, ...counted(0, 4096), lastActiveAt: now },
        { pid: 0, uid: 0, command: null, ...counted(4096, 0), lastActiveAt: now },
      ],
    }),
    'stats.prometheus': async () => ({
      contentType: 'text/plain; version=0.0.4; charset=utf-8',
      text: '# TYPE coffer_files gauge\ncoffer_files 12\n',
    }),
    'stats.storageGroup': async ({ name }): Promise<GroupStats> => ({
      name,
      ...savings,
      ...storage,
      keys,
    }),
    'stats.container': async ({ name }) => ({
      name,
      group: get(containers, name).group,
      ...savings,
    }),
    'alerts.show': async () => ({
      alerts: status.alerts ?? [],
      moreAlerts: status.moreAlerts ?? [],
    }),
    ...fakeAlerting(),
    ...fakeSchedule(),
    ...jobMethods(board),
  }
}

function counted(bytesWritten: number, bytesRead: number) {
  return { bytesWritten, bytesRead, operations: 42 }
}

function rates(writeBytesPerSecond: number) {
  return { writeBytesPerSecond, readBytesPerSecond: 0 }
}

function fakeGroup(name: string): GroupInfo {
  return {
    name,
    compression: 'fast',
    chunkSizeBytes: 65_536,
    quotaBytes: null,
    containers: 0,
    isEncrypted: false,
    isLocked: false,
    hasPassphrase: false,
    mode: null,
    intervalDays: null,
    encryptedPercent: 0,
  }
}

function get<T>(from: Map<string, T>, name: string): T {
  const found = from.get(name)
  if (found === undefined) throw new CofferError('NOT_FOUND', `There is no ${name}.`)
  return found
}
