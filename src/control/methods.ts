// The table of control methods: for each, what it is for and the schemas of its parameters and its
// result. Server, documentation and `rpc.discover` all read this one table; the client takes its types only.
// Parameters are strict, so that a misspelled one is an error; what a result has beyond its schema is not sent.
// Each family is a file of its own.

import { z } from 'zod'

import { alertMethods } from './methods-alerts.ts'
import { diagnosticsMethods } from './methods-diagnostics.ts'
import { containerMethods } from './methods-container.ts'
import type { container } from './methods-container.ts'
import { maintenanceMethods } from './methods-maintenance.ts'
import { repairMethods } from './methods-repair.ts'
import { scanMethods } from './methods-scan.ts'
import { scheduleMethods } from './methods-schedule.ts'
import { jobMethods, notifications } from './methods-jobs.ts'
import { statsMethods } from './methods-stats.ts'
import { storageGroupMethods } from './methods-storage-group.ts'
import type { group } from './methods-storage-group.ts'
import { systemMethods } from './methods-system.ts'
import { trashMethods } from './methods-trash.ts'
import { nothing } from './schemas.ts'

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
  notifications: z.array(z.object({ name: z.string(), summary: z.string(), params: jsonSchema })),
})

export const methods = {
  ...systemMethods,
  ...storageGroupMethods,
  ...containerMethods,
  ...statsMethods,
  ...alertMethods,
  ...diagnosticsMethods,
  ...maintenanceMethods,
  ...trashMethods,
  ...scanMethods,
  ...repairMethods,
  ...scheduleMethods,
  ...jobMethods,
  'rpc.discover': { summary: 'This list, with JSON schemas.', params: nothing, result: discovery },
} as const

export type Methods = typeof methods
export type MethodName = keyof Methods

/** What a caller sends: fields with a default may be left out. */
export type MethodInput<M extends MethodName> = z.input<Methods[M]['params']>
/** What an implementation gets: validated, defaults filled in. */
export type MethodParams<M extends MethodName> = z.output<Methods[M]['params']>
export type MethodResult<M extends MethodName> = z.output<Methods[M]['result']>

export type Notifications = typeof notifications
export type NotificationName = keyof Notifications
export type NotificationParams<N extends NotificationName> = z.output<Notifications[N]['params']>

export type SystemStatus = MethodResult<'system.status'>
export type { Alert, AlertList, EventInfo, MailStatus, MoreAlerts } from './methods-alerts.ts'
export type { CleanerPass, CleanerPlan, CleanerStats } from './methods-maintenance.ts'
export type { QuarantineInfo, RepairInfo, RepairPlanInfo } from './methods-repair.ts'
export type { ScanReport, ScanState, ScanSummary } from './methods-scan.ts'
export type { DiagnosticsBundle } from './methods-diagnostics.ts'
export type { ScheduleWindow } from './methods-schedule.ts'
export type { HoldInfo, TrashInfo, TrashOutcome } from './methods-trash.ts'
export type GroupInfo = z.output<typeof group>
export type ContainerInfo = z.output<typeof container>
export type SystemStats = MethodResult<'stats.system'>
export type GroupStats = MethodResult<'stats.storageGroup'>
export type ClientInfo = MethodResult<'stats.clients'>['clients'][number]
export type ContainerStats = MethodResult<'stats.container'>
export type JobInfo = MethodResult<'jobs.list'>['jobs'][number]
export type JobEnd = MethodResult<'jobs.watch'>
export type JobProgress = NotificationParams<'jobs.progress'>
export type Discovery = MethodResult<'rpc.discover'>

/** Whether a name from outside is a method of the table, and not a property of Object. */
export function isMethodName(name: string): name is MethodName {
  return Object.hasOwn(methods, name)
}

let discovered: Discovery | undefined

/** The method table with its schemas as JSON Schema, in the table's order. Made once: it takes milliseconds. */
export function discover(): Discovery {
  discovered ??= describeTable()
  return discovered
}

function describeTable(): Discovery {
  return {
    methods: Object.entries(methods).map(([name, { summary, params, result }]) => ({
      name,
      summary,
      params: z.toJSONSchema(params, { io: 'input' }),
      result: z.toJSONSchema(result),
    })),
    notifications: Object.entries(notifications).map(([name, { summary, params }]) => ({
      name,
      summary,
      params: z.toJSONSchema(params),
    })),
  }
}
