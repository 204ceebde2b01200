export type { Action, Deed, LeftAlone, RepairPlan, Stage } from './actions.ts'
export { STAGES } from './actions.ts'
export { backupName, packBackup, parseBackup, type RepairBackup } from './backup.ts'
export { gatherEvidence, type Evidence, type Remains } from './evidence.ts'
export { execute, type RepairTarget } from './execute.ts'
export { namesOf } from './names-of.ts'
export { planRepair } from './plan.ts'
export { RecordMender } from './record-mender.ts'
export {
  RepairBook,
  repairOutcomes,
  REPAIRS_MAX,
  type Quarantine,
  type QuarantinedFile,
  type RepairReport,
} from './repair-book.ts'
export { Repairer, type RepairerOptions } from './repairer.ts'
