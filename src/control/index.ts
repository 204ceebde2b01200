export { connectControl } from './client.ts'
export type * from './methods.ts'
export { startControlServer, type ControlServer } from './server.ts'
export type { ControlCaller, ControlTarget } from './target.ts'
