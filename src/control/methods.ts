// The table of control methods: for each, what it is for and the schemas of its parameters and its
// result. Server, client, documentation and `rpc.discover` all read this one table. Parameters are
// strict, so that a misspelled one is an error; results are not, so that a client outlives a field
// that a newer daemon adds.

import { z } from 'zod'

import { alert, alertMethods } from './methods-alerts.ts'
import { diagnosticsMethods } from './methods-diagnostics.ts'

/** Long enough for "host.share.year", short enough for a directory listing; a path component in any case. */
const CONTAINER_NAME_MAX = 64
const GROUP_NAME_MAX = 32

/** Chunk sizes outside of this range either drown the index or find no duplicates. */
const CHUNK_SIZE_MIN_BYTES = 4 * 1024
const CHUNK_SIZE_MAX_BYTES = 1024 * 1024

export const containerName = z
  .string()
  .regex(
    new RegExp(`^[A-Za-z0-9_.-]{1,${CONTAINER_NAME_MAX}}$`),
    `a container's name has 1 to ${CONTAINER_NAME_MAX} characters out of A-Z a-z 0-9 _ . -`,
  )
  .refine(name => name !== '.' && name !== '..', '"." and ".." are no names')

export const groupName = z
  .string()
  .regex(
    new RegExp(`^[A-Za-z0-9_-]{1,${GROUP_NAME_MAX}}$`),
    `a storage group's name has 1 to ${GROUP_NAME_MAX} characters out of A-Z a-z 0-9 _ -`,
  )

export const compression = z.enum(['none', 'fast', 'best'])

const bytes = z.int().nonnegative()
const count = z.int().nonnegative()
const percent = z.number().describe('two decimals; negative when data grew')
const isoTime = z.iso.datetime()

const group = z.object({
  name: groupName,
  compression,
  chunkSizeBytes: bytes,
  containers: count,
  isEncrypted: z.boolean(),
  isLocked: z.boolean(),
})

const container = z.object({
  name: containerName,
  group: groupName,
  createdAt: isoTime,
  files: count,
  currentBytes: bytes,
})

/** What every level of statistics reports: the savings chain from what clients wrote to what is stored. */
const savings = {
  currentBytes: bytes.describe('as clients see it'),
  postDedupeBytes: bytes,
  postCompressionBytes: bytes,
  postEncryptionBytes: bytes,
  dedupePercent: percent,
  compressionPercent: percent,
  totalPercent: percent,
  files: count,
  chunks: count,
}

/** What exists once per dedupe domain, and so not for a container alone. */
const storage = {
  physicalBytes: bytes.describe('what block files take on disk'),
  metadataBytes: bytes.describe('what the metadata takes on disk'),
  blocks: count,
}

/** A container's chunks are shared with its group's other containers, so what it takes alone is not a number. */
const containerStats = z.object({
  name: containerName,
  group: groupName,
  files: count,
  currentBytes: bytes,
})
const groupStats = z.object({ name: groupName, ...savings, ...storage })
const systemStats = z.object({
  ...savings,
  ...storage,
  rssBytes: bytes.describe("the daemon's resident memory"),
  bytesWritten: bytes.describe('by clients since the start'),
  bytesRead: bytes.describe('by clients since the start'),
  writeBytesPerSecond: z.number().nonnegative().describe('recent'),
  readBytesPerSecond: z.number().nonnegative().describe('recent'),
})

const status = z.object({
  version: z.string(),
  pid: z.int().positive(),
  store: z.string(),
  mount: z.string(),
  socket: z.string(),
  startedAt: isoTime,
  uptimeSeconds: z.number().nonnegative(),
  groups: count,
  containers: count,
  lockedGroups: z.array(groupName),
  isReadOnly: z.boolean(),
  readOnlyReason: z.string().nullable(),
  alerts: z.array(alert),
})

const nothing = z.strictObject({})
const jsonSchema = z.record(z.string(), z.unknown())

const discovery = z.object({
  methods: z.array(
    z.object({
      name: z.string(),
      summary: z.string(),
      params: jsonSchema,
      result: jsonSchema,
    }),
  ),
})

export const methods = {
  'system.status': {
    summary: 'What runs, since when, and what is wrong.',
    params: nothing,
    result: status,
  },
  'daemon.stop': {
    summary: 'Unmount, commit and end. Answered when the mount is gone, before the daemon ends.',
    params: z.strictObject({
      force: z.boolean().default(false).describe('do not wait for files that are open'),
    }),
    result: nothing,
  },
  'storageGroup.show': {
    summary: 'One storage group, or all of them.',
    params: z.strictObject({ name: groupName.optional() }),
    result: z.object({ groups: z.array(group) }),
  },
  'storageGroup.add': {
    summary: 'Create a storage group: a dedupe domain with its own settings.',
    params: z.strictObject({
      name: groupName,
      compression: compression.default('fast'),
      chunkSizeBytes: z.int().min(CHUNK_SIZE_MIN_BYTES).max(CHUNK_SIZE_MAX_BYTES).optional(),
    }),
    result: group,
  },
  'container.show': {
    summary: 'One container, or all of them.',
    params: z.strictObject({ name: containerName.optional() }),
    result: z.object({ containers: z.array(container) }),
  },
  'container.add': {
    summary: "Create a container: a directory of the mount. Its group can't be changed later.",
    params: z.strictObject({ name: containerName, group: groupName.default('DefaultGroup') }),
    result: container,
  },
  'container.delete': {
    summary: 'Delete a container; one that has files only with deleteFiles.',
    params: z.strictObject({ name: containerName, deleteFiles: z.boolean().default(false) }),
    result: nothing,
  },
  'stats.system': {
    summary: 'Savings and counters of the whole store.',
    params: nothing,
    result: systemStats,
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
  ...alertMethods,
  ...diagnosticsMethods,
  'rpc.discover': { summary: 'This list, with JSON schemas.', params: nothing, result: discovery },
} as const

export type Methods = typeof methods
export type MethodName = keyof Methods

/** What a caller sends: fields with a default may be left out. */
export type MethodInput<M extends MethodName> = z.input<Methods[M]['params']>
/** What an implementation gets: validated, defaults filled in. */
export type MethodParams<M extends MethodName> = z.output<Methods[M]['params']>
export type MethodResult<M extends MethodName> = z.output<Methods[M]['result']>

export type SystemStatus = MethodResult<'system.status'>
export type { Alert, EventInfo, MailStatus } from './methods-alerts.ts'
export type { DiagnosticsBundle } from './methods-diagnostics.ts'
export type GroupInfo = z.output<typeof group>
export type ContainerInfo = z.output<typeof container>
export type SystemStats = MethodResult<'stats.system'>
export type GroupStats = MethodResult<'stats.storageGroup'>
export type ContainerStats = MethodResult<'stats.container'>
export type Discovery = MethodResult<'rpc.discover'>

/** Whether a name from outside is a method of the table, and not a property of Object. */
export function isMethodName(name: string): name is MethodName {
  return Object.hasOwn(methods, name)
}

/** The method table with its schemas as JSON Schema, in the table's order. */
export function discover(): Discovery {
  return {
    methods: Object.entries(methods).map(([name, { summary, params, result }]) => ({
      name,
      summary,
      params: z.toJSONSchema(params, { io: 'input' }),
      result: z.toJSONSchema(result),
    })),
  }
}
