export { Liveness } from './liveness.ts'
export {
  COMPACT_LIVE_RATIO,
  planPass,
  type Plan,
  type PlanInput,
  type PlannedAction,
  type PlannedBlock,
} from './plan.ts'
export { ScheduleBook } from './schedule-book.ts'
export {
  localZone,
  windowDays,
  type CleanerWindow,
  type WindowDay,
  type WindowSpan,
} from './schedule.ts'
