export { checkBeforeOpen } from './check-before-open.ts'
export type { Finding, VerifyOptions } from './contract.ts'
export { TableMonitor, type TableMonitorOptions } from './table-monitor.ts'
export { verifyDatabase } from './verify-database.ts'
