export type { DaemonOptions, RunningDaemon } from './contract.ts'
export { startDaemon } from './daemon.ts'
