export { Cleaner, type CleanerOptions, type PassProgress } from './cleaner.ts'
export * from './contract.ts'
export { Liveness } from './liveness.ts'
export { markExtents } from './mark.ts'
export { Pace, PassStopped } from './pace.ts'
export { Pass, type PassPhase } from './pass.ts'
export type { PassCounts } from './pass-counts.ts'
export { PassBook, passKinds, passOutcomes, type PassKind, type PassReport } from './pass-book.ts'
export {
  COMPACT_LIVE_RATIO,
  COMPACT_LIVE_RATIO_MAX,
  DEAD_SHARE_MAX,
  planPass,
  type Plan,
  type PlanInput,
  type PlannedAction,
  type PlannedBlock,
} from './plan.ts'
export { Relocations } from './relocations.ts'
export { TrashCollector, type TrashReport } from './trash-collector.ts'
export { nextWindow, rewrittenBytes } from './window.ts'
export { ScheduleBook } from './schedule-book.ts'
export {
  localZone,
  windowDays,
  type WeeklyWindow,
  type WindowPurpose,
  type WindowDay,
  type WindowSpan,
} from './schedule.ts'
