export type { DaemonOptions, RunningDaemon } from './contract.ts'
export { startDaemon } from './daemon.ts'
export { recoverStore } from './recover-store.ts'
